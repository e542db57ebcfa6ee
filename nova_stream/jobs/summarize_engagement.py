"""summarizeEngagement: who was active on which day, and the figures of engagement."""

from __future__ import annotations

import msgspec

from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import batch, connected, run_of
from nova_stream.jobs.engine.job import JobContext
from nova_stream.settings import Settings
from nova_stream.storage.database import POLITE, UNHURRIED
from nova_stream.storage.maintenance import engagement


class Result(msgspec.Struct, rename="camel"):
    """``days`` were counted from their activities, ``users`` were active on them. ``added`` and
    ``removed`` rows of ``user_activity_daily`` differ from the last run; ``retired`` ones were
    older than NOVA_ENGAGEMENT_DAYS.
    """

    days: int
    users: int
    timestamp: str
    added: int
    removed: int
    retired: int


async def run_once(context: JobContext) -> Result:
    """Summarise the days that are over, and count all figures anew, in one transaction: a reader
    never sees figures of two runs.

    Raises what asyncpg raises, and what the lease's fence raises.
    """
    settings, now = context.settings, context.now
    async with connected(context) as connection:
        await connection.execute(f"{POLITE}; {UNHURRIED}")
        async with batch(context, connection):
            await engagement.lock(connection)
            done = await engagement.summarize(connection, settings, now)
            retired = await engagement.retire(connection, settings, now, run_id=run_of(context))
            await engagement.count(connection, now)
    return Result(
        days=done.days,
        users=done.users,
        timestamp=time_text(now),
        added=done.added,
        removed=done.removed,
        retired=retired,
    )


async def undo(settings: Settings, run_id: int) -> int:
    """Put back what a run took; see ``engagement.undo``."""
    return await engagement.undo(settings, run_id)
