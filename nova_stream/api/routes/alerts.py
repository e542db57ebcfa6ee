"""What needs attention: open alerts, and who sees to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from nova_stream.api.auth.access import access_of
from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import LINES, ROW, within
from nova_stream.api.cursors import decode_number, encode_number
from nova_stream.api.openapi.responses import Items, answer, answers
from nova_stream.api.parameters import NextCursor, Rows
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import PREFIX, Services
from nova_stream.clock import system_clock
from nova_stream.storage.jobs import read as read_jobs
from nova_stream.storage.jobs.alerts import AlertStore

router = APIRouter(prefix=PREFIX, tags=["operation"])


@router.get(
    "/alerts",
    responses=answers("AlertList", "A page."),
    dependencies=[needs("stats"), within(LINES)],
)
async def alerts(
    services: Services,
    is_open: Annotated[
        bool | None,
        Query(alias="open", description="Only open ones, or only closed ones."),
    ] = None,
    limit: Rows = 50,
    cursor: NextCursor = None,
) -> Response:
    """Alerts, newest first."""
    before = decode_number(cursor)
    async with services.database.connection() as connection:
        items, end = await read_jobs.alerts(connection, limit, before, is_open=is_open)
    return answer(Items(items, encode_number(end)))


@router.post(
    "/alerts/{id}/acknowledge",
    responses=answers("Alert", "The alert.", 404),
    dependencies=[needs("admin", confirm="never"), within(ROW)],
)
async def acknowledge(
    request: Request,
    services: Services,
    id_: Annotated[int, Path(alias="id", ge=1, le=2**63 - 1, examples=[3])],
) -> Response:
    """Say that you see to an alert. It stays open until its condition is gone; whoever was first
    stays named.
    """
    caller = access_of(request.scope).caller
    who = caller.name if caller is not None else "somebody without a token"
    async with services.database.connection() as connection:
        found = await AlertStore(connection).acknowledge(id_, who, system_clock())
    if found is None:
        raise ProblemError(404, "unknown-alert", f"There is no alert {id_}.")
    return answer(found)
