"""The fast way for records in the main app's own form, many at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Annotated, Any, NamedTuple, cast

import msgspec

from nova_stream.events.change import (
    SNAPSHOT_MINOR,
    Change,
    Entity,
    SourceRecord,
    VersionKind,
    header,
)
from nova_stream.events.envelope import MAX_MINOR, MAX_VERSION, VERSION_HEADER
from nova_stream.events.framing import VALUE_HEADER
from nova_stream.events.json_text import SURELY_FLAT, too_deep
from nova_stream.events.placeholders import Placeholders
from nova_stream.events.plain import PlainReader
from nova_stream.events.records import known_bare, offsets_of, values_of

#: Records that are read together: calls cost little among so many, and one that needs care, which
#: has all of them read alone, is seldom among so few.
_GROUP = 64

_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_VERSION)] | None
# Milliseconds of 1973 to 2096: surely no other unit.
_Millis = Annotated[int, msgspec.Meta(ge=10**11, lt=4 * 10**12)] | None


class _Source(msgspec.Struct, gc=False):
    seq: _Number = None
    lsn: _Number | msgspec.UnsetType = msgspec.UNSET
    minor: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR)] = 0
    ts_ms: _Millis = None
    generation: int | None = None


class _Record(msgspec.Struct, gc=False):
    op: str
    after: msgspec.Raw
    source: _Source | None = None
    ts_ms: _Millis = None


class _Headers:
    """Headers of records, read once somebody asks for some."""

    def __init__(self, records: Sequence[SourceRecord]) -> None:
        self._records = records
        self._found: list[Any] | None = None

    def of(self, begin: int, count: int) -> list[Any]:
        """Those of so many records from the number ``begin`` on."""
        if self._found is None:
            records = self._records
            if known_bare(records):
                self._found = [()] * len(records)
            else:
                self._found = [record.headers or () for record in records]
        return self._found[begin : begin + count]


class _Group(NamedTuple):
    """Some records, from the number ``begin`` on."""

    begin: int
    offsets: list[int]
    values: list[bytes | None]
    all_headers: _Headers

    def single(self) -> Iterator[_Group]:
        """A group of each record."""
        for place, (offset, value) in enumerate(zip(self.offsets, self.values, strict=True)):
            yield _Group(self.begin + place, [offset], [value], self.all_headers)

    def headers(self) -> list[Any]:
        """The headers of each record."""
        return self.all_headers.of(self.begin, len(self.offsets))


_NO_SOURCE = _Source()
_NOT_DELETED = False
_UPSERTS = frozenset("cur")
_BEGIN_AND_END = {ord("{") << 8 | ord("}")}
_SEQ, _LSN, _OFFSET = VersionKind.SEQ, VersionKind.LSN, VersionKind.OFFSET
_NEEDS_CARE = (ValueError, OverflowError, RecursionError)  # msgspec's errors are ValueErrors


class PlainRecords:
    """Reads the records of one entity's topic that need nothing done to them.

    What it leaves is not wrong by that; what it takes, the careful way reads to the same. With
    ``framed``, a header that names a schema tells what a record means.
    """

    def __init__(self, entity: Entity, placeholders: Placeholders, *, framed: bool) -> None:
        decoder = msgspec.json.Decoder(_Record)
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines
        self._read_documents = PlainReader(entity, placeholders).read
        self._framed = framed

    def read(self, records: Sequence[SourceRecord], partition: int) -> list[Change | None]:
        """The change of each record, in their order; None where it needs care or has no value."""
        found: list[Change | None] = []
        offsets, values, headers = offsets_of(records), values_of(records), _Headers(records)
        for begin in range(0, len(values), _GROUP):
            end = begin + _GROUP
            group = _Group(begin, offsets[begin:end], values[begin:end], headers)
            found += self._read_group(group, partition)
        return found

    def _read_group(self, group: _Group, partition: int) -> Sequence[Change | None]:
        try:
            if all(group.values):
                return self._changes(group, self._envelopes(group), partition)
        except _NEEDS_CARE:
            pass
        if len(group.values) == 1:
            return [None]
        return [change for one in group.single() for change in self._read_group(one, partition)]

    def _envelopes(self, group: _Group) -> list[_Record]:
        """All records, or ValueError when one of them needs care."""
        values = cast("list[bytes]", group.values)
        if self._framed and any(header(each, VALUE_HEADER) for each in group.headers()):
            raise ValueError("a schema tells what this means")
        if max(map(len, values)) > SURELY_FLAT and any(map(too_deep, values)):
            raise ValueError("nested too deeply")
        if len(values) == 1:
            values[0].decode()
            return [self._decode(values[0])]
        if {v[0] << 8 | v[-1] for v in values} != _BEGIN_AND_END:
            raise ValueError("no object by itself")
        lines = b"\n".join(values)
        if not lines.isascii():
            lines.decode()
        found = self._decode_lines(lines)
        # msgspec reads one value after another, wherever lines end. "}", a line break and "{" are
        # nothing but the end of one and the beginning of the next: so each has one or more.
        if len(found) != len(values):
            raise ValueError("not one object in each")
        return found

    def _changes(
        self, group: _Group, found: list[_Record], partition: int
    ) -> Sequence[Change | None]:
        stated = _stated(found)
        if stated is None:
            return self._one_by_one(group, found, partition)
        documents = self._read_documents([one.after for one in found])
        if not len(documents.ids) == len(documents.rows) == len(found):
            raise ValueError("not a document in each")
        # As Change has its fields; a comprehension costs more than all that is in it.
        return list(
            map(
                Change,
                documents.ids,
                stated.numbers,
                stated.minors,
                repeat(_SEQ),
                repeat(_NOT_DELETED),
                stated.times,
                documents.texts,
                documents.rows,
                repeat(partition),
                group.offsets,
            )
        )

    def _one_by_one(
        self, group: _Group, found: list[_Record], partition: int
    ) -> list[Change | None]:
        documents = self._read_documents([r.after for r in found if r.op in _UPSERTS])
        each_document = zip(*documents, strict=True)
        changes: list[Change | None] = []
        add = changes.append
        headers = None
        for place, (offset, one) in enumerate(zip(group.offsets, found, strict=True)):
            if one.op not in _UPSERTS:
                add(None)
                continue
            identity, doc, columns = next(each_document)
            source = one.source or _NO_SOURCE
            millis = source.ts_ms or one.ts_ms
            if millis is None:
                add(None)
                continue
            number, minor, kind = source.seq, source.minor, _SEQ
            if number is None:
                headers = headers or group.headers()
                version = _without_seq(offset, headers[place], one, source)
                if version is None:
                    add(None)
                    continue
                number, minor, kind = version
            change = Change(
                identity,
                number,
                minor,
                kind,
                _NOT_DELETED,
                millis,
                doc,
                columns,
                partition,
                offset,
            )
            if kind is not _SEQ:
                change.snapshot = one.op == "r" and kind is _OFFSET
                change.timed = source.ts_ms is not None
            add(change)
        return changes


class _Stated(NamedTuple):
    """Versions and times as the sources of records tell them."""

    numbers: list[int]
    minors: list[int]
    times: list[int]


def _stated(found: list[_Record]) -> _Stated | None:
    """What all sources tell, where all records are upserts whose source tells version and time."""
    sources: list[Any] = [one.source for one in found]
    if not all(sources) or not {one.op for one in found} <= _UPSERTS:
        return None
    numbers, times = [s.seq for s in sources], [s.ts_ms for s in sources]
    # Looking for what is false is faster than for None; a version may be 0.
    if not all(times) or (not all(numbers) and None in numbers):
        return None
    return _Stated(numbers, [s.minor for s in sources], times)


def _without_seq(
    offset: int, headers: Any, found: _Record, source: _Source
) -> tuple[int, int, VersionKind] | None:
    """The version where it is an lsn or the offset; None when more may tell it."""
    if source.lsn is msgspec.UNSET:
        return None if headers else (offset, source.minor, _OFFSET)
    if source.lsn is None or source.generation is not None:
        return None
    if header(headers, VERSION_HEADER) is not None:
        return None
    return source.lsn, source.minor + SNAPSHOT_MINOR * (found.op == "r"), _LSN
