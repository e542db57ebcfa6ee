"""Compressed request bodies, read within the bound that plain ones have."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_stream.api.head import BODILESS
from nova_stream.api.problems import ProblemError

#: Bytes that are unpacked before others get their turn.
_PIECE = 256 * 1024
_IDENTITY = {"", "identity"}
_GZIP = {"gzip", "x-gzip"}
_ACCEPTED = "gzip, deflate"


class RequestEncoding:
    """Unpacks bodies with ``Content-Encoding: gzip`` or ``deflate``; others are 415.

    What limits bodies stands on both sides of it: the same limit holds for packed bytes and for
    what comes out of them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        coding = ""
        if scope["type"] == "http" and scope["method"] not in BODILESS:
            coding = ",".join(Headers(scope=scope).getlist("content-encoding")).strip().lower()
        if coding in _IDENTITY:
            await self._app(scope, receive, send)
            return
        if coding not in _GZIP and coding != "deflate":
            raise ProblemError(
                415,
                "unsupported-encoding",
                f"A body with this Content-Encoding cannot be read; accepted are {_ACCEPTED}, one "
                "of them, and bodies as they are.",
                headers={"Accept-Encoding": _ACCEPTED, "Connection": "close"},
            )
        # In this very scope: what the route leaves in it is read outside, too.
        headers = MutableHeaders(scope=scope)
        for name in ("content-encoding", "content-length"):
            if name in headers:
                del headers[name]
        pieces = _pieces(receive, gzip=coding in _GZIP)

        async def unpacked() -> Message:
            return await anext(pieces, None) or await receive()

        try:
            await self._app(scope, unpacked, send)
        finally:
            await pieces.aclose()


async def _pieces(receive: Receive, *, gzip: bool) -> AsyncGenerator[Message]:
    body = _Body(gzip=gzip)
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            yield message
            return
        more = message.get("more_body", False)
        waiting = message.get("body", b"")
        full = False
        while waiting or full:
            piece, waiting = body.unpack(waiting)
            if piece:
                yield {"type": "http.request", "body": piece, "more_body": True}
            full = len(piece) == _PIECE  # more may come of bytes that are taken in already
            await asyncio.sleep(0)
    body.end()
    yield {"type": "http.request", "body": b"", "more_body": False}


class _Body:
    """A body as it is unpacked: members of gzip one after another, or one deflated text."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._member: zlib._Decompress | None = None
        self._begun = False

    def unpack(self, data: bytes) -> tuple[bytes, bytes]:
        """Some of what ``data`` unpacks to, and the packed bytes that are left."""
        if self._member is None:
            if not data:
                return b"", b""
            if self._begun and not self._gzip:
                raise _damaged()
            self._begun = True
            self._member = self._begin(data)
        try:
            piece = self._member.decompress(data, _PIECE)
        except zlib.error:
            raise _damaged() from None
        if not self._member.eof:
            return piece, self._member.unconsumed_tail
        left = self._member.unused_data
        self._member = None
        return piece, left

    def end(self) -> None:
        """Raise ProblemError 400 unless the packed body was whole."""
        if self._member is not None:
            raise _damaged()

    def _begin(self, data: bytes) -> zlib._Decompress:
        if self._gzip:
            return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        # Deflate has a zlib header, which names its one method, 8; some senders leave it out.
        headed = data[0] & 0x0F == 8
        return zlib.decompressobj(wbits=zlib.MAX_WBITS if headed else -zlib.MAX_WBITS)


def _damaged() -> ProblemError:
    return ProblemError(
        400, "bad-encoding", "The body does not match its Content-Encoding, or is cut off."
    )
