"""A list of any length in bounded memory: what is much lies in a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from nova_stream.events.change import Entity

Item = TypeVar("Item", bound=msgspec.Struct)

_IN_MEMORY = 1024 * 1024


class Spool(Generic[Item]):
    """Items to be read in the order in which they were added, as often as wanted."""

    def __init__(self, kind: type[Item]) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  (closed by __exit__)
        self._decode = msgspec.json.Decoder(kind).decode
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def add(self, item: Item) -> None:
        """Put an item at the end; not while the items are being read."""
        self._file.write(msgspec.json.encode(item) + b"\n")
        self._count += 1

    def __iter__(self) -> Iterator[Item]:
        self._file.seek(0)
        try:
            for line in self._file:
                yield self._decode(line)
        finally:
            self._file.seek(0, 2)

    def replace(self, other: Spool[Item]) -> None:
        """Take the items of ``other``, which gets these."""
        self._file, other._file = other._file, self._file
        self._count, other._count = other._count, self._count

    def clear(self) -> None:
        """Forget all items."""
        self._file.seek(0)
        self._file.truncate()
        self._count = 0


class _OfEntity(Protocol):
    @property
    def entity(self) -> Entity: ...


Row = TypeVar("Row", bound=_OfEntity)


def batches(items: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """Neighbours of one entity, up to ``size`` at a time."""
    for _, group in groupby(items, key=lambda item: item.entity):
        while batch := list(islice(group, size)):
            yield batch
