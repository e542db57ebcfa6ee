"""Records whose key, time and headers are read when somebody asks for them.

aiokafka makes a text, bytes and a tuple of each header, which takes longer than all else of a record
that has some. The stream looks at a record's value and offset, and at the rest only where it needs
care.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode

from nova_stream.kafka.pieces import Pieces

_HEADER = struct.Struct(">qiibIhiqqqhii")  # of a batch of version 2
_CODEC = 0x07
_APPEND_TIME = 0x08
_DECODE = {0: bytes, 1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
#: Headers of a record that has none.
_NO_HEADERS = b"\x00"
#: What has its version in its value is asked for no header.
_HAS_SEQ = b'"seq":'


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


def read_lazily(raw: memoryview) -> list[LazyRecord] | None:
    """The records of a whole batch of version 2, in their order; None where it is to be read as
    aiokafka does it: each record's headers will be asked for, offsets are missing, or something is
    of an unusual length. Raises what decompressing raises, and what a batch that ends early does.
    """
    fields = _HEADER.unpack_from(raw)
    base, attributes, last, count = (fields[n] for n in (0, 5, 6, 12))
    if last != count - 1:
        return None
    times = _Times(int(bool(attributes & _APPEND_TIME)), fields[7], fields[8])
    data = _DECODE[attributes & _CODEC](bytes(raw[_HEADER.size :]))
    found = _records(data, base, count, times)
    if found and found[0].rest != _NO_HEADERS and _HAS_SEQ not in (found[0].value or b""):
        return None
    return found


def _records(data: bytes, base: int, count: int, times: _Times) -> list[LazyRecord] | None:
    """All in one loop, since a call for each length would cost more than the record."""
    found: list[LazyRecord] = []
    add = found.append
    at = 0
    for number in range(count):
        size = data[at]
        if size > 0x7F:
            at += 1
            more = data[at]
            size = size & 0x7F | more << 7
            if more > 0x7F:
                at += 1
                more = data[at]
                size = size & 0x3FFF | more << 14
                if more > 0x7F:
                    return None
        start = at + 1
        end = start + (size >> 1)
        at = start + 1  # behind the attributes
        while data[at] > 0x7F:  # the time
            at += 1
        at += 1
        offset = data[at]
        if offset > 0x7F:
            at += 1
            offset = offset & 0x7F | data[at] << 7
        if offset != number + number:
            return None
        at += 1
        length = data[at]
        if length > 0x7F:
            at += 1
            if data[at] > 0x7F:
                return None
            length = length & 0x7F | data[at] << 7
        at += 1
        if length & 1 == 0:
            at += length >> 1
        elif length > 1:
            return None
        head = data[start:at]
        size_ = data[at]
        at += 1
        if size_ > 0x7F:
            more = data[at]
            at += 1
            size_ = size_ & 0x7F | more << 7
            if more > 0x7F:
                more = data[at]
                at += 1
                size_ = size_ & 0x3FFF | more << 14
                if more > 0x7F:
                    return None
        if size_ & 1 == 0:
            behind = at + (size_ >> 1)
            value: bytes | None = data[at:behind]
        elif size_ == 1:
            behind, value = at, None
        else:
            return None
        if behind >= end:
            return None
        add(LazyRecord(base + number, value, head, data[behind:end], times))
        at = end
    return found if at == len(data) else None
