"""cleanupOldActivity: activities older than NOVA_ACTIVITY_DAYS are archived, then deleted."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import batch, connected, run_of
from nova_stream.jobs.engine.job import JobContext
from nova_stream.settings import Settings
from nova_stream.storage.maintenance import retention
from nova_stream.storage.maintenance.place import BatchPlace


class Result(msgspec.Struct, rename="camel"):
    """``deleted`` activities were older than ``cutoff_time``; ``forgotten`` archived ones can no
    longer be put back.
    """

    deleted: int
    cutoff_time: str
    forgotten: int


async def run_once(context: JobContext) -> Result:
    """Delete what is older than the cutoff, in short transactions.

    Each keeps the rows that it deletes for NOVA_UNDO_DAYS (``undo``). What was put back is left
    alone for as long. Raises what asyncpg raises, and what the lease's fence raises.
    """
    cutoff = context.now - timedelta(days=context.settings.activity_days)
    async with connected(context, indexes_only=True) as connection:
        deleted, place, more = 0, BatchPlace(), True
        while more:
            async with batch(context, connection, repeatable=True):
                done = await retention.archive_activities(
                    connection, cutoff, place, run_id=run_of(context)
                )
            deleted, place = deleted + done.deleted, done.place
            more = done.deleted == retention.ARCHIVE_ROWS

        forgotten, more = 0, True
        while more:
            async with batch(context, connection, repeatable=True):
                count = await retention.forget_activities(connection, context.settings.undo_days)
            forgotten += count
            # In a dry run they come back, and would for ever.
            more = count == retention.BATCH and not context.dry_run
    return Result(deleted=deleted, cutoff_time=time_text(cutoff), forgotten=forgotten)


async def undo(settings: Settings, run_id: int) -> int:
    """Put back what a run deleted; see ``retention.undo``."""
    return await retention.undo(settings, run_id)
