"""compactOldExecutions: documents of executions older than NOVA_EXECUTION_DAYS go to the archive.

The row stays, slim: id, task, agent, duration, timestamp and version, so averages, duplicates and
the audit are as before.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import connected
from nova_stream.jobs.engine.job import JobContext
from nova_stream.storage.maintenance.archive import ArchiveStore


class Result(msgspec.Struct, rename="camel"):
    """``compacted`` documents left the database, in ``objects`` new objects of the archive.
    ``expired`` objects were deleted after NOVA_ARCHIVE_RETENTION_DAYS.
    """

    compacted: int
    cutoff_time: str
    objects: int
    expired: int


async def run_once(context: JobContext) -> Result:
    """Archive, verify, and only then empty; first end what an earlier run has left undone.

    A dry run counts. Raises ArchiveError, CompactionError when another compaction runs, what
    asyncpg raises, and what the lease's fence raises: the next run goes on where this one ended.
    """
    cutoff = context.now - timedelta(days=context.settings.execution_days)
    async with connected(context, indexes_only=True) as connection:
        if context.dry_run:
            count = await ArchiveStore(connection).count_hot(cutoff)
            return Result(count, time_text(cutoff), objects=0, expired=0)

        from nova_stream.jobs.archive.compaction import Compaction  # noqa: PLC0415 - pyarrow takes long

        work = Compaction(context, connection)
        await work.run(cutoff)
    return Result(work.compacted, time_text(cutoff), objects=work.objects, expired=work.expired)
