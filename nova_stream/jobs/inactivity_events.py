"""The topic that tells who turned inactive or active again: CloudEvents in structured JSON."""

from __future__ import annotations

from collections.abc import Sequence

from nova_stream.events.encode import encode_key
from nova_stream.events.json_text import encode_json
from nova_stream.events.times import time_text
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.publish.raw import RawPublisher, RawRecord
from nova_stream.settings import Settings
from nova_stream.storage.maintenance.inactivity import InactivityEvent

_TIMEOUT_S = 10.0
#: Beyond every topic's partitions, so that the key decides.
_BY_KEY = 2**31 - 1
_HEADERS = [("content-type", b"application/cloudevents+json; charset=UTF-8")]


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
                RawRecord(topic, _BY_KEY, encode_key(e.profile_id), _body(e), list(_HEADERS))
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
