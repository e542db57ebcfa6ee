"""refreshBuildStats: the standing audit of the builds' figures, their repair, and their history."""

from __future__ import annotations

from collections import Counter

import msgspec

from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import batch, connected, run_of
from nova_stream.jobs.engine.job import JobContext
from nova_stream.storage.audit import repair
from nova_stream.storage.audit.audit import Difference
from nova_stream.storage.stats.read import shown

#: Its name in the registry; the status shows its last audit.
NAME = "refreshBuildStats"


class Result(msgspec.Struct, rename="camel"):
    """The figures as counted; ``drift`` is how many of the incremental ones were not as counted,
    0 being the only good one.
    """

    total_builds: int
    completed_builds: int
    failed_builds: int
    running_builds: int
    success_rate: float
    avg_duration_ms: float
    timestamp: str
    drift: int
    drift_by_figure: dict[str, int]
    differences: list[Difference]


async def run_once(context: JobContext) -> Result:
    """Count the builds anew, repair what differs, confirm the cached row, and append the figures
    to ``build_stats_history``.

    Raises what asyncpg raises, and what the lease's fence raises.
    """
    async with connected(context) as connection:
        found = await repair.recount_builds(connection)
        drift = len(found.differences)
        if drift:
            async with batch(context, connection):
                await repair.repair_builds(connection)
        async with batch(context, connection):
            await repair.confirm_builds(connection, context.now)
            await repair.remember_builds(
                connection, context.now, found.figures, drift, run_of(context)
            )
    figures = found.figures
    return Result(
        total_builds=figures["total_builds"],
        completed_builds=figures["completed_builds"],
        failed_builds=figures["failed_builds"],
        running_builds=figures["running_builds"],
        success_rate=shown(figures["success_rate"]),
        avg_duration_ms=shown(figures["avg_duration_ms"]),
        timestamp=time_text(context.now),
        drift=drift,
        drift_by_figure=dict(Counter(d.figure for d in found.differences)),
        differences=found.differences,
    )
