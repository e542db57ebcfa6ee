"""Waiting for one's own writes, as a route's dependency."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.requests import ClientDisconnect

from nova_stream.api.budget.budget import CALLER
from nova_stream.api.state import Services
from nova_stream.publish.position_token import PositionToken


async def _own_writes(
    request: Request,
    services: Services,
    after: Annotated[
        str | None,
        Query(
            description="A position token that publishing gave: the answer contains everything "
            "up to it."
        ),
    ] = None,
    timeout: Annotated[
        float, Query(ge=0, le=60, description="Seconds to wait for it; then the answer is 504.")
    ] = 10,
) -> None:
    if after is None:
        return
    token = PositionToken.decode(after)
    started = time.monotonic()
    reached = "no"
    try:
        caller = request.scope.get(CALLER, "")
        await while_there(request, services.watch.wait(token, timeout, caller))
        reached = "yes"
    finally:
        services.metrics.waits.labels(reached).observe(time.monotonic() - started)


async def while_there(request: Request, waiting: Awaitable[None]) -> None:
    """Wait for something as long as the client is there; raises ClientDisconnect when it goes."""
    left = asyncio.ensure_future(_left(request))
    waits = asyncio.ensure_future(waiting)
    try:
        await asyncio.wait({left, waits}, return_when=asyncio.FIRST_COMPLETED)
        if not waits.done():
            raise ClientDisconnect
        waits.result()
    finally:
        for task in (left, waits):
            task.cancel()
        await asyncio.gather(left, waits, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


#: A route's dependency: ``?after=TOKEN&timeout=SECONDS``.
own_writes = Depends(_own_writes)
