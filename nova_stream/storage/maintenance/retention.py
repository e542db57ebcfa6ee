"""Old activities: archived and deleted in one transaction, put back, and forgotten in the end.

The time for which they can be put back is the database's own, whatever time a job believes in.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from nova_stream.errors import UsageError
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, open_session, read_committed
from nova_stream.storage.maintenance import sql
from nova_stream.storage.maintenance.place import BatchPlace

BATCH = 1000
#: Activities are small: so many take the flush's locks for some 10 ms.
ARCHIVE_ROWS = 2000


class ArchivedBatch(NamedTuple):
    """What a batch did: rows deleted, and where the next one goes on."""

    deleted: int
    place: BatchPlace


async def archive_activities(
    connection: Connection,
    cutoff: datetime,
    place: BatchPlace,
    *,
    run_id: int,
) -> ArchivedBatch:
    """Archive and delete up to ARCHIVE_ROWS activities older than ``cutoff``, from ``place`` on.

    To be called in a transaction. Rows that somebody else has locked, or that were put back not
    long ago, are left alone. When fewer were looked at, none is left.
    """
    row = await connection.fetchrow(
        sql.ARCHIVE_ACTIVITIES, cutoff, place.time, place.id, ARCHIVE_ROWS, run_id
    )
    if row is None:
        return ArchivedBatch(0, place)
    return ArchivedBatch(row["deleted"], BatchPlace(row["last_time"], row["last_id"]))


async def forget_activities(connection: Connection, days: int) -> int:
    """Delete up to BATCH archived activities that ``undo`` no longer reaches; how many."""
    status = await connection.execute(sql.FORGET_ACTIVITIES, days, BATCH)
    return int(status.rpartition(" ")[2])


async def undo(settings: Settings, run_id: int) -> int:
    """Put back what the run ``run_id`` of cleanupOldActivity deleted; gives how many activities.

    They are left alone by the job for NOVA_UNDO_DAYS from now. Repeating it does nothing more.
    Raises UsageError when nothing of the run is kept (any more) or it has not ended,
    DatabaseUnavailableError, SchemaVersionError.
    """
    async with open_session(settings, "undo") as connection:
        if await connection.fetchval(sql.IS_AT_WORK, run_id):
            raise UsageError(
                f"run {run_id} is still at work and would go on to delete; undo it once it has "
                "ended"
            )
        if not await connection.fetchval(sql.HAS_ARCHIVED_ACTIVITIES, run_id):
            raise UsageError(
                f"run {run_id} has nothing that could be put back: it deleted nothing, was no run "
                f"of cleanupOldActivity, or is more than {settings.undo_days} days old "
                "(NOVA_UNDO_DAYS)"
            )
        restored, seen = 0, BATCH
        while seen == BATCH:
            async with read_committed(connection):
                row = await connection.fetchrow(
                    sql.RESTORE_ACTIVITIES, run_id, BATCH, settings.undo_days
                )
            assert row is not None
            restored, seen = restored + row["restored"], row["seen"]
    return restored
