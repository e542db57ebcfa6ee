"""The reference data through Kafka and workers gives what the main app itself computes."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from nova_stream.events.change import Entity
from nova_stream.events.times import time_text
from nova_stream.storage.database import connect
from nova_stream.storage.stats import read
from tests import reference
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage

ENTITIES = (
    Entity.AGENTS,
    Entity.BUILDS,
    Entity.TASKS,
    Entity.EXECUTIONS,
    Entity.USERS,
    Entity.ACTIVITIES,
)

pytestmark = pytest.mark.integration

Steps = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def documents() -> dict[str, list[dict[str, Any]]]:
    return reference.documents()


@pytest.fixture(scope="module")
def steps() -> Steps:
    return reference.steps()


def older(entity: Entity, document: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """What the entity may have been before: other figures in every respect."""
    before = {**document}
    if "agent" in before:
        before["agent"] = dice.choice(["ATLAS", "MARS", "nobody"])
    if entity is Entity.TASKS:
        before["status"] = dice.choice(["running", "failed", "pending", "done"])
    if entity is Entity.BUILDS:
        before |= {"status": "completed", "completedAt": "2026-02-20T11:59:59.999Z"}
    if entity is Entity.EXECUTIONS:
        before |= {"duration": 987654.25, "timestamp": "2026-02-20T11:59:59.999Z"}
    if entity is Entity.AGENTS:
        before |= {"name": "nobody", "role": "none"}
    return before


def publish(stage: Stage, documents: dict[str, list[dict[str, Any]]]) -> None:
    """Every document shuffled, with 10 % duplicates, 10 % older versions, and all once more."""
    dice = random.Random(20260220)
    records: list[tuple[Entity, str, bytes]] = []
    for entity in ENTITIES:
        for number, document in enumerate(documents[entity.value]):
            seq, id_ = 10 * number + 5, document["id"]
            records.append((entity, id_, value_of(document, op="c", seq=seq)))
            if dice.random() < 0.1:
                records.append(records[-1])
            if dice.random() < 0.1:
                stale = older(entity, document, dice)
                records.append((entity, id_, value_of(stale, op="r", seq=seq - dice.randint(1, 5))))
    again = list(records)
    dice.shuffle(records)
    dice.shuffle(again)
    producer = stage.producer(linger_ms=20)
    for entity, id_, value in records + again:
        producer.produce(stage.settings.topic(entity), value, id_.encode())
        producer.poll(0)
    assert producer.flush(60) == 0


async def test_the_caches_equal_the_expected_file_field_by_field(
    stage: Stage, documents: dict[str, list[dict[str, Any]]], steps: Steps
) -> None:
    stage.start_worker()
    stage.start_worker()
    publish(stage, documents)
    await stage.caught_up()
    await agents_by_sql(stage, steps)
    await builds_by_sql(stage, steps)
    await through_the_readers(stage, steps)
    await sizes(stage, steps)
    assert await stage.fetch("SELECT 1 FROM dead_letters") == []


async def agents_by_sql(stage: Stage, steps: Steps) -> None:
    rows = await stage.fetch("SELECT * FROM agent_stats_cache ORDER BY agent_id")
    found = [{**row, "last_active": time_text(row["last_active"])} for row in rows]
    expected = [
        {
            "agent_id": row["agentId"],
            "agent_name": row["agentName"],
            "role": row["role"],
            "total_tasks": row["totalTasks"],
            "completed_tasks": row["completedTasks"],
            "failed_tasks": row["failedTasks"],
            "success_rate": row["successRate"],
            "avg_duration": row["avgDuration"],
            "last_active": row["lastActive"],
            "current_status": row["currentStatus"],
        }
        for row in steps["computeAgentStats"]["agentStatsCache"]
    ]
    for row in found:
        assert row.pop("cached_at") is not None
        for besides in ("running_tasks", "executions", "duration_sum"):
            assert row.pop(besides) >= 0
    assert found == expected


async def builds_by_sql(stage: Stage, steps: Steps) -> None:
    (row,) = await stage.fetch("SELECT * FROM build_stats_cache")
    result, own = (steps["refreshBuildStats"][key] for key in ("result", "ownCompletedOnly"))
    assert row["total_builds"] == result["totalBuilds"]
    assert row["completed_builds"] == result["completedBuilds"] == own["builds"]
    assert row["failed_builds"] == result["failedBuilds"]
    assert row["running_builds"] == result["runningBuilds"]
    assert row["success_rate"] == result["successRate"]
    assert row["avg_duration_ms"] == own["avgDurationMs"]
    assert time_text(row["last_build_time"]) == steps["getOverviewStats"]["lastBuildTime"]


async def through_the_readers(stage: Stage, steps: Steps) -> None:
    connection = await connect(stage.settings, "test")
    try:
        overview = msgspec.to_builtins(await read.overview(connection))
        rows = (await read.agents_stats(connection, read.Bounds(1000, 10**6))).rows
        listed = [msgspec.to_builtins(row) for row in rows]
        builds = msgspec.to_builtins(await read.build_stats(connection))
    finally:
        await connection.close()
    assert overview == steps["getOverviewStats"]
    for row, expected in zip(listed, steps["getAgentStats"]["rows"], strict=True):
        assert row["agentName"] == expected.pop("name")
        assert row.items() >= expected.items()
    assert (
        builds["avgDurationMs"] == steps["refreshBuildStats"]["ownCompletedOnly"]["avgDurationMs"]
    )


async def sizes(stage: Stage, steps: Steps) -> None:
    expected = steps["healthCheck"]
    tables = {
        "builds": "build",
        "tasks": "task",
        "executions": "execution",
        "agent_activity_feed": "activity",
        "user_profiles": "user",
    }
    for table, name in tables.items():
        query = f"SELECT count(*) AS n FROM {table} WHERE deleted_at IS NULL"
        assert await stage.fetch(query) == [{"n": expected[f"{name}TableSize"]}], table
