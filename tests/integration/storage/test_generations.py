"""Topics that were made again, and the kinds of versions that a topic may have."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from nova_stream.clock import system_clock
from nova_stream.errors import GenerationError
from nova_stream.events.change import Entity
from nova_stream.storage.apply import positions
from nova_stream.storage.database import connect
from nova_stream.storage.stats.status import stream_facts
from tests.integration.storage.chunks import NOON_MS, deletion, task, value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS


async def versions(desk: Desk) -> dict[str, int]:
    return dict(await desk.connection.fetch("SELECT id, version FROM tasks"))


# -- generations -----------------------------------------------------------------------------------


async def test_a_chunk_of_an_earlier_life_of_its_topic_is_refused(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await desk.put(TASKS, task("t0"))
    desk.add(TASKS, task("t1"))
    old = desk.chunk(TASKS, 1)
    assert await positions.recognise(desk.connection, topic, "first") is None
    assert await positions.recognise(desk.connection, topic, "second") == 1
    with pytest.raises(GenerationError) as caught:
        await desk.flush(old)
    assert caught.value.key == old.key
    assert await versions(desk) == {"t0": 1}

    new = desk.chunk(TASKS, 0, generation=1)
    (applied,) = await desk.flush(new)
    assert (applied.next_offset, applied.epoch, applied.complete) == (2, 1, True)
    assert await versions(desk) == {"t0": 1, "t1": 1}


async def test_offsets_of_a_topic_made_again_outrank_all_before(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await desk.put(TASKS, *(task("t", None, agent=f"A{n}") for n in range(5)))
    assert await versions(desk) == {"t": 4}
    await positions.recognise(desk.connection, topic, "second")
    desk.logs.clear()
    desk.add(TASKS, task("t", None, agent="new"), task("t", None, agent="newer"))
    chunk = desk.chunk(TASKS, generation=1)
    await desk.flush(chunk)
    assert (await desk.row(TASKS, "t"))["agent"] == "newer"
    assert await versions(desk) == {"t": (1 << 44) + 1}
    # The same chunk once more, as after a lost answer: nothing is ranked twice.
    await desk.flush(chunk)
    assert await versions(desk) == {"t": (1 << 44) + 1}


async def test_a_dead_letter_published_again_keeps_the_rank_of_its_offset(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await positions.recognise(desk.connection, topic, "second")
    desk.add(TASKS, task("t", None, agent="newer"))
    old, new = (b"offset:7", b"offset:%d" % ((1 << 44) + 5))
    desk.add(TASKS, task("t", None, agent="old"), headers=[("nova_version", old)])
    desk.add(TASKS, task("u", None, agent="again"), headers=[("nova_version", new)])
    await desk.flush(desk.chunk(TASKS, generation=1))
    assert await versions(desk) == {"t": 1 << 44, "u": (1 << 44) + 5}


async def test_seq_numbers_are_no_matter_of_generations(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await desk.put(TASKS, task("t", 5, agent="old"))
    await positions.recognise(desk.connection, topic, "second")
    desk.logs.clear()
    desk.add(TASKS, task("t", 4, agent="older"), task("u", 1))
    await desk.flush(desk.chunk(TASKS, generation=1))
    assert await versions(desk) == {"t": 5, "u": 1}


async def test_restarting_twice_from_one_generation_counts_once(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await desk.put(TASKS, task())
    assert await positions.restart(desk.connection, topic, 0) == 1
    assert await positions.restart(desk.connection, topic, 0) == 1
    position = await desk.position(TASKS)
    assert (position.generation, position.next_offset, position.epoch) == (1, 0, 1)


async def test_workers_that_notice_a_new_topic_together_raise_one_generation(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.ensure(desk.connection, [(topic, 0), (topic, 1)])
    await positions.recognise(desk.connection, topic, "first")
    workers = [await connect(desk.settings, "test") for _ in range(5)]
    try:
        found = await asyncio.gather(*(positions.recognise(w, topic, "second") for w in workers))
        assert sorted(found, key=str) == [1, None, None, None, None]
        restarted = await asyncio.gather(*(positions.restart(w, topic, 1) for w in workers))
        assert restarted == [2] * 5
    finally:
        for worker in workers:
            await worker.close()
    assert (await desk.position(TASKS)).epoch == 2


async def test_partitions_that_are_new_begin_in_their_topics_generation(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.ensure(desk.connection, [(topic, 0)])
    await positions.restart(desk.connection, topic, 0)
    await positions.ensure(desk.connection, [(topic, 0), (topic, 1)])
    assert (await desk.position(TASKS, 1)).generation == 1


# -- version kinds ---------------------------------------------------------------------------------


async def test_the_first_record_fixes_the_topics_kind_of_versions(desk: Desk) -> None:
    later = value_of({"id": "u", "status": "done"}, lsn=9)
    await desk.put(TASKS, b"{", task("t", 1), later, task("v", None), deletion("t", 2))
    assert await desk.dead() == [
        ("tasks", 0, 0, "bad_json"),
        ("tasks", 0, 2, "version_kind"),
        ("tasks", 0, 3, "version_kind"),
    ]
    assert await versions(desk) == {"t": 2}
    applied = await desk.put(TASKS, later, partition=1)
    assert (applied.changes, applied.dead) == (0, 1)


async def test_each_topic_has_a_kind_of_its_own(desk: Desk) -> None:
    await desk.put(TASKS, task("t", None))
    await desk.put(Entity.BUILDS, value_of({"id": "b", "status": "failed"}, lsn=7))
    await desk.put(Entity.USERS, value_of({"id": "u"}, seq=7))
    assert await desk.dead() == []


async def test_two_partitions_of_one_flush_have_one_kind(desk: Desk) -> None:
    desk.add(TASKS, task("t0", 1), partition=0)
    desk.add(TASKS, task("t1", None), task("t2", 2), partition=1)
    await desk.flush(desk.chunk(TASKS, partition=0), desk.chunk(TASKS, partition=1))
    assert await desk.dead() == [("tasks", 1, 0, "version_kind")]
    assert await versions(desk) == {"t0": 1, "t2": 2}


async def test_a_refused_flush_fixes_no_kind(desk: Desk) -> None:
    poison = value_of({"id": "bad", "status": "done", "x": "PLACE"}, lsn=1)
    with pytest.raises(asyncpg.PostgresError):
        await desk.put(TASKS, poison.replace(b'"PLACE"', b"1e400000"))
    desk.logs.clear()
    await desk.put(TASKS, task("t", 3))
    assert await versions(desk) == {"t": 3}


# -- offsets of more partitions --------------------------------------------------------------------


async def enlarge(desk: Desk, *counts: int) -> list[bool]:
    topic = desk.settings.topic(TASKS)
    return [await positions.note_partitions(desk.connection, topic, count) for count in counts]


async def looked_at(desk: Desk, partitions: int) -> list[str]:
    return await positions.mixing(desk.connection, {desk.settings.topic(TASKS): partitions})


async def test_partitions_that_are_added_under_offsets_are_noted_until_the_topic_is_made_again(
    desk: Desk,
) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    assert await enlarge(desk, 4, 4) == [False, False]
    await desk.put(TASKS, task("t", None))
    assert await looked_at(desk, 4) == []
    assert await looked_at(desk, 6) == [topic], "also before a worker has seen it"
    assert await enlarge(desk, 6, 6) == [True, True]
    await positions.restart(desk.connection, topic, 0)
    assert await looked_at(desk, 6) == [topic], "the same records are read again"
    await positions.recognise(desk.connection, topic, "second")
    assert await enlarge(desk, 8) == [False]
    assert await looked_at(desk, 8) == []


@pytest.mark.parametrize("seq", [1, None])
async def test_partitions_may_be_added_before_the_first_record_and_under_other_versions(
    desk: Desk, seq: int | None
) -> None:
    await positions.recognise(desk.connection, desk.settings.topic(TASKS), "first")
    assert await enlarge(desk, 2, 4) == [False, False]
    await desk.put(TASKS, task("t", seq))
    assert await enlarge(desk, 4 if seq is None else 8) == [False]
    assert await looked_at(desk, 4 if seq is None else 8) == []


# -- what is told of a topic that was made again ---------------------------------------------------


async def test_partitions_that_a_topic_has_no_more_are_none_and_none_of_them_stands(
    desk: Desk,
) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await positions.note_partitions(desk.connection, topic, 4)
    await positions.ensure(desk.connection, [(topic, n) for n in range(4)])
    for partition in (0, 3):
        await positions.note_stop(desk.connection, (topic, partition), "too many dead letters")
    assert len(await positions.standing(desk.connection)) == 4
    assert [found.partition for found in await positions.stopped(desk.connection)] == [0, 3]

    await positions.recognise(desk.connection, topic, "second")
    await positions.note_partitions(desk.connection, topic, 2)
    assert {key[1] for key in await positions.standing(desk.connection)} == {0, 1}
    assert await positions.stopped(desk.connection) == []

    await positions.note_partitions(desk.connection, topic, 3)
    assert {key[1] for key in await positions.standing(desk.connection)} == {0, 1, 2}


async def test_freshness_is_of_no_row_of_a_former_life(desk: Desk) -> None:
    """A record of the new life has the offset of the old one's and makes no row."""
    executions = Entity.EXECUTIONS
    topic = desk.settings.topic(executions)
    reader = await connect(desk.settings, "test")

    async def freshness() -> float | None:
        facts = await stream_facts(
            reader, desk.settings, system_clock(), agents_job="x", builds_job="x"
        )
        return facts.freshness_ms

    await positions.recognise(desk.connection, topic, "first")
    row = {"id": "e", "agent": "MARS", "timestamp": "2026-02-20T12:00:00Z"}
    await desk.put(executions, value_of(row))
    assert await freshness() is not None
    await positions.recognise(desk.connection, topic, "second")
    assert await freshness() is None
    desk.logs.clear()
    desk.add(executions, b"no document")
    await desk.flush(desk.chunk(executions, generation=1))
    assert await freshness() is None
    desk.add(executions, value_of(row))
    await desk.flush(desk.chunk(executions, 1, generation=1))
    age = await freshness()
    assert age is not None
    assert age > 0
    desk.add(executions, value_of(row, ts_ms=NOON_MS + 10**12))  # by a clock that is ahead
    await desk.flush(desk.chunk(executions, 2, generation=1))
    assert await freshness() == 0
    await reader.close()


