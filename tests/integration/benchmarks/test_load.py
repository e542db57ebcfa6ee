"""The load of the benchmarks against a real Kafka: all of it arrives, or an error tells why not."""

from __future__ import annotations

from collections import Counter

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks import load
from benchmarks.workload import history
from nova_stream.events.change import Entity
from nova_stream.kafka.options import client_options
from nova_stream.kafka.records import partition_of
from nova_stream.settings import Settings, load_settings
from tests.integration.publish.topics import PARTITIONS, make_topics, read_all

pytestmark = pytest.mark.integration


async def have_leaders(settings: Settings) -> None:
    """Wait for each partition's leader: a load is not sent twice."""
    async with AIOKafkaConsumer(**client_options(settings)) as consumer:
        places = [TopicPartition(t, p) for t in settings.topics() for p in range(PARTITIONS)]
        await consumer.end_offsets(places)


async def test_every_change_of_a_load_is_in_the_partition_of_its_key(
    nova_kafka: str, nova_topic_prefix: str
) -> None:
    settings = load_settings(
        kafka_brokers=nova_kafka, topic_prefix=nova_topic_prefix, partitions=PARTITIONS
    )
    make_topics(settings)
    await have_leaders(settings)

    await load.run(settings, rate=2001, seconds=0.25)

    found = [one for entity in Entity for one in await read_all(settings, entity)]
    lines = history(500, seed=7)
    assert Counter(one.key for one in found) == Counter(line.id.encode() for line in lines)
    for one in found:
        assert one.change is not None
        assert one.key is not None
        assert one.partition == partition_of(one.key, PARTITIONS)


async def test_a_broker_that_refuses_a_load_is_told(
    nova_kafka: str, nova_topic_prefix: str
) -> None:
    settings = load_settings(
        kafka_brokers=nova_kafka, topic_prefix=nova_topic_prefix, partitions=PARTITIONS + 1
    )
    make_topics(settings)
    await have_leaders(settings)

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match=r"refuses the load: .*, 3\): 3")):
        await load.run(settings, rate=1000, seconds=0.25)
