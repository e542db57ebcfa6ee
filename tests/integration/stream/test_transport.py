"""The chunk transport, and the inside of Faust, mode and aiokafka that it leans on."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version
from typing import Any
from urllib.request import urlopen

import aiokafka
import faust
import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import (
    Assignment,
    Subscription,
    SubscriptionState,
    TopicPartitionState,
)
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Producer, Transport
from faust.types.tuples import ConsumerMessage
from mode.threads import QueueServiceThread, ServiceThread

from nova_stream.events.change import Entity
from nova_stream.stream.seeking import SeekingConsumer
from nova_stream.stream.transport import ChunkConsumer
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage

#: The releases whose inside was read; another one needs this file looked at, and tests that pass.
READ = {"faust-streaming": "0.15.3", "aiokafka": "0.14", "mode-streaming": "0.7.1"}


def task(id_: str, seq: int, **fields: Any) -> bytes:
    return value_of({"id": id_, "status": "done", **fields}, seq=seq)


@pytest.mark.parametrize("package", READ)
def test_the_inside_that_was_read_is_the_one_installed(package: str) -> None:
    assert version(package).startswith(READ[package]), (
        f"{package} {version(package)} is new: read again what fetching.py, seeking.py and "
        "transport.py of nova_stream/stream override and use, then change this test"
    )


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (Consumer, "subscribe", ["self", "topics"]),
        (Consumer, "getmany", ["self", "timeout"]),
        (Consumer, "seek_to_committed", ["self"]),
        (Consumer, "on_partitions_revoked", ["self", "revoked"]),
        (Consumer, "_filter_committable_offsets", ["self", "tps"]),
        (Consumer, "verify_event_path", ["self", "now", "tp"]),
        (Consumer, "_new_consumer_thread", ["self"]),
        (Consumer, "_get_active_partitions", ["self"]),
        (Consumer, "_getmany", ["self", "active_partitions", "timeout"]),
        (Consumer, "_to_message", ["self", "tp", "record"]),
        (Consumer, "earliest_offsets", ["self", "partitions"]),
        (Consumer, "highwaters", ["self", "partitions"]),
        (Consumer, "highwater", ["self", "tp"]),
        (Consumer, "assignment", ["self"]),
        (Consumer, "wait_first", ["self", "coros", "timeout"]),
        (AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
        (AIOKafkaConsumerThread, "on_thread_stop", ["self"]),
        (Producer, "_new_producer", ["self", "transactional_id"]),
        (AIOKafkaClient, "send", ["self", "node_id", "request", "group"]),
        (
            AIOKafkaConsumerThread,
            "_fetch_records",
            ["self", "consumer", "active_partitions", "timeout", "max_records"],
        ),
        (AIOKafkaConsumerThread, "seek_wait", ["self", "partitions"]),
        (AIOKafkaConsumerThread, "commit", ["self", "offsets"]),
        (QueueServiceThread, "call_thread", ["self", "fun", "args", "kwargs"]),
        (ServiceThread, "start", ["self"]),
        (ServiceThread, "_serve", ["self"]),
        (ServiceThread, "set_shutdown", ["self"]),
        (ServiceThread, "_gather_remaining_tasks", ["self"]),
        (SubscriptionState, "fetch_context", ["self"]),
        (Assignment, "state_value", ["self", "tp"]),
        (FetchResult, "getall", ["self", "max_records"]),
        (AIOKafkaConnection, "send", ["self", "request", "expect_response"]),
        (AIOKafkaConnection, "_send_sasl_token", ["self", "payload", "expect_response"]),
        (PartitionRecords, "_consumer_record", ["self", "tp", "record"]),
        (Transport, "__init__", ["self", "args", "kwargs"]),
    ],
)
def test_what_is_overridden_or_called_has_the_form_that_was_read(
    owner: type, name: str, parameters: list[str]
) -> None:
    found = getattr(owner, name, None)
    assert found is not None, f"{owner.__name__}.{name} is gone"
    assert list(inspect.signature(found).parameters) == parameters, f"{owner.__name__}.{name}"


def test_what_is_overridden_is_something_that_exists() -> None:
    own = {
        name
        for consumer in (SeekingConsumer, ChunkConsumer)
        for name, value in vars(consumer).items()
        if inspect.isfunction(value)
    }
    ours = {"seek_again", "seek_due", "note_step", "explain_steps", "follow_positions"}
    ours |= {"follow_topics", "acknowledge", "lag", "watch_rights"}
    ours |= {"ended_part"}
    added = {n for n in own if not hasattr(Consumer, n)}
    private = {n for n in added if n.startswith("_")}
    assert added - private == ours
    assert own - added >= {"subscribe", "getmany", "seek_to_committed", "on_partitions_revoked"}


def test_attributes_that_are_read_or_set_are_there() -> None:
    source = inspect.getsource(BaseConsumer) + inspect.getsource(ThreadDelegateConsumer)
    for name in (
        "_read_offset",
        "_buffered_partitions",
        "flow_active",
        "can_resume_flow",
        "_thread",
    ):
        assert f"self.{name}" in source, f"Faust's consumer has no {name} any more"
    for owner, name in (
        (aiokafka.AIOKafkaConsumer, "_isolation_level"),
        (aiokafka.AIOKafkaConsumer, "_subscription"),
        (aiokafka.AIOKafkaConsumer, "_client"),
        (Fetcher, "_isolation_level"),
        (ServiceThread, "_thread_started"),
        (ServiceThread, "_thread_running"),
        (PartitionRecords, "next_fetch_offset"),
        (AIOKafkaClient, "_sync_task"),
        (AIOKafkaClient, "_retry_backoff"),
        (AIOKafkaClient, "_md_update_waiter"),
        (GroupCoordinator, "_coordination_task"),
        (GroupCoordinator, "_heartbeat_task"),
        (GroupCoordinator, "_commit_refresh_task"),
        (Fetcher, "_fetch_task"),
        (AIOKafkaConnection, "_writer"),
    ):
        assert f"self.{name}" in inspect.getsource(owner), f"{owner.__name__} has no {name}"
    for owner, names in (
        (SubscriptionState, ("subscription",)),
        (Subscription, ("assignment",)),
        (Assignment, ("tps",)),
        (TopicPartitionState, ("has_valid_position", "position")),
        (AIOKafkaClient, ("force_metadata_update", "_md_synchronizer", "_metadata_update")),
        (ClusterMetadata, ("partitions_for_topic",)),
    ):
        for name in names:
            assert hasattr(owner, name), f"{owner.__name__} has no {name}"
    assert "_crashed" in inspect.getsource(faust.Service)
    assert "generation_id" in inspect.signature(ConsumerMessage.__init__).parameters


@pytest.mark.integration
async def test_faust_starts_its_reading_by_the_seek_that_is_overridden(stage: Stage) -> None:
    stage.publish(Entity.TASKS, *(task(f"t{n}", 1) for n in range(10)))
    topic = stage.settings.topic(Entity.TASKS)
    await stage.fetch("INSERT INTO stream_topics (topic) VALUES ($1)", topic)
    await stage.fetch(
        "INSERT INTO stream_positions (topic, partition, next_offset) VALUES ($1, 0, 7)", topic
    )
    stage.start_worker()
    await stage.row("tasks", "t9")
    assert await stage.fetch("SELECT count(*) AS n FROM tasks") == [{"n": 3}]


@pytest.mark.integration
async def test_a_backlog_comes_in_chunks(stage: Stage) -> None:
    stage.publish(Entity.TASKS, *(task(f"t{n % 100}", n) for n in range(20_000)))
    stage.start_worker(metrics_port="0")
    await stage.row("tasks", "t99", version=19_999)
    (address,) = {line["address"] for line in stage.worker.lines("metrics")}
    metrics = await fetch(address)
    assert metrics["nova_flushes_total"] < 200, metrics


@pytest.mark.long
@pytest.mark.integration
async def test_without_the_chunk_transport_everything_is_exact_too(stage: Stage) -> None:
    stage.publish(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    stage.publish(Entity.TASKS, *(task(f"t{n % 50}", n, agent="MARS") for n in range(1000)))
    stage.start_worker(chunk_transport="false")
    await stage.row("tasks", "t49", version=999)
    stage.publish(Entity.TASKS, b"{", task("after", 1, agent="MARS"), partition=1)
    await stage.row("tasks", "after")
    assert (await stage.dead_letter(Entity.TASKS, 0, 1))["reason"] == "bad_json"
    assert stage.worker.stop() == 0

    stage.start_worker(chunk_transport="false")
    stage.publish(Entity.TASKS, task("t0", 2000, agent="MARS", status="failed"))
    await stage.row("tasks", "t0", version=2000)
    (cache,) = await stage.fetch("SELECT * FROM agent_stats_cache")
    assert (cache["total_tasks"], cache["failed_tasks"]) == (51, 1)


@pytest.mark.long
@pytest.mark.integration
async def test_without_the_chunk_transport_a_rebalance_loses_nothing(stage: Stage) -> None:
    first = stage.start_worker(chunk_transport="false")
    for partition in (0, 1):
        values = [task(f"{partition}-{n}", 1, agent="MARS") for n in range(2000)]
        stage.publish(Entity.TASKS, *values, partition=partition)
    await stage.row("tasks", "0-100")
    stage.start_worker(chunk_transport="false")
    for partition in (0, 1):
        values = [task(f"{partition}-{n}", 2, agent="VENUS") for n in range(2000)]
        stage.publish(Entity.TASKS, *values, partition=partition)
    await stage.row("tasks", "1-100", version=2)
    assert first.stop() == 0
    await stage.caught_up()
    query = "SELECT agent, count(*) AS n FROM tasks GROUP BY agent"
    assert await stage.fetch(query) == [{"agent": "VENUS", "n": 4000}]


async def fetch(address: str) -> dict[str, float]:
    """The numbers of a /metrics page, without labels."""
    page = await asyncio.to_thread(lambda: urlopen(address).read().decode())
    lines = (line.split() for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines if "{" not in name}