def change(entity: Entity, **version: Any) -> bytes:
    """A change of one document of an entity."""
    more = {Entity.AGENTS: {"name": "MARS"}, Entity.BUILDS: {"status": "running"}}
    return value_of({"id": "x", "status": "done", **more.get(entity, {})}, **version)


async def mixed(desk: Desk, entity: Entity) -> bool:
    topic = desk.settings.topic(entity)
    return await positions.mixing(desk.connection, {topic: 2}) == [topic]


@pytest.mark.parametrize("first", [True, False], ids=["two flushes", "one flush"])
@pytest.mark.parametrize("entity", Entity)
async def test_offsets_of_an_entity_in_two_partitions_are_noted_once(
    desk: Desk, entity: Entity, first: bool
) -> None:
    one, other, later = change(entity), change(entity), change(entity)
    desk.add(entity, other, partition=1)
    if first:
        assert not (await desk.put(entity, b"{", one)).mixed
        assert not await mixed(desk, entity)
        (applied,) = await desk.flush(desk.chunk(entity, partition=1))
    else:
        desk.add(entity, b"{", one)
        _, applied = await desk.flush(desk.chunk(entity), desk.chunk(entity, partition=1))
    assert applied.mixed
    assert await mixed(desk, entity)
    assert not (await desk.put(entity, later, partition=0)).mixed, "it is known"
    topic = desk.settings.topic(entity)
    await positions.recognise(desk.connection, topic, "first")
    assert await positions.note_partitions(desk.connection, topic, 2), "told at every start"
    await positions.recognise(desk.connection, topic, "second")
    assert not await positions.note_partitions(desk.connection, topic, 2)


