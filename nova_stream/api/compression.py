"""Answers on their way out: packed for who wants them so, in pieces that are taken one by one."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes from which packing is worth its time, and how hard it tries.
_FROM = 2048
_LEVEL = 4
#: Bytes from which it goes into a thread; and of a file that is packed at once.
_OFF_LOOP = 32 * 1024
_LARGEST_FILE = 8 * 1024 * 1024
#: Bytes that are handed on before the client has taken most of them.
_PIECE = 64 * 1024
#: Packed files that are kept.
_KEPT = 32

_WANTED = re.compile(r"(^|,)\s*(x-)?gzip\s*(;\s*q\s*=\s*(?!0(\.0*)?\s*(,|$))[\d.]+\s*)?(,|$)", re.I)
#: What lasts, or is packed already.
_AS_THEY_ARE = ("text/event-stream", "image/", "font/woff", "application/zip")
#: Paths of files, which stay the same while their ETag does.
_FILES = ("/static/", "/docs")


class Compressor:
    """Packs answers with gzip, and sends whatever is large in pieces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._packed: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        wanted = _WANTED.search(Headers(scope=scope).get("accept-encoding", ""))
        answer = _Answer(self, scope["path"], send, packs=wanted is not None)
        await self._app(scope, receive, answer.send)

    async def pack(self, path: str, headers: Headers, body: bytes) -> bytes:
        """The body, packed; that of a file once."""
        etag = headers.get("etag")
        key = (path, etag) if etag and (path == "/" or path.startswith(_FILES)) else None
        if key is not None and key in self._packed:
            self._packed.move_to_end(key)
            return self._packed[key]
        if len(body) <= _OFF_LOOP:
            packed = gzip.compress(body, _LEVEL, mtime=0)
        else:
            packed = await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)
        if key is not None:
            self._packed[key] = packed
            if len(self._packed) > _KEPT:
                self._packed.popitem(last=False)
        return packed


class _Answer:
    """One answer."""

    def __init__(self, packer: Compressor, path: str, send: Send, *, packs: bool) -> None:
        self._packer = packer
        self._path = path
        self._send = send
        self._packs = packs
        self._start: Message = {}
        self._begun = False
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        if self._begun:
            await self._in_pieces(message)
            return
        if self._gathers(message):
            self._body += message.get("body", b"")
            return
        self._begun = True
        if self._body:
            message = {**message, "body": bytes(self._body) + message.get("body", b"")}
            self._body.clear()
        headers = MutableHeaders(raw=self._start["headers"])
        if _may_be_packed(headers):
            headers.add_vary_header("Accept-Encoding")
            if self._packs and not message.get("more_body") and len(message["body"]) >= _FROM:
                packed = await self._packer.pack(self._path, headers, message["body"])
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(packed))
                message = {**message, "body": packed}
        await self._send(self._start)
        await self._in_pieces(message)

    def _gathers(self, message: Message) -> bool:
        """Whether more of a file is waited for, which is packed as a whole."""
        headers = Headers(raw=self._start["headers"])
        length = headers.get("content-length", "")
        return (
            bool(message.get("more_body"))
            and self._packs
            and _may_be_packed(headers)
            and length.isdigit()
            and int(length) <= _LARGEST_FILE
        )

    async def _in_pieces(self, message: Message) -> None:
        """The server holds no more of it than a piece or two while the client does not read."""
        body = message.get("body", b"")
        if len(body) <= _PIECE:
            await self._send(message)
            return
        for start in range(0, len(body), _PIECE):
            end = start + _PIECE
            more = end < len(body) or message.get("more_body", False)
            piece = {"type": "http.response.body", "body": body[start:end], "more_body": more}
            await self._send(piece)


def _may_be_packed(headers: Headers) -> bool:
    kind = headers.get("content-type", "")
    return "content-encoding" not in headers and not kind.startswith(_AS_THEY_ARE)
