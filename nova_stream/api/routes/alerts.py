"""What needs attention: open alerts, and who sees to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from nova_stream.api.auth.access import access_of
from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import LINES, ROW, within
from nova_stream.api.openapi.responses import answer, answers
from nova_stream.api.paging import AskedLines, text
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import PREFIX, Services
from nova_stream.clock import system_clock
from nova_stream.storage.jobs import read as read_jobs
from nova_stream.storage.jobs.alerts import AlertStore
from nova_stream.storage.jobs.rows import AlertKind

router = APIRouter(prefix=PREFIX, tags=["operation"])


class _Alerts(AskedLines):
    name = "alerts"


@router.get(
    "/alerts",
    responses=answers("AlertList", "A page."),
    dependencies=[needs("stats"), within(LINES)],
)
async def alerts(
    services: Services,
    asked: Annotated[_Alerts, Depends()],
    is_open: Annotated[
        bool | None,
        Query(alias="open", description="Only open ones, or only closed ones."),
    ] = None,
    kind: Annotated[AlertKind | None, Query(description="Only alerts of this kind.")] = None,
    q: Annotated[str | None, text("Only those with this text in their subject or message.")] = None,
) -> Response:
    """Alerts, newest first. `from` and `to` are of their begin."""
    async with services.database.connection() as connection:
        found = await read_jobs.alerts(connection, *asked.asked, is_open=is_open, kind=kind, q=q)
    return answer(asked.page(found))


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
