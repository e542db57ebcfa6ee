"""What needs attention: open alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from nova_stream.api.auth.access import needs
from nova_stream.api.budget.budget import LINES, within
from nova_stream.api.cursors import decode_number, encode_number
from nova_stream.api.openapi.responses import Items, answer, answers
from nova_stream.api.state import PREFIX, PartsOf
from nova_stream.storage.jobs import read as read_jobs

router = APIRouter(prefix=PREFIX, tags=["operation"], dependencies=[needs("stats"), within(LINES)])


@router.get("/alerts", responses=answers("AlertList", "A page."))
async def alerts(
    parts: PartsOf,
    is_open: Annotated[
        bool | None,
        Query(alias="open", description="Only open ones, or only closed ones."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="Rows a page.")] = 50,
    cursor: Annotated[
        str | None, Query(description="`nextCursor` of the page before; none = the first page.")
    ] = None,
) -> Response:
    """Alerts, newest first."""
    before = decode_number(cursor)
    async with parts.database.connection() as connection:
        items, end = await read_jobs.alerts(connection, limit, before, is_open=is_open)
    return answer(Items(items, encode_number(end)))
