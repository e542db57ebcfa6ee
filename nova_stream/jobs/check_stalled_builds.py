"""checkStalledBuilds: running builds that nothing happens to are failed, by change events."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta

import msgspec

from nova_stream.events.change import Entity
from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import BATCH, connected
from nova_stream.jobs.engine.job import JobContext
from nova_stream.jobs.stall_events import StallPublisher, Verdict, verdict_of
from nova_stream.storage.apply.positions import version_kinds
from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance import stalled

#: Seconds to wait for the stream to apply what was published.
WAIT = 10.0
_LOOK_EVERY_S = 0.05


class Result(msgspec.Struct, rename="camel"):
    """``stalled`` builds were failed: ``builds``. ``applied`` says whether the stream has applied
    that: not yet when no worker runs, and never in a dry run.
    """

    stalled: int
    check_time: str
    applied: bool
    builds: list[str]


async def run_once(context: JobContext) -> Result:
    """Fail what has stalled, by the basis NOVA_STALL_BASIS, and wait until that is applied.

    A build that finishes at the same moment stays as it finished: it is not counted, and its
    activity is withdrawn. Raises what publishing raises (then some may be published; the next run
    publishes the same again), what asyncpg raises, and what the lease's fence raises.
    """
    settings = context.settings
    cutoff = context.now - timedelta(minutes=settings.stall_minutes)
    topics = [settings.topic(Entity.BUILDS), settings.topic(Entity.ACTIVITIES)]
    found: list[Verdict] = []
    async with connected(context, indexes_only=True) as connection:
        publisher = StallPublisher(context, await version_kinds(connection, topics))
        builds = await _next(context, connection, cutoff, None)
        while builds:
            verdicts = [verdict_of(b, context.now, settings.stall_minutes) for b in builds]
            if not context.dry_run:
                await context.fence()
                await publisher.say(verdicts)
            found += verdicts
            builds = await _next(context, connection, cutoff, builds[-1])
        applied = not context.dry_run
        if found and not context.dry_run:
            applied, beaten = await _settle(connection, found)
            if beaten:
                await publisher.withdraw([v for v in found if v.build.id in beaten])
                found = [v for v in found if v.build.id not in beaten]
    return Result(
        stalled=len(found),
        check_time=time_text(context.now),
        applied=applied,
        builds=[v.build.id for v in found],
    )


async def _next(
    context: JobContext,
    connection: Connection,
    cutoff: datetime,
    after: stalled.StalledBuild | None,
) -> list[stalled.StalledBuild]:
    basis = context.settings.stall_basis
    return await stalled.stalled_builds(connection, basis, cutoff, after, BATCH)


async def _settle(connection: Connection, found: list[Verdict]) -> tuple[bool, set[str]]:
    """Wait until all is applied, or for WAIT seconds; whether it is, and the builds that a newer
    change of the main app has kept from failing.
    """
    end = time.monotonic() + WAIT
    while True:
        fates = await stalled.fates(connection, [v.asked for v in found])
        applied = all(fate.applied for fate in fates)
        if applied or time.monotonic() >= end:
            return applied, {fate.id for fate in fates if fate.applied and not fate.ours}
        await asyncio.sleep(_LOOK_EVERY_S)