@pytest.mark.parametrize("entity", Entity)
@pytest.mark.parametrize("behind", [2, 1, 0], ids=["the later", "as late", "the earlier"])
async def test_deletions_of_what_nobody_knows_mix_offsets_too(
    desk: Desk, entity: Entity, behind: int
) -> None:
    gone = value_of(None, before={"id": "x"})
    desk.add(entity, *[b"{"] * behind, gone, partition=1)
    assert not (await desk.put(entity, b"{", gone)).mixed
    (applied,) = await desk.flush(desk.chunk(entity, partition=1))
    assert applied.mixed


async def test_of_changes_that_state_their_versions_and_others_the_others_count(desk: Desk) -> None:
    await desk.put(TASKS, b"{", task("t", None), task("u", None))
    kept = [("nova_version", b"offset:3")]
    desk.add(TASKS, task("u", None), partition=1, headers=kept)
    desk.add(TASKS, task("v", None), partition=1)
    (applied,) = await desk.flush(desk.chunk(TASKS, partition=1))
    assert not applied.mixed
    desk.add(TASKS, task("u", None), partition=2, headers=kept)
    desk.add(TASKS, task("t", None), partition=2)
    (applied,) = await desk.flush(desk.chunk(TASKS, partition=2))
    assert applied.mixed


