"""markInactiveUsers: the list of users not active for NOVA_INACTIVE_DAYS, and events about it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import BATCH, batch, connected, run_of
from nova_stream.jobs.engine.job import JobContext
from nova_stream.jobs.inactivity_events import send
from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance import inactivity


class Result(msgspec.Struct, rename="camel"):
    """``inactive`` users are inactive now; ``newly_inactive`` of them were not at the last run,
    ``reactivated`` others were and are active again. ``sent`` events went out.
    """

    inactive: int
    cutoff_time: str
    newly_inactive: int
    reactivated: int
    sent: int


async def run_once(context: JobContext) -> Result:
    """Bring the list ``inactive_users`` up to date, then send what has changed.

    Events that could not be sent are sent by the next run. Raises KafkaUnavailableError,
    TopicError, PublishError, what asyncpg raises, and what the lease's fence raises.
    """
    cutoff = context.now - timedelta(days=context.settings.inactive_days)
    now, run_id = context.now, run_of(context)
    inactive = marked = reactivated = 0
    async with connected(context, indexes_only=True) as connection:
        after: str | None = ""
        while after is not None:
            async with batch(context, connection, repeatable=True):
                left = await inactivity.unmark(
                    connection, cutoff, after, BATCH, now=now, run_id=run_id
                )
            reactivated, after = reactivated + left.reactivated, left.place

        place, more = inactivity.UserPlace(), True
        while more:
            async with batch(context, connection, repeatable=True):
                done = await inactivity.mark(
                    connection, cutoff, place, BATCH, now=now, run_id=run_id
                )
            inactive, marked = inactive + done.seen, marked + done.marked
            place, more = done.place, done.seen == BATCH
        sent = 0 if context.dry_run else await _send(context, connection)
    return Result(
        inactive=inactive,
        cutoff_time=time_text(cutoff),
        newly_inactive=marked,
        reactivated=reactivated,
        sent=sent,
    )


async def _send(context: JobContext, connection: Connection) -> int:
    sent, settings = 0, context.settings
    while events := await inactivity.open_events(connection, BATCH):
        await send(settings, events)
        async with batch(context, connection, repeatable=True):
            await inactivity.close_events(connection, events)
        sent += len(events)
    async with batch(context, connection, repeatable=True):
        await inactivity.forget_events(connection, settings.job_history_days, BATCH)
    return sent
