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
        fields = HEADER.unpack_from(self._raw)
        base, attributes, first_time, last_time = (fields[n] for n in (0, 5, 7, 8))
        body = self._body(number)
        try:
            body.take(1)
            time, _, key = first_time + body.varint(), body.varint(), body.optional()
            body.skip(max(body.varint(), 0))
            headers = body.headers()
        except ValueError:
            time, key, value, headers = first_time, None, BROKEN + self._raw, []
        kind = int(bool(attributes & APPEND_TIME))
        return Record(base + number, last_time if kind else time, kind, key, value, headers)

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
