"""Methods, and ``HEAD``: the status and headers of ``GET``, without a body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: What metrics, spans and the trail call a method; a request may make up any word.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
BODILESS = {"GET", "HEAD"}
#: Where a scope tells what was asked for, once it says GET.
ASKED = "nova_stream.method"


class HeadAsGet:
    """Has ``HEAD`` answered as ``GET`` is; a stream ends at its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = False

        async def headers_only(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                await send(message)
            elif not answered:
                answered = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def until_answered() -> Message:
            return {"type": "http.disconnect"} if answered else await receive()

        # A copy: the server goes by its own that HEAD has no body.
        as_get = {**scope, "method": "GET", ASKED: "HEAD"}
        await self._app(as_get, until_answered, headers_only)


def asked_method(scope: Scope) -> str:
    """The method of the request, ``HEAD`` also while it is answered as ``GET``."""
    return str(scope.get(ASKED, scope["method"]))
