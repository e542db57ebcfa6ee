"""Arrays as parameters of statements that many rows go through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any


class FlatArray:
    """Values that are no lists themselves, for an array of one dimension.

    asyncpg goes through an array twice: first to find arrays in it, for which it asks two abstract
    base classes about every value, and then to write it. The first look costs ten times the second.
    Here it finds nothing to ask about. (Were there one look alone, Postgres would refuse the
    statement: the length is told apart from the values.)
    """

    __slots__ = ("_looked", "_values")

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        self._looked = False

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        self._looked = not self._looked
        return iter(()) if self._looked else iter(self._values)
