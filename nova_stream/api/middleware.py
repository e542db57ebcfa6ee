"""What stands around every request: measuring, errors as problems, guards and limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_stream.api import refusals
from nova_stream.api.auth.access import ACCESS, Access
from nova_stream.api.auth.rate_limit import RateLimit, counted_address
from nova_stream.api.auth.tokens import Tokens, secret_of
from nova_stream.api.budget.budget import CALLER, KB, too_large
from nova_stream.api.head import BODILESS, METHODS, asked_method
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.problems import (
    ProblemError,
    problem_of,
    problem_response,
    stopping,
    without_frames,
)
from nova_stream.errors import PositionNotReachedError

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_UNMATCHED = "(none)"
_OTHER = "other"
#: Paths that need a token, or may.
_PROTECTED = ("/api/", "/c/", "/metrics")
#: What proxies add to requests that they hand on.
_FORWARDED = {"forwarded", "via", "x-real-ip", "x-client-ip", "x-original-host", "true-client-ip"}
_FORWARDED_PREFIX = "x-forwarded-"
#: Headers of a request, and their bytes.
_HEADERS, _HEADER_BYTES = 100, 16 * KB
_REFUSALS = 400
#: Of problems those that tell what there is.
_TELLING = {404, 409, 504}


class RequestMiddleware:
    """Counts and times requests, and answers every exception as a problem."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            status = 0  # nobody is there to be answered
        except asyncio.CancelledError:
            # Nothing but the server's end cancels a request, once its time is up. Of an answer that
            # has begun the server cuts the connection.
            if not status:
                end = stopping(in_doubt=scope["method"] not in BODILESS)
                await problem_response(problem_of(end))(scope, receive, noting)
        except Exception as error:
            answer = problem_response(problem_of(error))
            if status:  # too late for another answer: the server cuts the connection
                raise
            without_frames(error)
            await answer(scope, receive, noting)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _UNMATCHED)
        method = _UNMATCHED
        if route != _UNMATCHED:
            method = asked_method(scope)
            method = method if method in METHODS else _OTHER
        self._metrics.requests.labels(method, route, status or "cut off").inc()
        self._metrics.seconds.labels(method, route).observe(seconds)


class Guard:
    """Brings stored tokens up to date, guards an API without any, holds callers to their rate, and
    lets an answer with data out only while the caller still may have it.
    """

    def __init__(
        self, app: ASGIApp, tokens: Tokens, rate: RateLimit, origins: Collection[str] = ()
    ) -> None:
        """``origins``: pages of these may ask an open API, too."""
        self._app = app
        self._tokens = tokens
        self._rate = rate
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            # Probes and pages must answer whatever Postgres does, and as often as they are asked.
            protected = scope["path"].startswith(_PROTECTED)
            if protected:
                await self._tokens.refresh()
            if self._tokens.open:
                _refuse_forwarded(headers)
            if self._tokens.open or self._tokens.unknown:
                _guard_open(headers, self._origins)
            if protected:
                secret = secret_of(scope)
                self._count(scope, secret)
                scope[ACCESS] = access = Access(self._tokens, secret)
                await self._confirmed(access, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _confirmed(self, access: Access, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what was asked for is done, and what tells something of the data goes out, if
        the access still holds.
        """

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                await access.again()
            return message

        async def confirming(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < _REFUSALS:
                await access.confirm()
            await send(message)

        try:
            await self._app(scope, receiving, confirming)
        except (ProblemError, PositionNotReachedError) as error:
            if problem_of(error).status in _TELLING:
                await access.confirm()
            raise

    def _count(self, scope: Scope, secret: str | None) -> None:
        client = scope.get("client")
        caller = self._tokens.caller(secret) or (counted_address(client[0]) if client else "")
        scope[CALLER] = caller
        self._rate.take(caller)


def _guard_open(headers: Headers, origins: Collection[str]) -> None:
    """Guard an API without tokens against web pages: a browser on this machine is the one way in
    from outside. The address asked for must be this machine (a foreign name that points here is
    another site's), and a page of another origin may send nothing, unless it is one of ``origins``
    by name: ``*`` is not enough here.
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    if not _is_loopback(f"//{host}"):
        raise refusals.foreign_host()
    if origin is not None and origin not in origins and _host_of(origin) != host:
        raise refusals.foreign_origin()


def _refuse_forwarded(headers: Headers) -> None:
    """An API without tokens serves this machine: what a proxy hands on comes from elsewhere, though
    the proxy may ask for 127.0.0.1.
    """
    for name in headers:
        if name in _FORWARDED or name.startswith(_FORWARDED_PREFIX):
            raise refusals.forwarded(name)


class SizeLimit:
    """Refuses more headers than programs send, which a stream would keep as long as it lasts, two
    lengths of one body, and bodies larger than the largest that any route takes, before they are
    unpacked.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _check_headers(scope["headers"])
        if scope["type"] != "http" or scope["method"] in BODILESS:
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("content-length", "")
        if given.isascii() and given.isdigit() and int(given) > self._limit:
            raise too_large(self._limit)
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise too_large(self._limit)
            return message

        await self._app(scope, counting, send)


def _check_headers(headers: Sequence[tuple[bytes, bytes]]) -> None:
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > _HEADERS or size > _HEADER_BYTES:
        raise ProblemError(
            431,
            "headers-too-large",
            f"The request has {len(headers)} headers of {size:,} bytes; at most {_HEADERS} of "
            f"{_HEADER_BYTES >> 10} kB together are taken.",
        )
    if {b"content-length", b"transfer-encoding"}.issubset(name for name, _ in headers):
        # The body would end elsewhere than its length says, which is what room is kept for, and
        # where a proxy may take another request to begin.
        raise ProblemError(
            400,
            "two-lengths",
            "A body has a Content-Length or a Transfer-Encoding, not both.",
            headers={"Connection": "close"},
        )


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return urlsplit(address).hostname in _LOOPBACK
    except ValueError:
        return False
