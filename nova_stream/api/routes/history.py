"""What has been, for small plots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nova_stream.api.access import needs, own_writes
from nova_stream.api.answers import NOT_MODIFIED, Items, answer, answers
from nova_stream.api.parts import PREFIX, PartsOf
from nova_stream.clock import system_clock
from nova_stream.storage import history
from nova_stream.storage.read import Connection

router = APIRouter(prefix=PREFIX, tags=["history"], dependencies=[needs("stats"), own_writes])


@dataclass(frozen=True)
class _AgentsHistory:
    """The read of those who ask for the same history at one time: a plot is costly, and every
    page that is open asks for it.
    """

    hours: int
    buckets: int

    async def __call__(self, connection: Connection) -> Items[history.AgentHistory]:
        span = history.Span.until(system_clock(), self.hours, self.buckets)
        return Items(await history.agents_history(connection, span))


@router.get(
    "/agents/history",
    responses=answers("AgentHistoryList", "All agents.", 504) | NOT_MODIFIED,
)
async def agents_history(
    request: Request,
    parts: PartsOf,
    hours: Annotated[int, Query(ge=1, le=168, description="How far back.")] = 24,
    buckets: Annotated[int, Query(ge=1, le=200, description="How many pieces of time.")] = 24,
) -> Response:
    """What every registered agent did lately, by name: its tasks that ended, as the activity feed
    tells them, and its executions, in buckets of equal length up to now.
    """
    return (await parts.reads.get(_AgentsHistory(hours, buckets))).answer(request)


@router.get("/builds/history", responses=answers("BuildHistoryList", "Oldest first.", 504))
async def builds_history(
    parts: PartsOf,
    days: Annotated[int, Query(ge=1, le=366, description="How far back.")] = 30,
) -> Response:
    """The builds' figures over time, as the runs of refreshBuildStats found them."""
    since = system_clock() - timedelta(days=days)
    async with parts.database.connection() as connection:
        return answer(Items(await history.builds_history(connection, since)))
