"""What stands around every request: measuring, errors as problems, and the guard of an open API."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.problems import ProblemError, problem_of, problem_response

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_UNMATCHED = "(none)"


class Outermost:
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
        except Exception as error:
            problem = problem_of(error)
            if status:  # too late for another answer: the server cuts the connection
                raise
            await problem_response(problem)(scope, receive, noting)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", _UNMATCHED)
        method = scope["method"] if route != _UNMATCHED else _UNMATCHED
        self._metrics.requests.labels(method, route, status or "cut off").inc()
        self._metrics.seconds.labels(method, route).observe(seconds)


class OpenGuard:
    """Guards an API without tokens against web pages: a browser on this machine is the one way in
    from outside. The address asked for must be this machine (a foreign name that points here is
    another site's), and a page of another origin may send nothing.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "")
            origin = headers.get("origin")
            if not _is_loopback(f"//{host}"):
                raise ProblemError(
                    403,
                    "foreign-host",
                    "Without a configured token only 127.0.0.1 and localhost are served; "
                    "set NOVA_API_TOKEN.",
                )
            if origin is not None and urlsplit(origin).netloc != host:
                raise ProblemError(
                    403,
                    "foreign-origin",
                    "Without a configured token pages of other origins are not served; "
                    "set NOVA_API_TOKEN.",
                )
        await self._app(scope, receive, send)


def _is_loopback(address: str) -> bool:
    try:
        return urlsplit(address).hostname in _LOOPBACK
    except ValueError:
        return False
