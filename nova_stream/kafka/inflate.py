"""Decompressing a batch of records in pieces, so that what it claims to be costs no memory."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cramjam

GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4

_PIECE = 1024 * 1024
_GZIP_MOST = 1032  # deflate makes no byte into more
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16
_LZ4_SIZES = {4: 64 * 1024, 5: 256 * 1024, 6: 1024 * 1024, 7: 4 * 1024 * 1024}
_LZ4_UNCOMPRESSED = 0x80000000
_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_BLOCK = 128 * 1024
#: What zstd keeps of a frame while it reads it: levels up to 19 have 8 MB at most.
_ZSTD_WINDOW = 32 * 1024 * 1024
#: Where the system shows a process its open files by number.
_DESCRIPTORS = "/dev/fd"


def most_bytes(codec: int, data: memoryview) -> int:
    """Bytes that ``data`` has at most when decompressed, without decompressing it: exact to a block
    but for gzip. Raises ValueError or struct.error where it is not of that codec.
    """
    if codec == GZIP:
        return len(data) * _GZIP_MOST
    if codec == SNAPPY:
        return sum(_snappy_length(block) for block in _snappy_blocks(data))
    if codec == LZ4:
        largest, _ = _lz4_frame(data)
        return largest * sum(1 for _ in _lz4_blocks(data))
    if codec == ZSTD:
        return sum(frame.most for frame in _zstd_frames(data))
    raise ValueError(f"no codec {codec}")


def pieces(codec: int, data: memoryview) -> Iterator[bytes]:
    """``data`` decompressed, in pieces of a few megabytes at most.

    LZ4 with linked blocks and Snappy without blocks come as one piece: look at ``in_pieces`` or
    ``most_bytes`` before. Raises zlib.error, cramjam.DecompressionError, ValueError, struct.error
    or OSError.
    """
    if codec == GZIP:
        yield from _gzip_pieces(data)
    elif codec == SNAPPY:
        for block in _snappy_blocks(data):
            yield bytes(cramjam.snappy.decompress_raw(block))
    elif codec == LZ4:
        yield from _lz4_pieces(data)
    elif codec == ZSTD:
        yield from _zstd_pieces(data)
    else:
        raise ValueError(f"no codec {codec}")


def in_pieces(codec: int, data: memoryview) -> bool:
    """Whether ``pieces`` of this batch are small. Raises ValueError or struct.error."""
    if codec == SNAPPY:
        return bytes(data[:8]) == _XERIAL
    if codec == LZ4:
        return _lz4_frame(data)[1]
    if codec == ZSTD:
        windows = (frame.window for frame in _zstd_frames(data))
        return max(windows, default=0) <= _ZSTD_WINDOW and Path(_DESCRIPTORS).is_dir()
    return codec == GZIP


def _gzip_pieces(data: memoryview) -> Iterator[bytes]:
    rest: memoryview | bytes = data
    while rest:
        inflater = zlib.decompressobj(wbits=31)
        while not inflater.eof:
            piece = inflater.decompress(rest, _PIECE)
            rest = inflater.unconsumed_tail
            if piece:
                yield piece
            elif not inflater.eof and not rest:
                raise ValueError("gzip: cut off")
        rest = inflater.unused_data


def _snappy_blocks(data: memoryview) -> Iterator[memoryview]:
    if bytes(data[:8]) != _XERIAL:
        yield data
        return
    at = _XERIAL_HEADER
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if not 0 < size <= len(data) - at:
            raise ValueError("snappy: cut off")
        yield data[at : at + size]
        at += size


def _snappy_length(block: memoryview) -> int:
    length = 0
    for place, byte in enumerate(block[:5]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return length
    raise ValueError("snappy: no length")


def _lz4_frame(data: memoryview) -> tuple[int, bool]:
    """The largest size of a block, and whether each stands alone."""
    flags, sizes = data[4], data[5] >> 4 & 7
    if sizes not in _LZ4_SIZES:
        raise ValueError("lz4: no frame")
    return _LZ4_SIZES[sizes], bool(flags & 0x20)


def _lz4_blocks(data: memoryview) -> Iterator[tuple[bool, memoryview]]:
    flags = data[4]
    at = 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
    while True:
        (head,) = struct.unpack_from("<I", data, at)
        at += 4
        if not head:
            return
        size = head & ~_LZ4_UNCOMPRESSED
        if size > len(data) - at:
            raise ValueError("lz4: cut off")
        yield bool(head & _LZ4_UNCOMPRESSED), data[at : at + size]
        at += size + (4 if flags & 0x10 else 0)


def _lz4_pieces(data: memoryview) -> Iterator[bytes]:
    largest, alone = _lz4_frame(data)
    if not alone:
        yield bytes(cramjam.lz4.decompress(data))
        return
    for plain, block in _lz4_blocks(data):
        yield bytes(
            block if plain else cramjam.lz4.decompress_block(bytes(block), output_len=largest)
        )


def _zstd_pieces(data: memoryview) -> Iterator[bytes]:
    """Through a pipe, which holds back the thread that decompresses: cramjam decompresses zstd as a
    whole, but into any file.
    """
    failures: list[Exception] = []
    reading, writing = os.pipe()
    try:
        try:
            path = f"{_DESCRIPTORS}/{writing}"
            target = cramjam.File(path, read=False, write=True, truncate=False)
        finally:
            os.close(writing)
        thread = threading.Thread(
            target=_zstd_into, args=(data, target, failures), name="zstd", daemon=True
        )
        del target  # the pipe ends when the thread does
        thread.start()
        while piece := os.read(reading, _PIECE):
            yield piece
    finally:
        os.close(reading)  # a thread that still writes ends with an error
    thread.join()
    if failures:
        raise failures[0]


def _zstd_into(data: memoryview, target: cramjam.File, failures: list[Exception]) -> None:
    try:
        cramjam.zstd.decompress_into(data, target)
    except (OSError, cramjam.DecompressionError) as error:
        failures.append(error.with_traceback(None))  # else it keeps the pipe open


class _ZstdFrame(NamedTuple):
    """The memory that a frame takes to read, and the bytes that it has at most."""

    window: int
    most: int


def _zstd_frames(data: memoryview) -> Iterator[_ZstdFrame]:
    at = 0
    while at < len(data):
        (magic,) = struct.unpack_from("<I", data, at)
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # a frame to be skipped
            at += 8 + int(struct.unpack_from("<I", data, at + 4)[0])
            continue
        if magic != _ZSTD_MAGIC:
            raise ValueError("zstd: no frame")
        flags = data[at + 4]
        alone = flags >> 5 & 1
        at += 5
        size_at = at + (not alone) + (0, 1, 2, 4)[flags & 3]
        size_bytes = (alone, 2, 4, 8)[flags >> 6]
        if alone:
            window = int.from_bytes(data[size_at : size_at + size_bytes], "little")
        else:
            base = 1 << 10 + (data[at] >> 3)
            window = base + base // 8 * (data[at] & 7)
        at = size_at + size_bytes
        most, last = 0, False
        while not last:
            head = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
            most += size if kind < 2 else _ZSTD_BLOCK
            at += 3 + (1 if kind == 1 else size)
        at += 4 if flags & 4 else 0
        yield _ZstdFrame(window, most)
