"""Bytes that come in pieces, and what Kafka's record format makes of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: The header of a batch of version 2, and what is in its attributes: which codec, and whether its
#: records have the time when the broker wrote them.
HEADER = struct.Struct(">qiibIhiqqqhii")
CODEC = 0x07
APPEND_TIME = 0x08


class Pieces:
    """Bytes that come in pieces, taken from the front. Raises ValueError where they end early."""

    def __init__(self, begin: list[bytes], more: Iterator[bytes]) -> None:
        self._begin = begin[::-1]
        self._more = more
        self._piece = b""
        self._at = 0

    @classmethod
    def of(cls, data: bytes) -> Pieces:
        """One piece alone."""
        return cls([data], iter(()))

    def take(self, size: int) -> bytes:
        if size < 0:
            raise ValueError("a negative length")
        taken = self._piece[self._at : self._at + size]
        self._at += len(taken)
        if len(taken) == size:
            return taken
        parts, missing = [taken], size - len(taken)
        while missing:
            self._next_piece()
            part = self._piece[:missing]
            self._at = len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        while size > 0:
            left = len(self._piece) - self._at
            if left > size:
                self._at += size
                return
            size -= left
            self._at = len(self._piece)
            if size:
                self._next_piece()

    def varint(self) -> int:
        value = shift = 0
        while True:
            if self._at >= len(self._piece):
                self._next_piece()
            byte = self._piece[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7
            if shift > 63:
                raise ValueError("no varint")

    def optional(self) -> bytes | None:
        size = self.varint()
        return None if size < 0 else self.take(size)

    def headers(self) -> list[tuple[str, bytes | None]]:
        """A record's headers. Kafka takes any bytes for a name; Java's clients read them so."""
        count = self.varint()
        return [
            (self.take(self.varint()).decode(errors="replace"), self.optional())
            for _ in range(count)
        ]

    def _next_piece(self) -> None:
        self._at = 0
        piece = self._begin.pop() if self._begin else next(self._more, None)
        if piece is None:
            raise ValueError("cut off")
        self._piece = piece
