"""How far the stream is behind Kafka, asked from outside of the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from nova_stream.errors import KafkaUnavailableError
from nova_stream.publish.kafka import admin_options
from nova_stream.settings import Settings


async def lag(settings: Settings, positions: Mapping[tuple[str, int], int], limit: float) -> int:
    """How many records of the six topics are not applied yet.

    Raises KafkaUnavailableError when Kafka does not answer within ``limit`` seconds, SettingsError.
    """
    try:
        async with asyncio.timeout(limit + 1):
            return await asyncio.to_thread(_lag, settings, positions, limit)
    except (KafkaException, TimeoutError):
        brokers = ", ".join(settings.kafka_brokers)
        raise KafkaUnavailableError(f"no Kafka broker answers at {brokers}") from None


def _lag(settings: Settings, positions: Mapping[tuple[str, int], int], limit: float) -> int:
    client = AdminClient(admin_options(settings))
    topics = client.list_topics(timeout=limit / 2).topics
    wanted = [
        TopicPartition(topic, partition)
        for topic in settings.topics()
        if topic in topics
        for partition in topics[topic].partitions
    ]
    if not wanted:
        return 0
    answers = client.list_offsets(
        {place: OffsetSpec.latest() for place in wanted}, request_timeout=limit / 2
    )
    return sum(
        max(0, answer.result().offset - positions.get((place.topic, place.partition), 0))
        for place, answer in answers.items()
    )
