"""Spans of requests, where traces are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova_stream.api.head import METHODS, asked_method
from nova_stream.api.state import PREFIX
from nova_stream.tracing import mark_failed, spanning

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

#: Probes would be most of all spans; a stream's span would last for hours.
_UNTRACED = ("/health/", "/metrics", f"{PREFIX}/stream")


class TracingMiddleware:
    """Makes a span of each request, in the caller's trace if it names one.

    It tells the route, never the address: that may hold names, or a token.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_UNTRACED):
            await self._app(scope, receive, send)
            return
        method = asked_method(scope)
        method = method if method in METHODS else "_OTHER"
        given = Headers(scope=scope)
        headers = {name: given[name] for name in ("traceparent", "tracestate") if name in given}
        with spanning(
            self._tracer, method, "SERVER", {"http.request.method": method}, headers=headers
        ) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        mark_failed(span)
                await send(message)

            try:
                await self._app(scope, receive, noting)
            finally:
                if (route := getattr(scope.get("route"), "path", None)) is not None:
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
