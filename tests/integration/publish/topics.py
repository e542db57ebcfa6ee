"""Topics of a test's own, and what has been published to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from nova_stream.events.change import Change, Entity
from nova_stream.kafka.options import client_options
from nova_stream.kafka.probe import KafkaProbe
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings
from tests.confluent import admin_options
from tests.decoding import decode

PARTITIONS = 3


class Published(NamedTuple):
    """A record in Kafka, and the change that it asks for; None when it cannot be decoded."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]
    change: Change | None
    #: With doubles and nulls, in order.
    all_headers: list[tuple[str, bytes | None]]
    #: Kafka's id of the topic.
    life: str


def make_topics(settings: Settings, config: Mapping[str, str] | None = None) -> None:
    """The six topics, as a worker makes them but for ``config``."""
    admin = AdminClient(admin_options(settings))
    config = {"max.message.bytes": str(10 * 1024 * 1024), **(config or {})}
    topics = [NewTopic(topic, PARTITIONS, 1, config=config) for topic in settings.topics()]
    for made in admin.create_topics(topics).values():
        made.result(30)


async def read_all(settings: Settings, entity: Entity, *, decoded: bool = True) -> list[Published]:
    """Everything in an entity's topic, partition by partition."""
    topic = settings.topic(entity)
    found = []
    async with AIOKafkaConsumer(
        **client_options(settings), auto_offset_reset="earliest", enable_auto_commit=False
    ) as consumer:
        places = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            await consumer.seek_to_beginning(place)
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(records)
    probe = KafkaProbe(settings)
    try:
        life = (await probe.topics([topic]))[topic].id
    finally:
        await probe.close()
    found.sort(key=lambda record: (record.partition, record.offset))
    return [
        Published(
            r.topic,
            r.partition,
            r.offset,
            r.key,
            r.value,
            dict(r.headers),
            decode(entity, r, r.partition) if decoded else None,
            list(r.headers),
            life,
        )
        for r in found
    ]


def ends_of(published: list[Published]) -> PositionToken:
    """The token that covers all of ``published``."""
    token = PositionToken()
    for record in published:
        ends = {record.topic: {record.partition: record.offset + 1}}
        token = token.merge(PositionToken(ends, {record.topic: record.life}))
    return token
