"""One flush: what it admits, what it refuses, and what it says."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from nova_stream.errors import GapError
from nova_stream.events.change import Entity
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.flat_array import FlatArray
from nova_stream.storage.apply.flush import Flush, read_partials
from tests.integration.storage.chunks import deletion, task, value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS


async def versions(desk: Desk) -> dict[str, int]:
    return dict(await desk.connection.fetch("SELECT id, version FROM tasks"))


async def test_a_flat_array_arrives_as_the_list_that_it_holds(desk: Desk) -> None:
    for values in ([], [None], ["a", None, "", '{"b": [1]}'], ["x"] * 5000):
        for _ in range(2):  # also from a statement that is prepared already
            found = await desk.connection.fetchval("SELECT $1::text[]", FlatArray(values))
            assert found == values
    with pytest.raises(asyncpg.DataError):
        await desk.connection.fetchval("SELECT $1::int[]", array := FlatArray([1, 2**40]))
    assert await desk.connection.fetchval("SELECT $1::bigint[]", array) == [1, 2**40]


# -- positions -------------------------------------------------------------------------------------


async def test_a_chunk_above_the_position_is_refused_and_changes_nothing(desk: Desk) -> None:
    desk.add(TASKS, task("t0"), task("t1"))
    with pytest.raises(GapError) as caught:
        await desk.flush(desk.chunk(TASKS, 1))
    assert caught.value.key == (desk.settings.topic(TASKS), 0)
    assert await versions(desk) == {}
    await desk.flush(desk.chunk(TASKS, 0))
    assert await versions(desk) == {"t0": 1, "t1": 1}


async def test_a_refused_chunk_takes_the_whole_transaction_with_it(desk: Desk) -> None:
    desk.add(TASKS, task("t0"), partition=0)
    desk.add(TASKS, task("t1"), task("t2"), partition=1)
    chunks = desk.chunk(TASKS, partition=0), desk.chunk(TASKS, 1, partition=1)
    with pytest.raises(GapError) as caught:
        await desk.flush(*chunks)
    assert caught.value.key[1] == 1
    assert await versions(desk) == {}
    assert (await desk.position(TASKS)).next_offset == 0


async def test_what_lies_below_the_position_is_dropped(desk: Desk) -> None:
    await desk.put(TASKS, task("t0"), b"{", task("t1"))
    desk.add(TASKS, task("t2"), b"[")
    (applied,) = await desk.flush(desk.chunk(TASKS))
    assert (applied.changes, applied.dead, applied.next_offset) == (1, 1, 5)
    (applied,) = await desk.flush(desk.chunk(TASKS, 0, 3))
    assert (applied.changes, applied.dead, applied.next_offset) == (0, 0, 5)
    assert [place[2] for place in await desk.dead()] == [1, 4]


async def test_a_chunk_without_changes_moves_the_position(desk: Desk) -> None:
    applied = await desk.put(TASKS, None, None)
    assert (applied.next_offset, applied.changes, applied.dead) == (2, 0, 0)
    assert (await desk.position(TASKS)).next_offset == 2


async def test_a_partition_whose_position_is_gone_is_to_be_read_again(desk: Desk) -> None:
    desk.add(TASKS, task())
    with pytest.raises(GapError):
        await Flush(desk.connection, [desk.chunk(TASKS)], {}).run()


async def test_after_a_failure_the_connection_is_of_use(desk: Desk) -> None:
    poison = task("bad", x="PLACE").replace(b'"PLACE"', b"1e400000")
    with pytest.raises(asyncpg.NumericValueOutOfRangeError):
        await desk.put(TASKS, task("good"), poison)
    assert await versions(desk) == {}
    await desk.flush(desk.chunk(TASKS, 0, 1))
    assert await versions(desk) == {"good": 1}


# -- deletions -------------------------------------------------------------------------------------


async def test_an_older_change_that_arrives_late_does_not_bring_back_what_is_deleted(
    desk: Desk,
) -> None:
    await desk.put(TASKS, task("t", 1))
    await desk.put(TASKS, deletion("t", 5))
    await desk.put(TASKS, task("t", 4), task("t", 5))
    row = await desk.row(TASKS, "t")
    assert (row["version"], row["agent"], row["status"], row["doc"]) == (5, None, None, None)
    assert row["deleted_at"] is not None


async def test_a_deletion_of_what_is_not_there_yet_keeps_out_what_is_older(desk: Desk) -> None:
    await desk.put(TASKS, deletion("t", 5))
    await desk.put(TASKS, task("t", 3))
    assert (await desk.row(TASKS, "t"))["deleted_at"] is not None


async def test_a_newer_change_brings_a_deleted_entity_back(desk: Desk) -> None:
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    await desk.put(TASKS, task("t", 1), deletion("t", 2))
    assert (await desk.cached("MARS"))["total_tasks"] == 0
    await desk.put(TASKS, task("t", 3, status="failed"))
    assert (await desk.row(TASKS, "t"))["deleted_at"] is None
    cached = await desk.cached("MARS")
    assert (cached["total_tasks"], cached["failed_tasks"]) == (1, 1)


async def test_a_deleted_agents_row_goes_and_comes_back_with_its_history(desk: Desk) -> None:
    agents = Entity.AGENTS
    await desk.put(agents, value_of({"id": "a", "name": "MARS"}, seq=1))
    await desk.put(TASKS, task("t", 1))
    await desk.put(agents, deletion("a", 2))
    assert await desk.connection.fetch("SELECT FROM agent_stats_cache") == []
    await desk.put(TASKS, task("u", 1))
    await desk.put(agents, value_of({"id": "a", "name": "MARS"}, seq=3))
    assert (await desk.cached("MARS"))["total_tasks"] == 2


async def test_minor_orders_between_two_changes_of_the_app(desk: Desk) -> None:
    def at(seq: int, minor: int, agent: str) -> bytes:
        return value_of({"id": "t", "status": "done", "agent": agent}, seq=seq, minor=minor)

    await desk.put(TASKS, at(5, 1, "ours"))
    await desk.put(TASKS, at(5, 0, "late"))
    assert (await desk.row(TASKS, "t"))["agent"] == "ours"
    await desk.put(TASKS, at(6, 0, "app"))
    assert (await desk.row(TASKS, "t"))["agent"] == "app"


# -- dead letters ----------------------------------------------------------------------------------


async def test_a_dead_letter_is_stored_once(desk: Desk) -> None:
    await desk.put(TASKS, b"{")
    await desk.connection.execute("UPDATE stream_positions SET next_offset = 0")
    await desk.connection.execute("UPDATE dead_letters SET state = 'discarded'")
    await desk.flush(desk.chunk(TASKS))
    rows = await desk.connection.fetch("SELECT state, attempts FROM dead_letters")
    assert [tuple(row) for row in rows] == [("discarded", 1)]


# -- partials --------------------------------------------------------------------------------------


async def test_a_worker_that_was_here_last_gets_what_changed_and_others_get_all(
    desk: Desk,
) -> None:
    applied = await desk.put(TASKS, task("t0"), task("t1", agent="VENUS"))
    assert applied.complete
    assert applied.partials.keys() == {"MARS", "VENUS"}

    remember(desk, applied)
    applied = await desk.put(TASKS, task("t2"))
    assert not applied.complete
    assert applied.partials.keys() == {"MARS"}
    assert applied.partials["MARS"]["total_tasks"] == 2

    # Somebody else, then we again, with what we knew.
    await desk.put(TASKS, task("t3"))
    applied = await desk.put(TASKS, task("t4"))
    assert applied.complete
    assert applied.partials["MARS"]["total_tasks"] == 4
    assert applied.partials.keys() == {"MARS", "VENUS"}


async def test_a_raised_epoch_brings_all_partials(desk: Desk) -> None:
    remember(desk, await desk.put(TASKS, task("t0"), task("t1", agent="VENUS")))
    await desk.connection.execute("UPDATE stream_positions SET epoch = epoch + 1")
    applied = await desk.put(TASKS, task("t2"))
    assert (applied.complete, applied.epoch) == (True, 1)
    assert applied.partials.keys() == {"MARS", "VENUS"}


async def test_partials_are_kept_by_the_partition_that_the_change_came_from(desk: Desk) -> None:
    await desk.put(TASKS, task("t", 1), partition=0)
    await desk.put(TASKS, task("t", 2, agent="VENUS"), partition=1)
    topic = desk.settings.topic(TASKS)
    first = await read_partials(desk.connection, TASKS, topic, 0)
    second = await read_partials(desk.connection, TASKS, topic, 1)
    assert {name: row["total_tasks"] for name, row in first.items()} == {"MARS": 1}
    assert {name: row["total_tasks"] for name, row in second.items()} == {"MARS": -1, "VENUS": 1}


async def test_partials_of_executions_and_builds(desk: Desk) -> None:
    run = {"id": "e", "agent": "MARS", "duration": 0.5}
    applied = await desk.put(Entity.EXECUTIONS, value_of(run, seq=1))
    assert applied.partials["MARS"]["duration_sum"] == "0.5"
    applied = await desk.put(Entity.BUILDS, value_of({"id": "b", "status": "failed"}, seq=1))
    assert applied.partials[""]["failed_builds"] == 1
    applied = await desk.put(Entity.USERS, value_of({"id": "u"}, seq=1))
    assert (applied.partials, applied.complete) == ({}, True)


async def test_a_row_says_where_it_comes_from(desk: Desk) -> None:
    await desk.put(TASKS, task("t0"), task("t1"), partition=1)
    row = await desk.row(TASKS, "t1")
    assert (row["src_partition"], row["src_offset"]) == (1, 1)


async def test_the_newest_of_a_flush_may_be_of_any_partition(desk: Desk) -> None:
    def ran(id_: str, day: int, seq: int) -> bytes:
        at = f"2026-02-{day}T00:00:00Z"
        return value_of({"id": id_, "agent": "MARS", "timestamp": at}, seq=seq)

    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    await desk.put(Entity.EXECUTIONS, ran("x", 10, 1))
    for first, second in ((20, 22), (26, 24)):
        starts = [len(desk.logs[Entity.EXECUTIONS, partition]) for partition in (0, 1)]
        desk.add(Entity.EXECUTIONS, ran(f"y{first}", first, 2))
        desk.add(Entity.EXECUTIONS, ran(f"z{first}", second, 3), partition=1)
        chunks = [desk.chunk(Entity.EXECUTIONS, s, partition=p) for p, s in enumerate(starts)]
        await desk.flush(*chunks)
        assert (await desk.cached("MARS"))["last_active"].day == max(first, second)


async def test_two_topics_of_an_entity_in_one_flush_are_kept_apart(desk: Desk) -> None:
    unknown = value_of(
        {"id": "x", "agent": "MARS", "status": "__debezium_unavailable_value"}, seq=2
    )
    desk.add(TASKS, task("t", 1), unknown)
    first = desk.chunk(TASKS)
    desk.settings = desk.settings.model_copy(update={"topic_tasks": "~another"})
    desk.logs.clear()
    desk.add(TASKS, task("t", 2, agent="VENUS"), unknown)
    found = await asyncio.wait_for(desk.flush(first, desk.chunk(TASKS)), 20)
    assert [(applied.changes, applied.dead) for applied in found] == [(1, 1), (1, 1)]
    totals = {row["agent"]: row["total_tasks"] for a in found for row in a.partials.values()}
    assert totals == {"MARS": -1, "VENUS": 1}
    assert (await desk.row(TASKS, "t"))["agent"] == "VENUS"


def remember(desk: Desk, applied: AppliedChunk) -> None:
    key = (desk.settings.topic(TASKS), 0)
    desk.expected[key] = (applied.next_offset, applied.epoch)
