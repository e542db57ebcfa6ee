"""Batches of which only the values are read, until somebody asks for more.

aiokafka makes a text, bytes and a tuple of each header, which takes longer than all else of a
record that has some. The stream looks at a record's value and offset, and at the rest only where it
needs care.
"""

from __future__ import annotations

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode

from nova_stream.kafka.pieces import CODEC, HEADER

_DECODE = {0: bytes, 1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
#: Numbers have seven bits a byte, the lowest first; what is above the first of these goes on.
_LAST, _TWO_BYTES = 0x7F, 0x3FFF
#: What has its version in its value is asked for no header.
_HAS_SEQ = b'"seq":'


class HeadersError(ValueError):
    """Headers of these records will be asked for."""


class ValueBatch:
    """A whole batch of version 2, decompressed, whose values are read some at a time.

    Raises ValueError where offsets are missing or there are more than ``most`` records, and what
    decompressing raises; ``read`` raises HeadersError where somebody will ask for the headers of
    each, ValueError or IndexError where a length is unusual: all to be read as aiokafka does it.
    """

    def __init__(self, raw: memoryview, most: int) -> None:
        fields = HEADER.unpack_from(raw)
        self.base, last, self.count = (fields[n] for n in (0, 6, 12))
        if last != self.count - 1 or not 0 < self.count <= most:
            raise ValueError("offsets are missing, or there are none or many records")
        self._data = decompressed(raw)
        self._at = 0
        #: Whether no record that was read has headers.
        self.bare = True

    @property
    def size(self) -> int:
        """Bytes of its records."""
        return len(self._data)

    def read(self, found: list[bytes | None], most: int) -> None:  # noqa: C901, PLR0912, PLR0915
        """Add the values of up to ``most`` more records to ``found``, which has those before."""
        # In one loop: calls cost more than all else of a record.
        data, at, bare = self._data, self._at, self.bare
        add, first = found.append, not found
        stop = min(len(found) + most, self.count)
        for number in range(len(found), stop):
            size = data[at]
            at += 1
            if size > _LAST:
                size = size & _LAST | data[at] << 7
                at += 1
                if size > _TWO_BYTES:
                    size, at = _third_byte(size, data, at)
            end = at + (size >> 1)
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
            if data[at]:
                if first and _HAS_SEQ not in (value or b""):
                    raise HeadersError
                bare = False
            first = False
            add(value)
            at = end
        self._at, self.bare = at, bare
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
