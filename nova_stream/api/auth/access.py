"""Dependencies of routes: a scope, and waiting for one's own writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import ClientDisconnect

from nova_stream.api.auth.tokens import Confirm, access_of
from nova_stream.api.auth.trailed import acts_as_admin, deed_of
from nova_stream.api.state import PartsOf, parts_of
from nova_stream.publish.position_token import PositionToken
from nova_stream.scopes import Scope
from nova_stream.storage.access.trail import BEGUN

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token of NOVA_API_TOKEN, NOVA_API_TOKENS or `nova-stream tokens create`; where "
    "there is none, none is needed.",
)


def needs(*scopes: Scope, confirm: Confirm = "fresh") -> Any:
    """A route's dependency: the request carries a token with one of ``scopes``, and still may when
    its answer goes out, as ``confirm`` says. What administrators do begins once the audit trail
    has it.
    """

    async def check(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> None:
        given = credentials.credentials if credentials else None
        access = access_of(request.scope)
        access.check(given, *scopes, confirm=confirm)
        if acts_as_admin(request.scope, access) and not access.begun:
            access.begun = True
            deed = deed_of(request.scope, access, BEGUN, refused=False)
            await parts_of(request).trail.begin(deed)

    return Depends(check)


async def _own_writes(
    request: Request,
    parts: PartsOf,
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
        await while_there(request, parts.watch.wait(token, timeout))
        reached = "yes"
    finally:
        parts.metrics.waits.labels(reached).observe(time.monotonic() - started)


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
