"""The publisher against a real Kafka: acknowledged and readable, or a loud error in time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from nova_stream.errors import (
    KafkaUnavailableError,
    PublishError,
    RejectedError,
    TopicError,
    UsageError,
)
from nova_stream.events.change import Entity
from nova_stream.kafka.records import partition_of
from nova_stream.local.kafka import LocalKafka
from nova_stream.local.ports import free_port
from nova_stream.publish.position_token import PositionToken
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings, load_settings

from .topics import PARTITIONS, ends_of, make_topics, read_all

pytestmark = pytest.mark.integration

DOCUMENTS: dict[str, dict[str, Any]] = {
    "agent": {"id": "agent-1", "name": "ATLAS"},
    "build": {"id": "b-1", "status": "running"},
    "task": {"id": "t-1", "status": "running", "agent": "ATLAS"},
    "execution": {"id": "e-1", "agent": "ATLAS", "duration": 929},
    "activity": {"id": "a-1", "eventType": "task_started"},
    "user": {"id": "u-1", "tier": "pro"},
}
ENTITIES = dict(zip(DOCUMENTS, Entity, strict=True))


def task(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"t-{number}", "status": "running", "agent": "ATLAS", **fields}


async def test_a_call_an_entity_is_acknowledged_with_its_position(topic_settings: Settings) -> None:
    tokens = {}
    async with ChangePublisher(topic_settings, source_name="shop") as publisher:
        for name, document in DOCUMENTS.items():
            tokens[name] = await getattr(publisher, name)(document, op="c", seq=5)

    for name, document in DOCUMENTS.items():
        published = await read_all(topic_settings, ENTITIES[name])
        (record,) = published
        assert record.change is not None
        assert (record.change.id, record.change.number) == (document["id"], 5)
        assert record.partition == partition_of(document["id"].encode(), PARTITIONS)
        assert record.headers["ce_source"] == b"shop"
        assert tokens[name] == ends_of(published)


async def test_a_deletion(topic_settings: Settings) -> None:
    async with ChangePublisher(topic_settings) as publisher:
        await publisher.task(task(1))
        await publisher.delete("tasks", "t-1")

    first, second = [r.change for r in await read_all(topic_settings, Entity.TASKS)]
    assert first is not None
    assert second is not None
    assert (first.deleted, second.deleted) == (False, True)
    assert second.number > first.number


async def test_many_changes_keep_the_order_of_each_entity(topic_settings: Settings) -> None:
    changes = [
        {"entity": "tasks", "after": task(number % 700, attempts=number)} for number in range(7000)
    ]
    async with ChangePublisher(topic_settings) as publisher:
        token = await publisher.publish(iter(changes))

    published = await read_all(topic_settings, Entity.TASKS)
    assert len(published) == 7000
    assert token == ends_of(published)
    newest: dict[str, int] = {}
    for record in published:
        assert record.change is not None
        assert record.change.number > newest.get(record.change.id, 0)
        newest[record.change.id] = record.change.number


async def test_calls_at_the_same_time(topic_settings: Settings) -> None:
    async with ChangePublisher(topic_settings) as publisher:
        many = publisher.publish([{"entity": "tasks", "after": task(n)} for n in range(2000)])
        singles = [publisher.task(task(10_000 + n)) for n in range(500)]
        users = publisher.publish([{"entity": "users", "after": {"id": "u"}}] * 300)
        tokens = await asyncio.gather(many, users, *singles)

    tasks = await read_all(topic_settings, Entity.TASKS)
    published = [*tasks, *await read_all(topic_settings, Entity.USERS)]
    assert len({record.key for record in tasks}) == 2500
    assert len(published) == 2800
    assert PositionToken().merge(*tokens) == ends_of(published)


async def test_a_record_of_five_megabytes(topic_settings: Settings) -> None:
    async with ChangePublisher(topic_settings) as publisher:
        await publisher.task(task(1, output="ä" * 2_500_000))
        await publisher.publish([{"entity": "tasks", "after": task(2, output="x" * 5_000_000)}] * 2)

    sizes = [len(r.value or b"") for r in await read_all(topic_settings, Entity.TASKS)]
    assert len(sizes) == 3
    assert min(sizes) > 5_000_000


async def test_nothing_is_sent_of_a_list_with_a_mistake(topic_settings: Settings) -> None:
    async with ChangePublisher(topic_settings) as publisher:
        for bad in ({"after": {"id": "t-2"}}, {"after": task(2, output="x" * 11_000_000)}):
            with pytest.raises(RejectedError):
                await publisher.publish(
                    [{"entity": "tasks", "after": task(1)}, {"entity": "tasks", **bad}]
                )

    assert await read_all(topic_settings, Entity.TASKS) == []


async def test_nothing_to_publish(topic_settings: Settings) -> None:
    async with ChangePublisher(topic_settings) as publisher:
        assert await publisher.publish([]) == PositionToken()


async def test_a_missing_topic_is_told_at_once(kafka_settings: Settings) -> None:
    async with ChangePublisher(kafka_settings) as publisher:
        start = time.monotonic()
        with pytest.raises(TopicError, match=r"tasks does not exist .* nova-stream worker"):
            await publisher.task(task(1))
        with pytest.raises(TopicError, match=r"tasks does not exist"):
            await publisher.publish([{"entity": "tasks", "after": task(1)}])
        assert time.monotonic() - start < 5

        make_topics(kafka_settings)
        await publisher.task(task(1))

    assert len(await read_all(kafka_settings, Entity.TASKS)) == 1


async def test_what_kafka_refuses_is_told_and_the_next_change_goes_through(
    kafka_settings: Settings,
) -> None:
    make_topics(kafka_settings, {"max.message.bytes": "20000"})
    noise = Random(1).randbytes(100_000).hex()  # not to be compressed away
    async with ChangePublisher(kafka_settings) as publisher:
        await publisher.task(task(1))
        with pytest.raises(PublishError, match=r"tasks 't-1': not .*max\.message\.bytes"):
            await publisher.task(task(1, output=noise))
        await publisher.task(task(1))
        with pytest.raises(PublishError, match=r"tasks 't-1' and 1 more: not"):
            await publisher.publish(
                [
                    {"entity": "tasks", "after": task(1, output=noise[:100_000])},
                    {"entity": "tasks", "after": task(1)},
                ]
            )
        await publisher.task(task(1))

    assert len(await read_all(kafka_settings, Entity.TASKS)) == 3


async def test_a_refused_change_does_no_harm_to_those_beside_it(kafka_settings: Settings) -> None:
    make_topics(kafka_settings, {"max.message.bytes": "20000"})
    noise = Random(1).randbytes(100_000).hex()
    async with ChangePublisher(kafka_settings) as publisher:
        calls = [publisher.task(task(n, output=noise if n % 20 == 7 else "")) for n in range(200)]
        results = await asyncio.gather(*calls, return_exceptions=True)

    there = {record.key for record in await read_all(kafka_settings, Entity.TASKS)}
    told = {f"t-{n}".encode() for n, r in enumerate(results) if isinstance(r, PositionToken)}
    large = {f"t-{n}".encode() for n in range(7, 200, 20)}
    assert told == there
    assert not large & there


async def test_no_kafka_is_told(nova_topic_prefix: str) -> None:
    settings = load_settings(kafka_brokers=f"127.0.0.1:{free_port()}")

    with pytest.raises(KafkaUnavailableError, match=r"NOVA_KAFKA_BROKERS.* nova-stream dev"):
        async with ChangePublisher(settings):
            pass


async def test_something_else_that_listens_is_told() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        start = time.monotonic()
        with pytest.raises(KafkaUnavailableError, match="no Kafka can be used"):
            await ChangePublisher(
                load_settings(kafka_brokers=f"127.0.0.1:{port}"), delivery_timeout=2.0
            ).start()
        assert time.monotonic() - start < 4
        await gone.wait()


async def test_a_publisher_that_is_not_open(topic_settings: Settings) -> None:
    publisher = ChangePublisher(topic_settings)
    with pytest.raises(UsageError, match="async with"):
        await publisher.task(task(1))

    async with publisher:
        await publisher.task(task(1))
    await publisher.close()
    with pytest.raises(UsageError, match="async with"):
        await publisher.publish([{"entity": "tasks", "after": task(1)}])


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker that a test may stop."""
    with LocalKafka(tmp_path) as kafka:
        yield kafka
        kafka.destroy()


