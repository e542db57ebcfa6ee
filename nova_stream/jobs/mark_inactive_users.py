"""markInactiveUsers: the list of users not active for NOVA_INACTIVE_DAYS, and a topic that tells
who turned inactive or active again: CloudEvents in structured JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from nova_stream.events.encode import encode_key
from nova_stream.events.json_text import encode_json
from nova_stream.events.times import time_text
from nova_stream.jobs.engine.batches import BATCH, batch, connected, run_of
from nova_stream.jobs.engine.job import JobContext
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.publish.raw import BY_KEY, RawPublisher, RawRecord
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance import inactivity
from nova_stream.storage.maintenance.inactivity import InactivityEvent
from nova_stream.storage.maintenance.place import BatchPlace

_TIMEOUT_S = 10.0
_HEADERS = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


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

        place, more = BatchPlace(), True
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


def inactivity_topic(settings: Settings) -> str:
    """The topic of these events."""
    return f"{settings.topic_prefix}.inactivity"


async def send(settings: Settings, events: Sequence[InactivityEvent]) -> None:
    """Send ``events``, keyed by the profile's id; returns once Kafka has them all.

    Makes the topic where it is missing. Raises KafkaUnavailableError, TopicError, PublishError,
    SettingsError; some of the events may have been sent then.
    """
    topic = inactivity_topic(settings)
    await _ensure(settings, topic)
    async with RawPublisher(settings) as publisher:
        await publisher.send(
            [
                RawRecord(topic, BY_KEY, encode_key(e.profile_id), _body(e), list(_HEADERS))
                for e in events
            ]
        )


def _body(event: InactivityEvent) -> bytes:
    return encode_json(
        {
            "specversion": "1.0",
            "id": event.ce_id,
            "source": "nova-stream",
            "type": f"nova.users.{event.event}",
            "subject": event.profile_id,
            "time": time_text(event.occurred_at),
            "datacontenttype": "application/json",
            "data": {
                "id": event.profile_id,
                "userId": event.user_id,
                "lastActiveAt": time_text(event.last_active_at),
            },
        }
    )


async def _ensure(settings: Settings, topic: str) -> None:
    async with KafkaAdmin(settings, _TIMEOUT_S) as admin:
        if topic not in await admin.describe([topic]):
            await admin.make_topics({topic: settings.partitions}, {})
