"""What has been, for small plots."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import HISTORY, within
from nova_stream.api.cursors import ListId, decode_cursor, decode_id, encode_cursor, encode_id
from nova_stream.api.openapi.responses import NOT_MODIFIED, Items, answer, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.parameters import NextCursor
from nova_stream.api.state import PREFIX, Services
from nova_stream.clock import system_clock
from nova_stream.errors import BadCursorError
from nova_stream.storage.database import Connection
from nova_stream.storage.places import ListPlace
from nova_stream.storage.stats import history

router = APIRouter(
    prefix=PREFIX, tags=["history"], dependencies=[needs("stats"), within(HISTORY), own_writes]
)


_AGENTS, _BUILDS = ListId("history of agents"), ListId("history of builds")
#: Runs a page of the builds' history.
_RUNS = 5000
#: The number of one.
_RUN = re.compile(r"[0-9]{1,18}")


async def _agents_history(
    connection: Connection, hours: int, buckets: int, after: str | None
) -> Items[history.AgentHistory]:
    span = history.Span.until(system_clock(), hours, buckets)
    items, end = await history.agents_history(connection, span, HISTORY.rows, after)
    return Items(items, encode_id(_AGENTS, end))


@router.get(
    "/agents/history",
    responses=answers("AgentHistoryList", "All agents.", 504) | NOT_MODIFIED,
)
async def agents_history(
    request: Request,
    services: Services,
    hours: Annotated[int, Query(ge=1, le=168, description="How far back.")] = 24,
    buckets: Annotated[
        int, Query(ge=1, le=200, description="How many buckets the range has.")
    ] = 24,
    cursor: NextCursor = None,
) -> Response:
    """What every registered agent did lately, by name: its tasks that ended, as the activity feed
    tells them, and its executions, in buckets of equal length up to now.
    """
    after = decode_id(_AGENTS, cursor)
    # A plot is costly, and every page that is open asks for it: they share it.
    return (await services.reads.get(_agents_history, hours, buckets, after)).answer(request)


@router.get("/builds/history", responses=answers("BuildHistoryList", "Oldest first.", 504))
async def builds_history(
    services: Services,
    days: Annotated[int, Query(ge=1, le=366, description="How far back.")] = 30,
    cursor: NextCursor = None,
) -> Response:
    """The builds' figures over time, as the runs of refreshBuildStats found them."""
    since = system_clock() - timedelta(days=days)
    after = _run_place(cursor)
    async with services.database.connection() as connection:
        items, end = await history.builds_history(connection, since, _RUNS, after)
    place = None if end is None else ListPlace(end.time, str(end.run_id))
    return answer(Items(items, encode_cursor(_BUILDS, place)))


def _run_place(cursor: str | None) -> history.RunPlace | None:
    place = decode_cursor(_BUILDS, cursor)
    if place is None:
        return None
    if place.time is None or not _RUN.fullmatch(place.id):
        raise BadCursorError
    return history.RunPlace(place.time, int(place.id))
