"""What has been, for small plots."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nova_stream.api.auth.access import needs, own_writes
from nova_stream.api.budget.budget import HISTORY, within
from nova_stream.api.cursors import (
    bad_cursor,
    decode_cursor,
    decode_id,
    encode_cursor,
    encode_id,
)
from nova_stream.api.openapi.responses import NOT_MODIFIED, Items, answer, answers
from nova_stream.api.state import PREFIX, PartsOf
from nova_stream.clock import system_clock
from nova_stream.storage.database import Connection
from nova_stream.storage.stats import history
from nova_stream.storage.stats.rows import ListPlace

router = APIRouter(
    prefix=PREFIX, tags=["history"], dependencies=[needs("stats"), within(HISTORY), own_writes]
)


_Cursor = Annotated[
    str | None, Query(description="`nextCursor` of the page before; none = the first page.")
]
#: Runs a page of the builds' history.
_RUNS = 5000
#: The number of one.
_RUN = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class _AgentsHistory:
    """The read of those who ask for the same history at one time: a plot is costly, and every
    page that is open asks for it.
    """

    hours: int
    buckets: int
    after: str

    async def __call__(self, connection: Connection) -> Items[history.AgentHistory]:
        span = history.Span.until(system_clock(), self.hours, self.buckets)
        items, end = await history.agents_history(connection, span, HISTORY.rows, self.after)
        return Items(items, encode_id(end))


@router.get(
    "/agents/history",
    responses=answers("AgentHistoryList", "All agents.", 504) | NOT_MODIFIED,
)
async def agents_history(
    request: Request,
    parts: PartsOf,
    hours: Annotated[int, Query(ge=1, le=168, description="How far back.")] = 24,
    buckets: Annotated[
        int, Query(ge=1, le=200, description="How many buckets the range has.")
    ] = 24,
    cursor: _Cursor = None,
) -> Response:
    """What every registered agent did lately, by name: its tasks that ended, as the activity feed
    tells them, and its executions, in buckets of equal length up to now.
    """
    return (await parts.reads.get(_AgentsHistory(hours, buckets, decode_id(cursor) or ""))).answer(
        request
    )


@router.get("/builds/history", responses=answers("BuildHistoryList", "Oldest first.", 504))
async def builds_history(
    parts: PartsOf,
    days: Annotated[int, Query(ge=1, le=366, description="How far back.")] = 30,
    cursor: _Cursor = None,
) -> Response:
    """The builds' figures over time, as the runs of refreshBuildStats found them."""
    since = system_clock() - timedelta(days=days)
    after = _run_place(cursor)
    async with parts.database.connection() as connection:
        items, end = await history.builds_history(connection, since, _RUNS, after)
    following = None if end is None else encode_cursor(ListPlace(end.time, str(end.run_id)))
    return answer(Items(items, following))


def _run_place(cursor: str | None) -> history.RunPlace | None:
    place = decode_cursor(cursor)
    if place is None:
        return None
    if place.time is None or not _RUN.fullmatch(place.id):
        raise bad_cursor()
    return history.RunPlace(place.time, int(place.id))
