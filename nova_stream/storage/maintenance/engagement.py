"""Who was active on which day, kept while the activities themselves go, and what is counted of it.

All but ``undo`` is to be called in one transaction that begins with ``lock``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from nova_stream.errors import UsageError
from nova_stream.settings import Settings
from nova_stream.storage import locks
from nova_stream.storage.database import Connection, open_session, read_committed
from nova_stream.storage.maintenance import engagement_sql as sql

_MIDNIGHT = timedelta(days=1, microseconds=-1)


class SummarizedDays(msgspec.Struct, frozen=True):
    """The days and users that have activities still, and the rows that came and went."""

    days: int
    users: int
    added: int
    removed: int


async def lock(connection: Connection) -> None:
    """Wait until nobody else works with these tables, and keep others from it in this
    transaction.
    """
    await connection.execute(sql.LOCK, locks.ENGAGEMENT)


async def summarize(connection: Connection, settings: Settings, now: datetime) -> SummarizedDays:
    """Bring ``user_activity_daily`` up to date with the activities, for the days before ``now``'s.

    Days that lie wholly within NOVA_ACTIVITY_DAYS are counted anew. Older ones only gain: their
    activities may have been cleaned up, here or at their source. Who is not registered any more
    leaves all days.
    """
    age = timedelta(days=settings.activity_days)
    waiting = age + timedelta(days=settings.undo_days)
    row = await connection.fetchrow(
        sql.SUMMARIZE, _day(now), _day(now - age + _MIDNIGHT), _day(now - waiting)
    )
    assert row is not None
    return SummarizedDays(**row)


async def retire(connection: Connection, settings: Settings, now: datetime, *, run_id: int) -> int:
    """Take days older than NOVA_ENGAGEMENT_DAYS away, but each user's first; how many rows.

    What ``undo`` put back stays for NOVA_UNDO_DAYS. Days that still have activities stay, too.
    """
    days = max(settings.engagement_days, settings.activity_days + 1)
    await connection.execute(sql.FORGET, settings.undo_days)
    await connection.execute(sql.FORGET_FLOORS)
    taken: int = await connection.fetchval(sql.RETIRE, _day(now - timedelta(days=days)), run_id)
    return taken


async def count(connection: Connection, now: datetime) -> None:
    """Count all figures of the days, weeks and months that are over at ``now``, from
    ``user_activity_daily`` alone.
    """
    for statement in sql.EMPTY:
        await connection.execute(statement)
    await connection.execute(sql.DAYS, _day(now), now)
    await connection.execute(sql.COHORTS, _day(now))
    await connection.execute(sql.MONTHS, _day(now))


async def undo(settings: Settings, run_id: int) -> int:
    """Put back what the retention took in the run ``run_id`` of summarizeEngagement, but not who
    was deleted since; gives how many rows. The figures follow with the next run.

    They are left alone by the job for NOVA_UNDO_DAYS from now. Repeating it does nothing more.
    Raises UsageError when nothing of the run is kept (any more), DatabaseUnavailableError,
    SchemaVersionError.
    """
    async with open_session(settings, "undo") as connection, read_committed(connection):
        await lock(connection)
        if not await connection.fetchval(sql.HAS_RETIRED, run_id):
            raise UsageError(
                f"run {run_id} has nothing that could be put back: it took nothing away, was no "
                f"run of summarizeEngagement, or is more than {settings.undo_days} days old "
                "(NOVA_UNDO_DAYS)"
            )
        restored: int = await connection.fetchval(sql.RESTORE, run_id, settings.undo_days)
    return restored


def _day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()
