"""Records of one partition: offsets and values side by side, and the rest when it is asked for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import msgspec

from nova_stream.events.change import SourceRecord

#: What a record costs in memory besides its bytes: where only its value has been read, and where
#: it is an object of aiokafka's, with a text, bytes and a tuple of each header. Measured on
#: CPython 3.11.
VALUE_OVERHEAD = 90
RECORD_OVERHEAD = 500
HEADER_OVERHEAD = 160


class Unread(msgspec.Struct):
    """A batch of which the values have been read: gives its records as a whole."""

    read: Callable[[], Sequence[SourceRecord]]
    #: Bytes that are kept to read them from, by record.
    kept: int
    #: Whether no record has headers.
    bare: bool
    _records: Sequence[SourceRecord] | None = None

    @property
    def records(self) -> Sequence[SourceRecord]:
        """All records, which stay until ``forget``."""
        if self._records is None:
            self._records = self.read()
        return self._records

    def forget(self) -> None:
        """Let go what can be read again."""
        self._records = None


class _Part(NamedTuple):
    """From ``begin`` on the records are those of ``batch``, from its ``first`` on."""

    begin: int
    batch: Unread | Sequence[SourceRecord]
    first: int


class Records(Sequence[SourceRecord]):
    """Records in the order of their offsets, some of them known by offset and value alone.

    What more such a record has is read with its whole batch, when somebody asks for the record.
    """

    __slots__ = ("_parts", "offsets", "values")

    def __init__(
        self,
        offsets: list[int] | None = None,
        values: list[bytes | None] | None = None,
        batch: Unread | Sequence[SourceRecord] = (),
    ) -> None:
        """What ``batch`` has: from its first record on, these offsets and values."""
        self.offsets: list[int] = offsets or []
        self.values: list[bytes | None] = values or []
        self._parts = [_Part(0, batch, 0)] if self.offsets else []

    @classmethod
    def of(cls, records: Sequence[SourceRecord]) -> Records:
        """Records that have been read."""
        if type(records) is Records:
            return records
        return cls([r.offset for r in records], [r.value for r in records], records)

    @property
    def bare(self) -> bool:
        """Whether it is known that no record has headers."""
        return all(type(p.batch) is Unread and p.batch.bare for p in self._parts)

    @property
    def memory(self) -> int:
        """Bytes that the records take, those included that they are read from."""
        found = sum(map(len, filter(None, self.values)))
        for part, end in self._ends():
            if isinstance(part.batch, Unread):
                found += (VALUE_OVERHEAD + part.batch.kept) * (end - part.begin)
            else:
                found += sum(map(_memory_beside_value, _cut(part, end)))
        return found

    def extend(self, others: Records) -> None:
        """Add records behind these."""
        shift = len(self.offsets)
        self.offsets += others.offsets
        self.values += others.values
        self._parts += [_Part(p.begin + shift, p.batch, p.first) for p in others._parts]

    def forget(self) -> None:
        """Let go what can be read again."""
        for part in self._parts:
            if isinstance(part.batch, Unread):
                part.batch.forget()

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, place: int) -> SourceRecord: ...
    @overload
    def __getitem__(self, place: slice) -> Records: ...
    def __getitem__(self, place: int | slice) -> SourceRecord | Records:
        if isinstance(place, slice):
            return self._slice(*place.indices(len(self.offsets)))
        number = range(len(self.offsets))[place]
        part = self._parts[bisect_right(self._parts, number, key=_begin) - 1]
        return _records(part)[part.first + number - part.begin]

    def __iter__(self) -> Iterator[SourceRecord]:
        for part, end in self._ends():
            yield from _cut(part, end)

    def _slice(self, begin: int, end: int, step: int) -> Records:
        if step != 1:
            return Records.of([self[place] for place in range(begin, end, step)])
        found = Records()
        found.offsets = self.offsets[begin:end]
        found.values = self.values[begin:end]
        if found.offsets:
            first = bisect_right(self._parts, begin, key=_begin) - 1
            behind = bisect_left(self._parts, end, key=_begin)
            own = self._parts[first:behind]
            found._parts = [_Part(max(p.begin - begin, 0), p.batch, p.first) for p in own]
            cut = own[0].first + begin - own[0].begin
            found._parts[0] = _Part(0, own[0].batch, cut)
        return found

    def _ends(self) -> Iterable[tuple[_Part, int]]:
        """The parts, each with where it ends."""
        ends = [part.begin for part in self._parts[1:]]
        return zip(self._parts, [*ends, len(self.offsets)] if self._parts else (), strict=True)


def offsets_of(records: Sequence[SourceRecord]) -> list[int]:
    """The records' offsets."""
    return records.offsets if type(records) is Records else [r.offset for r in records]


def values_of(records: Sequence[SourceRecord]) -> list[bytes | None]:
    """The records' values."""
    return records.values if type(records) is Records else [r.value for r in records]


def _begin(part: _Part) -> int:
    return part.begin


def _records(part: _Part) -> Sequence[SourceRecord]:
    return part.batch.records if isinstance(part.batch, Unread) else part.batch


def _cut(part: _Part, end: int) -> Sequence[SourceRecord]:
    """The records of a part that ends at ``end``."""
    return _records(part)[part.first : part.first + end - part.begin]


def _memory_beside_value(record: SourceRecord) -> int:
    headers: Any = record.headers or ()
    inside = sum([len(name) + len(value or b"") for name, value in headers])
    return RECORD_OVERHEAD + HEADER_OVERHEAD * len(headers) + len(record.key or b"") + inside
