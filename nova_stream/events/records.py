"""Records of one partition: offsets and values side by side, and the rest when it is asked for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, overload

from nova_stream.events.change import SourceRecord

#: What a record costs in memory besides its bytes: where only its value has been read, and where
#: it is an object of aiokafka's, with a text, bytes and a tuple of each header. Measured on
#: CPython 3.11.
VALUE_OVERHEAD = 90
RECORD_OVERHEAD = 500
HEADER_OVERHEAD = 160


class Unread(Protocol):
    """A batch of which only the values have been read; gives its records one by one."""

    @property
    def count(self) -> int:
        """How many records it has."""
        ...

    @property
    def kept(self) -> int:
        """Bytes that are kept to read records from, by record."""
        ...

    @property
    def bare(self) -> bool:
        """Whether no record has headers."""
        ...

    def record(self, number: int, value: bytes | None) -> SourceRecord:
        """The record of this number, whose value is known; cheapest in their order."""
        ...

    def forget(self) -> None:
        """Let go what can be had again."""
        ...


class _Part(NamedTuple):
    """From ``begin`` on the records are those of ``batch``, from its ``first`` on: ``unread`` ones,
    or those of a list.
    """

    begin: int
    unread: Unread | None
    read: Sequence[SourceRecord]
    first: int


class Records(Sequence[SourceRecord]):
    """Records in the order of their offsets, some of them known by offset and value alone.

    What more such a record has is read when somebody asks for the record.
    """

    __slots__ = ("_parts", "offsets", "values")

    def __init__(
        self,
        offsets: list[int] | None = None,
        values: list[bytes | None] | None = None,
        unread: Unread | None = None,
        read: Sequence[SourceRecord] = (),
    ) -> None:
        """The offsets and values of all records of one batch, or of a list."""
        self.offsets: list[int] = offsets or []
        self.values: list[bytes | None] = values or []
        self._parts = [_Part(0, unread, read, 0)] if self.offsets else []

    @classmethod
    def of(cls, records: Sequence[SourceRecord]) -> Records:
        """Records that have been read."""
        if type(records) is Records:
            return records
        return cls([r.offset for r in records], [r.value for r in records], read=records)

    @property
    def bare(self) -> bool:
        """Whether it is known that no record has headers."""
        return all(part.unread is not None and part.unread.bare for part in self._parts)

    @property
    def memory(self) -> int:
        """Bytes that the records take, those included that they are read from."""
        found = sum(map(len, filter(None, self.values)))
        for (begin, unread, read, first), end in self._ends():
            if unread is not None:
                found += (VALUE_OVERHEAD + unread.kept) * (end - begin)
            else:
                found += sum(map(_memory_beside_value, read[first : first + end - begin]))
        return found

    def extend(self, others: Records) -> None:
        """Add records behind these."""
        shift = len(self.offsets)
        self.offsets += others.offsets
        self.values += others.values
        add = self._parts.append
        for begin, unread, read, first in others._parts:
            add(_Part(begin + shift, unread, read, first))

    def forget(self) -> None:
        """Let go what can be had again of batches of which no record follows."""
        for part, end in self._ends():
            if part.unread is not None and part.first + end - part.begin == part.unread.count:
                part.unread.forget()

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
        return self._record(part, number)

    def __iter__(self) -> Iterator[SourceRecord]:
        for part, end in self._ends():
            for number in range(part.begin, end):
                yield self._record(part, number)

    def _record(self, part: _Part, number: int) -> SourceRecord:
        own = part.first + number - part.begin
        if part.unread is None:
            return part.read[own]
        return part.unread.record(own, self.values[number])

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
            found._parts = [p._replace(begin=p.begin - begin) for p in own]
            cut = own[0].first + begin - own[0].begin
            found._parts[0] = own[0]._replace(begin=0, first=cut)
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


def known_bare(records: Sequence[SourceRecord]) -> bool:
    """Whether it is known that no record has headers."""
    return type(records) is Records and records.bare


def _begin(part: _Part) -> int:
    return part.begin


def _memory_beside_value(record: SourceRecord) -> int:
    headers: Any = record.headers or ()
    inside = sum([len(name) + len(value or b"") for name, value in headers])
    return RECORD_OVERHEAD + HEADER_OVERHEAD * len(headers) + len(record.key or b"") + inside
