"""The topic that tells who turned inactive or active again: CloudEvents in structured JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from nova_stream.errors import KafkaUnavailableError, TopicError
from nova_stream.events.encode import encode_key
from nova_stream.events.json_text import encode_json
from nova_stream.events.times import time_text
from nova_stream.kafka.options import admin_options
from nova_stream.publish.raw import RawPublisher, RawRecord
from nova_stream.settings import Settings
from nova_stream.storage.inactivity import InactivityEvent

_TIMEOUT = 10.0
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
    await asyncio.to_thread(_ensure, settings, topic)
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


def _ensure(settings: Settings, topic: str) -> None:
    client = AdminClient(admin_options(settings))
    try:
        if topic in client.list_topics(timeout=_TIMEOUT).topics:
            return
        wanted = NewTopic(topic, settings.partitions, settings.replication)
        client.create_topics([wanted], operation_timeout=_TIMEOUT)[topic].result(_TIMEOUT)
    except KafkaException as error:
        name = error.args[0].name()
        if name == "TOPIC_ALREADY_EXISTS":
            return
        if name.startswith("_"):
            brokers = ", ".join(settings.kafka_brokers)
            raise KafkaUnavailableError(
                f"no Kafka broker answers at {brokers} ({name}). Check NOVA_KAFKA_BROKERS"
            ) from None
        raise TopicError(f"topic {topic} cannot be made: {error.args[0].str()}") from None
