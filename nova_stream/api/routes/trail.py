"""Who did what, and what one's own token may do."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from nova_stream.api.auth.access import access_of
from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import LINES, PROBE, within
from nova_stream.api.openapi.responses import TokenRights, answer, answers
from nova_stream.api.paging import AskedLines, text
from nova_stream.api.parameters import NO_NUL
from nova_stream.api.state import PREFIX, Services
from nova_stream.events.times import time_text
from nova_stream.scopes import SCOPES
from nova_stream.storage.access import trail as trail_store

router = APIRouter(prefix=PREFIX, tags=["access"])


class _Trail(AskedLines):
    name = "audit trail"


@router.get(
    "/trail",
    responses=answers("TrailList", "A page."),
    dependencies=[needs("admin"), within(LINES)],
)
async def trail(
    services: Services,
    asked: Annotated[_Trail, Depends()],
    token: Annotated[
        str | None,
        Query(pattern=NO_NUL, description="Only lines of the token of this name."),
    ] = None,
    refused: Annotated[
        bool | None, Query(description="Only refused actions, or only allowed ones.")
    ] = None,
    q: Annotated[
        str | None, text("Only those with this text in action, object or outcome.")
    ] = None,
) -> Response:
    """The audit trail, newest first: what was published, what administrators did or looked at, and
    what was refused. It only grows. `from` and `to` are of when it last happened.
    """
    await services.trail.flush()
    async with services.database.connection() as connection:
        found = await trail_store.page(connection, *asked.asked, token=token, refused=refused, q=q)
    return answer(asked.page(found))


@router.get(
    "/token",
    responses=answers("TokenRights", "The scopes."),
    dependencies=[needs(*SCOPES, confirm="known"), within(PROBE)],
)
async def rights(request: Request) -> Response:
    """What the request's token may do, and until when. Without any token in the API everybody may
    do everything.
    """
    caller = access_of(request.scope).caller
    if caller is None:
        return answer(TokenRights(None, list(SCOPES), None))
    scopes = [scope for scope in SCOPES if scope in caller.scopes]
    end = None if caller.expires_at is None else time_text(caller.expires_at)
    return answer(TokenRights(caller.name, scopes, end))
