"""What has been, for small plots."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response

from nova_stream.api.access import needs, own_writes
from nova_stream.api.answers import Items, answer, answers
from nova_stream.api.parts import PREFIX, PartsOf
from nova_stream.clock import system_clock
from nova_stream.storage import history

router = APIRouter(prefix=PREFIX, tags=["history"], dependencies=[needs("read"), own_writes])


@router.get("/agents/history", responses=answers("AgentHistoryList", "All agents.", 504))
async def agents_history(
    parts: PartsOf,
    hours: Annotated[int, Query(ge=1, le=168, description="How far back.")] = 24,
    buckets: Annotated[int, Query(ge=1, le=200, description="How many pieces of time.")] = 24,
) -> Response:
    """What every registered agent did lately, by name: its tasks that ended, as the activity feed
    tells them, and its executions, in buckets of equal length up to now.
    """
    span = history.Span.until(system_clock(), hours, buckets)
    async with parts.database.connection() as connection:
        return answer(Items(await history.agents_history(connection, span)))


@router.get("/builds/history", responses=answers("BuildHistoryList", "Oldest first.", 504))
async def builds_history(
    parts: PartsOf,
    days: Annotated[int, Query(ge=1, le=366, description="How far back.")] = 30,
) -> Response:
    """The builds' figures over time, as the runs of refreshBuildStats found them."""
    since = system_clock() - timedelta(days=days)
    async with parts.database.connection() as connection:
        return answer(Items(await history.builds_history(connection, since)))
