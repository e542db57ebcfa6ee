"""Logs that are not what the positions say: made again, cut at either end, with holes, grown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nova_stream.events.change import Entity
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage, until

pytestmark = [pytest.mark.integration, pytest.mark.long]

TASKS = Entity.TASKS
GONE = "records are gone from the log before they were read"
UNKNOWN = "topics were not known when partitions were assigned"
MIXED = "offsets are mixed that do not compare"


def task(id_: str, seq: int | None = 1, **fields: Any) -> bytes:
    version = {} if seq is None else {"seq": seq}
    return value_of({"id": id_, "status": "done", **fields}, **version)  # type: ignore[arg-type]


async def ids(stage: Stage) -> set[str]:
    return {row["id"] for row in await stage.fetch("SELECT id FROM tasks")}


async def remade(stage: Stage, *values: bytes) -> None:
    """Delete the topic of tasks, make it again, and publish into it."""
    stage.delete_topic(TASKS)

    async def make() -> bool:
        try:
            stage.make_topic(TASKS, stage.settings.partitions)
        except Exception as error:
            assert "already exists" in str(error), error
            return False
        return True

    await until("the topic can be made again", make)
    stage.publish(TASKS, *values)


async def test_a_topic_made_again_under_a_running_worker_is_read_from_its_start(
    stage: Stage,
) -> None:
    stage.start_worker()
    stage.publish(TASKS, *(task(f"old {n}") for n in range(20)), task("both", 5, agent="old"))
    await stage.row("tasks", "both")

    await remade(stage, task("new 0"), task("both", 4, agent="older"), task("new 1"))
    await stage.row("tasks", "new 0")
    await stage.row("tasks", "new 1")
    assert (await stage.row("tasks", "both"))["agent"] == "old"
    await stage.worker.says("a topic was recreated", topic=stage.settings.topic(TASKS))

    stage.publish(TASKS, task("both", 6, agent="new"))
    await stage.row("tasks", "both", agent="new")


async def test_a_topic_that_is_gone_is_told_and_read_once_it_is_there_again(
    stage: Stage,
) -> None:
    first, second = stage.start_worker(), stage.start_worker()
    stage.publish(TASKS, task("old"), partition=0)
    stage.publish(TASKS, task("old 1"), partition=1)
    await stage.row("tasks", "old")
    await stage.row("tasks", "old 1")
    stage.delete_topic(TASKS)
    for worker in (first, second):
        await worker.says("a topic is gone", topic=stage.settings.topic(TASKS))
    stage.make_topic(TASKS, stage.settings.partitions)
    fresh = stage.producer()
    for partition in (0, 1):
        stage.publish(TASKS, task(f"new {partition}"), partition=partition, producer=fresh)
        await stage.row("tasks", f"new {partition}")


async def test_a_topic_made_again_while_no_worker_runs_is_read_from_its_start(
    stage: Stage,
) -> None:
    stage.start_worker()
    stage.publish(TASKS, *(task(f"old {n}") for n in range(5)))
    await stage.row("tasks", "old 4")
    assert stage.worker.stop() == 0

    # More records than before, so that the position alone would not tell.
    await remade(stage, *(task(f"new {n}") for n in range(9)))
    stage.start_worker()
    await stage.row("tasks", "new 0")
    await stage.row("tasks", "new 8")
    await stage.worker.says("a topic was recreated", topic=stage.settings.topic(TASKS))
    assert (await stage.position(TASKS))["generation"] == 1


async def test_offsets_as_versions_outrank_those_of_the_topic_before(stage: Stage) -> None:
    stage.start_worker()
    stage.publish(TASKS, *(task("t", None, agent=f"A{n}") for n in range(50)))
    await stage.row("tasks", "t", agent="A49")
    await remade(stage, task("t", None, agent="new"))
    await stage.row("tasks", "t", agent="new")


async def test_a_position_ahead_of_the_log_is_told_and_everything_is_read_anew(
    stage: Stage,
) -> None:
    stage.publish(TASKS, *(task(f"t{n}") for n in range(5)))
    stage.start_worker()
    await stage.row("tasks", "t4")
    assert stage.worker.stop() == 0

    await stage.fetch("UPDATE stream_positions SET next_offset = 1000 WHERE partition = 0")
    await stage.fetch("DELETE FROM tasks")
    await stage.fetch("DELETE FROM agent_stats_partials")
    stage.start_worker()
    await stage.row("tasks", "t0")
    topic = stage.settings.topic(TASKS)
    await stage.worker.says("a topic's log ends below its position in Postgres", topic=topic)
    stage.publish(TASKS, task("after"))
    await stage.row("tasks", "after")
    assert (await stage.position(TASKS))["next_offset"] == 6


async def test_a_log_that_starts_above_the_position_is_told_and_read_from_there(
    stage: Stage,
) -> None:
    stage.publish(TASKS, *(task(f"t{n}") for n in range(10)))
    stage.delete_records(TASKS, 6)
    stage.start_worker()
    await stage.row("tasks", "t9")
    line = await stage.worker.says(GONE, topic=stage.settings.topic(TASKS), partition=0)
    assert (line["first"], line["last"]) == (0, 5)
    assert await ids(stage) == {"t6", "t7", "t8", "t9"}
    stage.publish(TASKS, task("after"))
    await stage.row("tasks", "after")


async def test_a_log_emptied_above_the_position_is_read_on(stage: Stage) -> None:
    stage.publish(TASKS, *(task(f"t{n}") for n in range(10)))
    stage.delete_records(TASKS, 10)
    stage.start_worker()
    line = await stage.worker.says(GONE, topic=stage.settings.topic(TASKS), partition=0)
    assert (line["first"], line["last"]) == (0, 9)
    stage.publish(TASKS, task("after"))
    await stage.row("tasks", "after")


async def test_transactions_leave_holes_and_aborted_ones_leave_nothing(stage: Stage) -> None:
    stage.start_worker()
    producer = stage.producer(transactional_id=stage.settings.topic_prefix)
    producer.init_transactions(30)
    for number in range(6):
        aborted = number % 3 == 2
        producer.begin_transaction()
        values = [task(f"t{number}-{n}", number + 1) for n in range(3)]
        await asyncio.to_thread(stage.publish, TASKS, *values, producer=producer)
        if aborted:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    stage.publish(TASKS, task("after"))
    await stage.row("tasks", "after")
    assert await ids(stage) == {
        "after",
        *(f"t{number}-{n}" for number in (0, 1, 3, 4) for n in range(3)),
    }
    assert stage.worker.lines(GONE) == []


async def test_holes_are_no_obstacle_to_a_worker_that_starts(stage: Stage) -> None:
    producer = stage.producer(transactional_id=stage.settings.topic_prefix)
    producer.init_transactions(30)
    for number in range(4):
        producer.begin_transaction()
        stage.publish(TASKS, task(f"t{number}"), producer=producer)
        producer.commit_transaction(30)
    stage.start_worker()
    await stage.row("tasks", "t3")
    assert await ids(stage) == {"t0", "t1", "t2", "t3"}
    assert stage.worker.stop() == 0
    stage.start_worker()
    stage.publish(TASKS, task("after"))
    await stage.row("tasks", "after")


async def test_a_compacted_topic_is_read_to_its_end(stage: Stage) -> None:
    other = stage.make_compacted(TASKS)
    for number in range(50):
        stage.publish(TASKS, task("t", number + 1, agent=f"A{number}"), key=b"t")

    async def compacted() -> bool:
        stage.publish(TASKS, task("u", 1), key=b"u")  # makes the log roll
        return await asyncio.to_thread(stage.count, TASKS) < 40

    await until("the topic is compacted", compacted)
    stage.start_worker(topic_tasks=other)
    await stage.row("tasks", "t", agent="A49")
    await stage.row("tasks", "u")
    stage.publish(TASKS, task("after"), key=b"after")
    await stage.row("tasks", "after")
    assert stage.worker.lines(GONE) == []


async def test_partitions_that_are_added_are_read(stage: Stage) -> None:
    stage.start_worker()
    stage.publish(TASKS, task("before"))
    await stage.row("tasks", "before")
    stage.add_partitions(TASKS, 4)
    for partition in range(4):
        fresh = stage.producer()  # the one from before does not know them yet
        stage.publish(TASKS, task(f"after {partition}"), partition=partition, producer=fresh)
    for partition in range(4):
        await stage.row("tasks", f"after {partition}")
    await stage.worker.says("a topic was enlarged", topics=[stage.settings.topic(TASKS)])


async def test_partitions_added_where_versions_are_offsets_are_told_at_every_start(
    stage: Stage,
) -> None:
    topic = stage.settings.topic(TASKS)
    stage.start_worker()
    stage.publish(TASKS, *(task("t", None, agent=f"A{n}") for n in range(3)), key=b"t")
    await stage.row("tasks", "t", agent="A2")
    stage.add_partitions(TASKS, 4)
    await stage.worker.says("a topic was enlarged", topics=[topic])
    line = await stage.worker.says(MIXED, topic=topic)
    assert "publish all entities" in line["then"]
    # What it warns of: the entity's next change lies in a partition whose offsets are lower.
    fresh = stage.producer()
    stage.publish(TASKS, task("t", None, agent="A3"), partition=3, key=b"t", producer=fresh)
    stage.publish(TASKS, task("u", None), partition=3, key=b"u", producer=fresh)
    await stage.row("tasks", "u")
    await stage.row("tasks", "t", agent="A2")
    assert stage.worker.stop() == 0
    stage.start_worker()
    await stage.worker.says(MIXED, topic=topic)


@pytest.mark.parametrize("late", [[], [TASKS], [TASKS, Entity.BUILDS]])
async def test_topics_that_were_not_known_when_partitions_were_assigned_are_read_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, late: list[Entity]
) -> None:
    monkeypatch.setenv("LATE_TOPICS", " ".join(stage.settings.topic(entity) for entity in late))
    stage.publish(TASKS, task("before"))
    stage.start_worker("tests.integration.stream.late_topics")
    told = await stage.worker.says(UNKNOWN)
    assert {stage.settings.topic(entity) for entity in late or Entity} <= set(told["topics"])
    await stage.row("tasks", "before")
    stage.publish(TASKS, task("after"))
    await stage.row("tasks", "after")
    assert len(stage.worker.lines(UNKNOWN)) == 1


async def test_records_without_a_key_that_mix_offsets_are_told(stage: Stage) -> None:
    """As a JDBC source writes them: rows, each in whatever partition."""
    stage.start_worker()
    producer = stage.producer()
    records = [task(f"t{n}", None, agent="OLDER") for n in range(5)]
    stage.publish(TASKS, *records, key=None, producer=producer)
    await stage.row("tasks", "t4")
    assert stage.worker.lines(MIXED) == []
    newer = task("t4", None, agent="NEWER")
    stage.publish(TASKS, newer, partition=1, key=None, producer=producer)
    await stage.worker.says(MIXED, topic=stage.settings.topic(TASKS))
    await stage.row("tasks", "t4", agent="OLDER")
