"""Compressed answers, for who wants them."""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import Receive, Scope, Send

_REFUSED = re.compile(r"gzip\s*;\s*q\s*=\s*0(\.0*)?\s*(,|$)", re.IGNORECASE)


class Gzip(GZipMiddleware):
    """Starlette's, which overlooks that ``gzip;q=0`` wants none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _REFUSED.search(
            Headers(scope=scope).get("accept-encoding", "")
        ):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