async def test_a_row_that_a_repair_made_anew_stands_anywhere(desk: Desk) -> None:
    await desk.put(TASKS, b"{", task("t", None))
    await desk.connection.execute("UPDATE tasks SET version = 0")
    assert not (await desk.put(TASKS, b"{", task("t", None), partition=1)).mixed


async def test_a_row_of_an_older_version_that_stood_further_ahead_is_of_another_topic(
    desk: Desk,
) -> None:
    await desk.put(TASKS, *[b"{"] * 9)
    await desk.put(TASKS, task("t", None), headers=[("nova_version", b"offset:1")])
    desk.settings = desk.settings.model_copy(update={"topic_tasks": "elsewhere"})
    desk.logs.clear()
    assert (await desk.put(TASKS, b"{", b"{", task("t", None))).mixed


@pytest.mark.parametrize("kind", [{"seq": 2}, {"lsn": 2}], ids=["seq", "lsn"])
async def test_versions_that_compare_may_come_from_any_partition(
    desk: Desk, kind: dict[str, int]
) -> None:
    await desk.put(TASKS, change(TASKS, **kind))
    assert not (await desk.put(TASKS, change(TASKS, **kind), partition=1)).mixed
    assert not await mixed(desk, TASKS)


async def test_what_states_its_version_or_is_of_another_life_mixes_no_offsets(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await desk.put(TASKS, b"{", task("t", None))
    kept = [("nova_version", b"offset:1")]
    assert not (await desk.put(TASKS, task("t", None), partition=1, headers=kept)).mixed
    await desk.put(TASKS, task("u", None), partition=1)
    await positions.recognise(desk.connection, topic, "second")
    desk.logs.clear()
    desk.add(TASKS, task("t", None), task("u", None), partition=3)
    (applied,) = await desk.flush(desk.chunk(TASKS, partition=3, generation=1))
    assert not applied.mixed
    assert await versions(desk) == {"t": 1 << 44, "u": (1 << 44) + 1}


async def test_offsets_of_a_topic_of_another_name_are_told(desk: Desk) -> None:
    await desk.put(TASKS, b"{", task("t", None, agent="OLDER"))
    desk.settings = desk.settings.model_copy(update={"topic_tasks": "elsewhere"})
    desk.logs.clear()
    applied = await desk.put(TASKS, task("t", None, agent="NEWER"))
    assert applied.mixed
    assert (await desk.row(TASKS, "t"))["agent"] == "OLDER", "which is what is told"


async def test_changes_in_their_order_mix_no_offsets(desk: Desk) -> None:
    for number in range(5):
        changes = [task(f"t{n}", None, agent=f"A{number}") for n in range(3)]
        for partition in (0, 1):
            named = [change.replace(b'"t', b'"p%d-t' % partition) for change in changes]
            assert not (await desk.put(TASKS, *named, partition=partition)).mixed
    assert not await mixed(desk, TASKS)
