"""Records whose key, time and headers are read when somebody asks for them.

aiokafka makes a text, bytes and a tuple of each header, which takes longer than all else of a
record that has some. The stream looks at a record's value and offset, and at the rest only where it
needs care.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode

from nova_stream.kafka.pieces import APPEND_TIME, CODEC, HEADER, Pieces

_DECODE = {0: bytes, 1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
#: Headers of a record that has none.
_NO_HEADERS = b"\x00"
#: Numbers have seven bits a byte, the lowest first; what is above the first of these goes on.
_LAST, _TWO_BYTES = 0x7F, 0x3FFF
#: What has its version in its value is asked for no header.
_HAS_SEQ = b'"seq":'


class HeadersError(ValueError):
    """Headers of these records will be asked for."""


class _Times(NamedTuple):
    """What a batch says of its records' times."""

    kind: int
    first: int
    last: int


class LazyRecord(msgspec.Struct, gc=False, frozen=True):
    """A record, with what aiokafka's have; ``head`` and ``rest`` are the bytes before and behind
    the value.
    """

    offset: int
    value: bytes | None
    head: bytes
    rest: bytes
    times: _Times
    #: Bytes of all three.
    size: int

    #: As aiokafka gives it for records of batches.
    checksum = None

    @property
    def key(self) -> bytes | None:
        return self._fields()[1]

    @property
    def timestamp(self) -> int:
        return self.times.last if self.times.kind else self.times.first + self._fields()[0]

    @property
    def timestamp_type(self) -> int:
        return self.times.kind

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        return [] if self.rest == _NO_HEADERS else Pieces.of(self.rest).headers()

    def _fields(self) -> tuple[int, bytes | None]:
        head = Pieces.of(self.head)
        head.skip(1)
        time = head.varint()
        head.varint()
        return time, head.optional()


class LazyBatch:
    """A whole batch of version 2, decompressed, whose records are read some at a time.

    Raises ValueError where offsets are missing, and what decompressing raises; ``read`` raises
    HeadersError where somebody will ask for the headers of each, ValueError or IndexError where a
    length is unusual: all to be read as aiokafka does it.
    """

    def __init__(self, raw: memoryview) -> None:
        fields = HEADER.unpack_from(raw)
        self._base, attributes, last, self.count = (fields[n] for n in (0, 5, 6, 12))
        if last != self.count - 1:
            raise ValueError("offsets are missing")
        self._times = _Times(int(bool(attributes & APPEND_TIME)), fields[7], fields[8])
        self._data = decompressed(raw)
        self._at = 0

    @property
    def size(self) -> int:
        """Bytes of its records."""
        return len(self._data)

    def read(self, found: list[LazyRecord], most: int) -> None:  # noqa: C901, PLR0912, PLR0915
        """Add up to ``most`` more of its records to ``found``, which has those before."""
        # In one loop: calls cost more than all else of a record.
        data, base, times, at = self._data, self._base, self._times, self._at
        add = found.append
        stop = min(len(found) + most, self.count)
        for number in range(len(found), stop):
            size = data[at]
            at += 1
            if size > _LAST:
                size = size & _LAST | data[at] << 7
                at += 1
                if size > _TWO_BYTES:
                    size, at = _third_byte(size, data, at)
            whole = size >> 1
            start, end = at, at + whole
            at += 1  # the attributes
            while data[at] > _LAST:  # the time
                at += 1
            at += 1
            place = data[at]
            at += 1
            if place > _LAST:
                place = place & _LAST | data[at] << 7
                at += 1
            if place != number + number or place > _TWO_BYTES:
                raise ValueError("another offset")
            size = data[at]
            at += 1
            if size > _LAST:
                size = size & _LAST | data[at] << 7
                at += 1
            if size > _TWO_BYTES or (size & 1 and size > 1):
                raise ValueError("a long key, or a negative length")
            at += size >> 1
            head = data[start:at]
            size = data[at]
            at += 1
            if size > _LAST:
                size = size & _LAST | data[at] << 7
                at += 1
                if size > _TWO_BYTES:
                    size, at = _third_byte(size, data, at)
            value = None
            if size & 1 == 0:
                start, at = at, at + (size >> 1)
                value = data[start:at]
            elif size > 1:
                raise ValueError("a negative length")
            if at >= end:
                raise ValueError("no headers, not even none")
            rest = data[at:end]
            if not number and rest != _NO_HEADERS and _HAS_SEQ not in (value or b""):
                raise HeadersError
            add(LazyRecord(base + number, value, head, rest, times, whole))
            at = end
        self._at = at
        if stop == self.count and at != len(data):
            raise ValueError("of another length")


def decompressed(raw: memoryview) -> bytes:
    """The bytes of the records of a whole batch of version 2."""
    codec = HEADER.unpack_from(raw)[5] & CODEC
    data: bytes = _DECODE[codec](bytes(raw[HEADER.size :]))
    return data


def _third_byte(size: int, data: bytes, at: int) -> tuple[int, int]:
    """A number of three bytes, and where reading goes on."""
    third = data[at]
    if third > _LAST:
        raise ValueError("a number of four bytes")
    return size & _TWO_BYTES | third << 14, at + 1
