"""What the product sends as one text: statements by the names under which they were prepared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.messages import statements_of

_PREPARE = re.compile(r"PREPARE (\w+) AS (.*)", re.DOTALL)
_EXECUTE = re.compile(r"EXECUTE (\w+)(?:\((.*)\))?")
_ARRAY = re.compile(r"E'\{([^']*)\}'")
_ELEMENT = re.compile(r'"([^"\\]*)"|(-?\d+)|NULL')


class Prepared(NamedTuple):
    """A statement that from now on has a name."""

    name: str
    statement: str


def prepared(message: str) -> Prepared | None:
    """What a message prepares."""
    found = _PREPARE.fullmatch(message)
    return Prepared(*found.groups()) if found else None


def statements(message: str, names: Mapping[str, str]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The statements of a message, with their arguments; ``names`` has what was prepared.

    Texts of a simulation have no character that would have to be escaped.
    """
    for text in statements_of(message):
        found = _EXECUTE.fullmatch(text)
        if found is None:
            yield text, ()
            continue
        arrays = _ARRAY.findall(found[2] or "")
        yield names[found[1]], tuple(map(_values, arrays))


def _values(array: str) -> list[str | int | None]:
    found = [each.groups() for each in _ELEMENT.finditer(array)]
    return [text if number is None else int(number) for text, number in found]
