"""How far the stream is behind Kafka, asked from outside of the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.options import admin_options
from nova_stream.settings import Settings

#: Next offsets by topic and partition.
Offsets = Mapping[tuple[str, int], int]


async def log_ends(settings: Settings, limit: float) -> Offsets:
    """Where the logs of the six topics end; topics that are not there have no logs.

    Raises KafkaUnavailableError when Kafka does not answer within ``limit`` seconds, SettingsError.
    """
    try:
        async with asyncio.timeout(limit + 1):
            return await asyncio.to_thread(_log_ends, settings, limit)
    except (KafkaException, TimeoutError):
        brokers = ", ".join(settings.kafka_brokers)
        raise KafkaUnavailableError(f"no Kafka broker answers at {brokers}") from None


def _log_ends(settings: Settings, limit: float) -> Offsets:
    return log_ends_by(AdminClient(admin_options(settings)), settings, limit)


def lag_of(ends: Offsets, positions: Offsets) -> int:
    """How many records are not applied yet."""
    return sum(max(0, end - positions.get(place, 0)) for place, end in ends.items())


def log_ends_by(client: AdminClient, settings: Settings, limit: float) -> Offsets:
    """``log_ends`` by a client that is there; blocks, and raises KafkaException."""
    topics = client.list_topics(timeout=limit / 2).topics
    wanted = [
        TopicPartition(topic, partition)
        for topic in settings.topics()
        if topic in topics
        for partition in topics[topic].partitions
    ]
    if not wanted:
        return {}
    answers = client.list_offsets(
        {place: OffsetSpec.latest() for place in wanted}, request_timeout=limit / 2
    )
    return {(place.topic, place.partition): x.result().offset for place, x in answers.items()}
