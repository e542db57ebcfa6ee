"""What arrives in other forms than the publisher's, through a worker, at its place in Postgres."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nova_stream.events.change import Entity
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage

pytestmark = pytest.mark.integration

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
NOON_US = 1771588800000000
UNAVAILABLE = "__debezium_unavailable_value"


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_compressed_batches_are_read(running_worker: Stage, codec: str) -> None:
    stage = running_worker
    producer = stage.producer(compression_type=codec, linger_ms=50)
    values = [
        value_of({"id": f"{codec} {n}", "status": "done", "title": "x" * 1000}, seq=1)
        for n in range(100)
    ]
    stage.publish(Entity.TASKS, *values, producer=producer)
    await stage.row("tasks", f"{codec} 99")
    query = "SELECT count(*) AS n FROM tasks WHERE starts_with(id, $1)"
    assert await stage.fetch(query, f"{codec} ") == [{"n": 100}]


def wrapped(op: str, before: Any, after: Any, lsn: int) -> bytes:
    """A change of the builds table as Debezium's Postgres connector writes it."""
    row = [
        {"type": "string", "optional": False, "field": "id"},
        {"type": "string", "optional": True, "field": "prd_name"},
        {"type": "string", "optional": True, "field": "status"},
        {
            "type": "int64",
            "optional": True,
            "field": "started_at",
            "name": "io.debezium.time.MicroTimestamp",
            "version": 1,
        },
        {
            "type": "string",
            "optional": True,
            "field": "completed_at",
            "name": "io.debezium.time.ZonedTimestamp",
            "version": 1,
        },
    ]
    schema = {
        "type": "struct",
        "fields": [
            {"type": "struct", "fields": row, "optional": True, "field": "before"},
            {"type": "struct", "fields": row, "optional": True, "field": "after"},
        ],
    }
    source = {"connector": "postgresql", "name": "app", "lsn": lsn, "ts_ms": NOON_US // 1000}
    payload = {"op": op, "before": before, "after": after, "source": source, "ts_ms": 1}
    return json.dumps({"schema": schema, "payload": payload}).encode()


async def test_debeziums_wrapped_records_are_read_as_they_are(running_worker: Stage) -> None:
    stage = running_worker
    first = {
        "id": "b1",
        "prd_name": "Lumen",
        "status": "running",
        "started_at": NOON_US,
        "completed_at": None,
    }
    second = {
        **first,
        "status": "completed",
        "completed_at": "2026-02-20T12:00:01.500Z",
        "prd_name": UNAVAILABLE,
    }
    key = b'{"schema": {"type": "struct"}, "payload": {"id": "b1"}}'
    other = {**first, "id": "b2"}
    stage.publish(
        Entity.BUILDS, wrapped("r", None, first, 100), wrapped("u", None, second, 101), key=key
    )
    stage.publish(Entity.BUILDS, wrapped("c", None, other, 102), key=b'{"id": "b2"}')
    stage.publish(Entity.BUILDS, wrapped("d", {"id": "b2"}, None, 103), None, key=b'{"id": "b2"}')
    await stage.row("builds", "b2", version=103)

    row = await stage.row("builds", "b1")
    assert (row["status"], row["prd_name"], row["version"]) == ("completed", "Lumen", 101)
    assert row["started_at"] == NOON
    (cache,) = await stage.fetch("SELECT * FROM build_stats_cache")
    assert (cache["total_builds"], cache["avg_duration_ms"]) == (1, 1500)


async def test_a_structured_cloud_event_is_read(running_worker: Stage) -> None:
    stage = running_worker
    data = json.loads(value_of({"id": "cloud", "status": "done"}, seq=1))
    event = {"specversion": "1.0", "type": "nova.tasks.updated", "id": "1", "data": data}
    headers = [("content-type", b"application/cloudevents+json")]
    stage.publish(Entity.TASKS, json.dumps(event).encode(), headers=headers)
    await stage.row("tasks", "cloud")


async def test_topics_of_other_names_are_read(stage: Stage) -> None:
    other = f"{stage.settings.topic_prefix}.public.task"
    stage.settings = stage.settings.model_copy(update={"topic_tasks": other})
    stage.make_topic(Entity.TASKS, 3)
    stage.start_worker(topic_tasks=other)
    stage.publish(Entity.TASKS, value_of({"id": "t", "status": "done"}, seq=1), partition=2)
    await stage.row("tasks", "t")


async def test_flattened_rows_and_the_nulls_that_delete_them_are_read(stage: Stage) -> None:
    stage.start_worker()

    def row(id_: str, **marks: Any) -> bytes:
        return json.dumps({"id": id_, "status": "done", "agent": "ATLAS", **marks}).encode()

    for number, null in enumerate((None, b"null", b'{"schema": {}, "payload": null}', b"")):
        id_ = f"flat {number}"
        key = json.dumps({"schema": {"type": "struct"}, "payload": {"id": id_}}).encode()
        gone = null if null != b"" else row(id_, __deleted="true", __lsn=20)
        stage.publish(Entity.TASKS, row(id_, __lsn=10, __deleted="false"), key=key)
        await stage.row("tasks", id_, version=10)
        stage.publish(Entity.TASKS, gone, key=key)
        stage.publish(Entity.TASKS, row(f"{id_} kept", __lsn=30), key=b"k")
        await stage.row("tasks", f"{id_} kept", deleted_at=None)
        assert (await stage.row("tasks", id_))["deleted_at"] is not None
    assert await stage.fetch("SELECT 1 FROM dead_letters") == []