@pytest.mark.long
async def test_while_kafka_is_away_calls_fail_in_time_and_later_go_through(
    own_kafka: LocalKafka, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(kafka_brokers=own_kafka.bootstrap_servers)
    make_topics(settings)
    async with ChangePublisher(settings, delivery_timeout=3.0) as publisher:
        await publisher.task(task(1))
        await asyncio.to_thread(own_kafka.stop)
        for call in (
            publisher.task(task(2)),
            publisher.publish([{"entity": "tasks", "after": task(n)} for n in range(3, 3000)]),
        ):
            start = time.monotonic()
            with pytest.raises(PublishError, match=r"tasks 't-\d+'.*: not acknowledged"):
                await call
            assert time.monotonic() - start < 10

        await asyncio.to_thread(own_kafka.start)
        token = await publisher.task(task(9999))

    published = await read_all(settings, Entity.TASKS)
    assert {b"t-1", b"t-9999"} <= {record.key for record in published}
    assert ends_of(published).merge(token) == ends_of(published)
    assert [r for r in caplog.records if r.name == "asyncio" and r.levelno >= logging.ERROR] == []


@pytest.mark.long
async def test_closing_takes_seconds_though_kafka_is_away(
    own_kafka: LocalKafka, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_settings(kafka_brokers=own_kafka.bootstrap_servers)
    make_topics(settings)
    before = asyncio.all_tasks()
    publisher = ChangePublisher(settings, delivery_timeout=2.0)
    async with publisher:
        await publisher.task(task(1))
        await asyncio.to_thread(own_kafka.stop)
        calls = [publisher.task(task(number)) for number in range(50)]
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in errors} == {PublishError}
        start = time.monotonic()
    assert time.monotonic() - start < 6
    await asyncio.sleep(0.2)

    assert asyncio.all_tasks() == before
    assert [r for r in caplog.records if r.name == "asyncio"] == []
