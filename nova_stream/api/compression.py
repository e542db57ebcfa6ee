"""Answers on their way out: packed for who wants them so, in pieces that are taken one by one."""

from __future__ import annotations

import asyncio
import gzip
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Bytes from which packing is worth its time, and how hard it tries.
_FROM = 2048
_LEVEL = 4
#: Bytes from which it goes into a thread.
_OFF_LOOP = 32 * 1024
#: Bytes that are handed on before the client has taken most of them.
_PIECE = 64 * 1024

_WANTED = re.compile(r"(^|,)\s*(x-)?gzip\s*(;\s*q\s*=\s*(?!0(\.0*)?\s*(,|$))[\d.]+\s*)?(,|$)", re.I)
#: What lasts, or is packed already.
_AS_THEY_ARE = ("text/event-stream", "image/", "font/woff", "application/zip")


class Compressor:
    """Packs answers with gzip, and sends whatever is large in pieces."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, packs=wants_gzip(Headers(scope=scope)))
        await self._app(scope, receive, answer.send)


def wants_gzip(headers: Headers) -> bool:
    """Whether who sends these headers takes an answer that is packed."""
    return _WANTED.search(headers.get("accept-encoding", "")) is not None


def packed(body: bytes) -> bytes:
    """The body as gzip."""
    return gzip.compress(body, _LEVEL, mtime=0)


def is_packable(headers: Headers, size: int) -> bool:
    """Whether packing a body of ``size`` bytes with these headers is worth its time."""
    return size >= _FROM and _may_be_packed(headers)


class _Answer:
    """One answer."""

    def __init__(self, send: Send, *, packs: bool) -> None:
        self._send = send
        self._packs = packs
        self._start: Message = {}
        self._begun = False

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
        self._begun = True
        headers = MutableHeaders(raw=self._start["headers"])
        if _may_be_packed(headers):
            headers.add_vary_header("Accept-Encoding")
            body = message.get("body", b"")
            if self._packs and not message.get("more_body") and is_packable(headers, len(body)):
                if len(body) > _OFF_LOOP:
                    body = await asyncio.to_thread(packed, body)
                else:
                    body = packed(body)
                headers["Content-Encoding"] = "gzip"
                headers["Content-Length"] = str(len(body))
                message = {**message, "body": body}
        await self._send(self._start)
        await self._in_pieces(message)

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
