"""Single records of a batch of which only the values have been read."""

from __future__ import annotations

from typing import NamedTuple

from nova_stream.kafka.pieces import APPEND_TIME, HEADER, Pieces
from nova_stream.kafka.value_batch import decompressed

#: What the value of a record begins with that is not what it says; its batch follows.
BROKEN = b"nova-stream: a record batch that cannot be decompressed\n"
#: As Kafka writes lengths: seven bits a byte, the lowest first, and twice what they are.
_LAST = 0x7F


class Record(NamedTuple):
    """A record, with what aiokafka's have."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


class BatchHeader(NamedTuple):
    """What the header of a batch of version 2 says of its records."""

    base: int
    #: As Kafka numbers kinds of times: 1 where all have that of the broker, which is the last one.
    time_kind: int
    first_time: int
    last_time: int
    records: int

    @classmethod
    def of(cls, raw: bytes | memoryview) -> BatchHeader:
        """The header that a batch begins with."""
        fields = HEADER.unpack_from(raw)
        return cls(fields[0], int(bool(fields[5] & APPEND_TIME)), fields[7], fields[8], fields[12])

    def place(self, fields: Pieces) -> tuple[int, int]:
        """Offset and time of a record, which its bytes begin with."""
        fields.take(1)
        time, offset = self.first_time + fields.varint(), self.base + fields.varint()
        return offset, self.last_time if self.time_kind else time

    def record(self, fields: Pieces) -> Record:
        """The record of these bytes. Raises ValueError where they end early."""
        offset, time = self.place(fields)
        key, value, headers = fields.optional(), fields.optional(), fields.headers()
        return Record(offset, time, self.time_kind, key, value, headers)


class BatchRecords:
    """The records of a batch of version 2 that ``ValueBatch`` has read all values of.

    They are best asked for in their order: what lies between two is stepped over, and from the
    first that is asked for to the last of the batch, its bytes are kept as they were decompressed.
    """

    __slots__ = ("_at", "_data", "_next", "_raw", "bare", "count", "kept")

    def __init__(self, raw: bytes, count: int, *, bare: bool) -> None:
        self._raw = raw
        #: How many records it has.
        self.count = count
        #: Whether no record has headers.
        self.bare = bare
        #: Bytes that are kept to read them from, by record.
        self.kept = len(raw) // count
        self._data: bytes | None = None
        self._at = self._next = 0

    def record(self, number: int, value: bytes | None) -> Record:
        """The record of this number from 0 on, whose value is known.

        One that cannot be read is a ``BROKEN`` one, which no decoder takes.
        """
        header = BatchHeader.of(self._raw)
        body = self._body(number)
        try:
            return header.record(body)._replace(value=value)
        except ValueError:
            time = header.last_time if header.time_kind else header.first_time
            broken = BROKEN + self._raw
            return Record(header.base + number, time, header.time_kind, None, broken, [])

    def forget(self) -> None:
        """Let go what can be decompressed again."""
        self._data = None

    def _body(self, number: int) -> Pieces:
        data = self._data
        if data is None:
            data = self._data = decompressed(memoryview(self._raw))
            self._at = self._next = 0
        elif number < self._next:
            self._at = self._next = 0
        at = self._at
        # Not by ``Pieces``, whose calls would cost more than all else of what is stepped over.
        for _ in range(self._next, number + 1):
            size = shift = 0
            while data[at] > _LAST:
                size |= (data[at] & _LAST) << shift
                shift += 7
                at += 1
            begin = at + 1
            at = begin + ((size | data[at] << shift) >> 1)
        self._at, self._next = at, number + 1
        if self._next == self.count:
            self._data = None
        return Pieces.of(data[begin:at])
