"""computeAgentStats: the standing audit of the agents' figures, and their repair."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import msgspec

from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import BATCH, batch, connected
from nova_stream.jobs.engine.job import JobContext
from nova_stream.storage.audit import repair
from nova_stream.storage.audit.audit import Difference
from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance import days

#: Its name in the registry; the status shows its last audit.
NAME = "computeAgentStats"
#: Differences that a result names; ``drift`` counts all.
NAMED = 50
#: A flush holds a row for milliseconds.
_TRIES = 3
_PAUSE_S = 0.05
#: What comes later than that opens the day that it is of again.
_LATENESS = timedelta(hours=1)


class Result(msgspec.Struct, rename="camel"):
    """``computed`` agents are registered. ``drift`` is how many figures were not as counted, 0
    being the only good one; ``drift_by_figure`` counts them, ``differences`` names the first.
    """

    computed: int
    timestamp: str
    drift: int
    drift_by_figure: dict[str, int]
    differences: list[Difference]


async def run_once(context: JobContext) -> Result:
    """Count everything anew, repair what differs, confirm every row's ``cached_at``, and count the
    days of executions that are over.

    Raises what asyncpg raises, and what the lease's fence raises.
    """
    async with connected(context) as connection:
        found = await repair.recount_agents(connection)
        if found.differences:
            async with batch(context, connection):
                await repair.repair_agents(connection)
        await _confirm(context, connection)
        if not context.dry_run:
            await _count_days(context, connection)
    return Result(
        computed=found.agents,
        timestamp=time_text(context.now),
        drift=len(found.differences),
        drift_by_figure=dict(Counter(d.figure for d in found.differences)),
        differences=found.differences[:NAMED],
    )


async def _count_days(context: JobContext, connection: Connection) -> None:
    until = (context.now - _LATENESS).replace(hour=0, minute=0, second=0, microsecond=0)
    for agent in await days.behind(connection, until):
        more = True
        while more:
            async with batch(context, connection):
                more = await days.count_next(connection, agent, until)


async def _confirm(context: JobContext, connection: Connection) -> None:
    """Confirm all rows; those that flushes hold are tried again, then left to them."""
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_PAUSE_S)
        skipped = 0
        place: str | None = ""
        while place is not None:
            async with batch(context, connection, repeatable=True):
                done = await repair.confirm_agents(connection, context.now, place, BATCH)
            skipped += done.skipped
            place = done.place
        if not skipped:
            return
