"""Records published as they are."""

from __future__ import annotations

import pytest

from nova_stream.errors import TopicError
from nova_stream.events.change import Entity
from nova_stream.publish.raw import RawPublisher, RawRecord
from nova_stream.settings import Settings

from .topics import PARTITIONS, read_all

pytestmark = pytest.mark.integration


async def test_bytes_headers_and_partition_stay_as_they_are(topic_settings: Settings) -> None:
    topic = topic_settings.topic(Entity.TASKS)
    records = [
        RawRecord(topic, 2, None, b"\xff\x00", [("a", b"1"), ("a", b"\xfe")]),
        RawRecord(topic, 2, b"k", None, []),
        RawRecord(topic, 0, b"", b"", []),
    ]
    async with RawPublisher(topic_settings) as publisher:
        await publisher.send(records)

    found = await read_all(topic_settings, Entity.TASKS, decoded=False)
    assert [(r.partition, r.key, r.value, r.headers) for r in found] == [
        (0, b"", b"", {}),
        (2, None, b"\xff\x00", {"a": b"\xfe"}),
        (2, b"k", None, {}),
    ]


async def test_of_a_topic_that_has_fewer_partitions_now_the_key_decides(
    topic_settings: Settings,
) -> None:
    record = RawRecord(topic_settings.topic(Entity.TASKS), PARTITIONS + 4, b"k", b"v", [])
    async with RawPublisher(topic_settings) as publisher:
        await publisher.send([record])

    (found,) = await read_all(topic_settings, Entity.TASKS, decoded=False)
    assert found.partition < PARTITIONS


async def test_a_missing_topic(kafka_settings: Settings) -> None:
    async with RawPublisher(kafka_settings) as publisher:
        with pytest.raises(TopicError):
            await publisher.send([RawRecord("nowhere", 0, b"k", b"v", [])])
