"""The fast path of the reads that are asked for the most.

A read without parameters needs nothing of what the framework does for each request, which takes
longer than the read. With parameters, and in the OpenAPI document, they are ordinary routes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from nova_stream.api.auth.access import access_of
from nova_stream.api.budget.budget import Budget
from nova_stream.api.budget.spending import spending_of
from nova_stream.api.coalescing import Read, SingleFlight


class _Route(NamedTuple):
    """What metrics call it."""

    path: str


class FastPath:
    """Answers ``GET`` of the paths of ``ways``; everything else goes on."""

    def __init__(
        self, app: ASGIApp, ways: Mapping[str, tuple[Read, Budget]], reads: SingleFlight
    ) -> None:
        self._app = app
        self._ways = ways
        self._reads = reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._ways.get(scope["path"]) if scope["type"] == "http" else None
        if way is None or scope["query_string"] or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        scope["route"] = _Route(scope["path"])
        request = Request(scope)
        read, budget = way
        access_of(scope).check("stats")
        spending_of(scope).begin(budget)
        made = await self._reads.get(read)
        await made.answer(request)(scope, receive, send)
