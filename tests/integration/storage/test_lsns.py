"""Versions that are lsns: snapshots, changes of one lsn, repetitions, topics made again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nova_stream.events.change import COMPARED_MINOR, SNAPSHOT_MINOR, Entity, Origin
from nova_stream.events.record_version import origin_header
from nova_stream.storage.apply import positions
from tests.integration.storage.chunks import NOON_MS, value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS
MARK = "__debezium_unavailable_value"


def task(
    lsn: int | None, agent: str, *, op: str = "u", id_: str = "t", ts: int = 0, **fields: Any
) -> bytes:
    source: dict[str, Any] = {"connector": "postgresql", "lsn": lsn, "at": NOON_MS + ts}
    return value_of({"id": id_, "status": "done", "agent": agent, **fields}, op=op, **source)


def snapshot(lsn: int | None, agent: str, **more: Any) -> bytes:
    return task(lsn, agent, op="r", **more)


def own(lsn: int, agent: str, *, minor: int) -> bytes:
    """What nova-stream itself adds to a snapshot's row."""
    return value_of(
        {"id": "t", "status": "done", "agent": agent}, op="r", lsn=lsn, minor=minor, generation=0
    )


async def agent_of(desk: Desk, id_: str = "t") -> str | None:
    found: str | None = (await desk.row(TASKS, id_))["agent"]
    return found


async def in_flushes(desk: Desk, one_by_one: bool, *values: bytes, partition: int = 0) -> None:
    """Apply records in one flush, or in one each."""
    if not one_by_one:
        await desk.put(TASKS, *values, partition=partition)
        return
    for value in values:
        await desk.put(TASKS, value, partition=partition)


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("records", "stands"),
    [
        ([snapshot(9, "snapshot"), task(9, "change")], "change"),
        ([task(9, "change"), snapshot(9, "snapshot")], "change"),
        ([task(9, "first", op="c"), task(9, "second"), task(9, "third")], "third"),
        ([task(10, "newer"), task(9, "older")], "newer"),
        ([snapshot(9, "old"), snapshot(10, "new")], "new"),
        ([task(9, "change"), snapshot(10, "snapshot")], "snapshot"),
        ([snapshot(None, "read"), task(1, "change")], "change"),
        ([task(1, "change"), snapshot(None, "read")], "change"),
        ([snapshot(None, "read"), snapshot(None, "read again")], "read again"),
        ([snapshot(7, "read"), snapshot(None, "later without")], "read"),
        # a transaction that was open when the snapshot was taken, and what comes after it
        ([snapshot(90, "read"), task(70, "open")], "open"),
        ([snapshot(90, "read"), task(70, "open", ts=-9)], "open"),
        ([snapshot(90, "read"), task(70, "open", ts=9)], "open"),
        ([snapshot(2**40, "read"), task(70, "open", ts=9)], "open"),
        ([snapshot(90, "read"), task(70, "a"), task(71, "b"), task(70, "a")], "b"),
        ([snapshot(90, "read"), task(70, "open"), task(95, "later")], "later"),
        ([snapshot(90, "read"), task(70, "open"), snapshot(99, "read again")], "read again"),
        ([task(60, "known"), snapshot(90, "read"), task(70, "open")], "open"),
        ([snapshot(90, "read"), task(70, "open", op="c"), snapshot(None, "read")], "open"),
    ],
)
async def test_of_changes_of_one_document_the_right_one_stands(
    desk: Desk, records: list[bytes], stands: str, one_by_one: bool
) -> None:
    await in_flushes(desk, one_by_one, *records)
    assert await agent_of(desk) == stands
    assert await desk.dead() == []


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_deletion_that_was_open_when_a_snapshot_was_taken_counts(
    desk: Desk, one_by_one: bool
) -> None:
    gone = value_of(None, before={"id": "t"}, connector="postgresql", lsn=70, at=NOON_MS)
    await in_flushes(desk, one_by_one, snapshot(90, "read"), gone)
    assert await agent_of(desk) is None
    assert (await desk.row(TASKS, "t"))["deleted_at"] is not None
    assert await desk.dead() == []


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_what_an_open_transaction_did_not_change_is_what_the_snapshot_read(
    desk: Desk, one_by_one: bool
) -> None:
    records = [snapshot(90, "read", output="large"), task(70, "open", output=MARK)]
    await in_flushes(desk, one_by_one, task(60, "known", output="older"), *records)
    row = await desk.row(TASKS, "t")
    assert (row["agent"], json.loads(row["doc"])["output"]) == ("open", "large")


@pytest.mark.parametrize("more", [1, 2**20 - 1])
async def test_a_change_of_nova_streams_own_to_a_snapshots_row_loses_to_an_open_transaction(
    desk: Desk, more: int
) -> None:
    await desk.put(TASKS, snapshot(90, "read"), own(90, "job", minor=more))
    assert await agent_of(desk) == "job"
    await desk.put(TASKS, task(70, "open"))
    assert await agent_of(desk) == "open"


async def test_a_repair_that_was_compared_at_its_place_stands_when_the_connector_repeats(
    desk: Desk,
) -> None:
    repair = own(90, "repaired", minor=COMPARED_MINOR)
    await desk.put(TASKS, task(70, "wrong"), repair, task(70, "wrong"))
    assert await agent_of(desk) == "repaired"
    await desk.put(TASKS, task(91, "changed"))
    assert await agent_of(desk) == "changed"


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_behind_a_snapshots_row_is_what_follows_in_its_own_partition(
    desk: Desk, one_by_one: bool
) -> None:
    await in_flushes(desk, one_by_one, snapshot(90, "read"))
    others = [task(1, "x", id_=f"x{n}", ts=-2) for n in range(5)]
    await in_flushes(desk, one_by_one, *others, task(70, "older", ts=-1), partition=1)
    assert await agent_of(desk) == "read"


async def test_snapshot_rows_without_an_lsn_do_not_make_a_topic_one_of_offsets(desk: Desk) -> None:
    await desk.put(TASKS, snapshot(None, "a", id_="t0"), snapshot(None, "b", id_="t1"))
    await desk.put(TASKS, task(5, "c", id_="t0"), snapshot(None, "d", id_="t2"))
    assert await desk.dead() == []
    assert [await agent_of(desk, id_) for id_ in ("t0", "t1", "t2")] == ["c", "b", "d"]
    assert (await desk.row(TASKS, "t1"))["version"] == 0


async def test_a_snapshot_row_that_says_nothing_of_lsns_ranks_lowest_where_the_topic_has_them(
    desk: Desk,
) -> None:
    bare = value_of({"id": "t", "status": "done", "agent": "bare"}, op="r")
    other = value_of({"id": "u", "status": "done", "agent": "bare"}, op="r")
    await desk.put(TASKS, task(5, "known"), bare, other)
    assert (await agent_of(desk), await agent_of(desk, "u")) == ("known", "bare")
    assert await desk.dead() == []


async def test_a_snapshot_row_without_an_lsn_does_not_bring_back_what_was_deleted(
    desk: Desk,
) -> None:
    gone = value_of(None, before={"id": "t"}, connector="postgresql", lsn=5)
    await desk.put(TASKS, task(4, "a"), gone, snapshot(None, "read"))
    assert await agent_of(desk) is None


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_places_of_two_partitions_do_not_compare(desk: Desk, one_by_one: bool) -> None:
    desk.add(TASKS, *[task(1, "x", id_=f"x{n}") for n in range(5)], partition=1)
    desk.add(TASKS, task(9, "first"), partition=0)
    desk.add(TASKS, task(9, "elsewhere"), partition=1)
    first, second = desk.chunk(TASKS), desk.chunk(TASKS, partition=1)
    if one_by_one:
        await desk.flush(first)
        await desk.flush(second)
    else:
        await desk.flush(first, second)
    assert await agent_of(desk) == "first"


async def test_the_later_life_of_a_topic_wins_at_one_lsn_and_its_places_do_not_compare(
    desk: Desk,
) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await desk.put(TASKS, *[task(1, "x", id_=f"x{n}") for n in range(5)], task(9, "former"))
    await positions.recognise(desk.connection, topic, "second")
    desk.logs.clear()
    desk.add(TASKS, task(8, "older"), task(9, "present"))
    await desk.flush(desk.chunk(TASKS, generation=1))
    assert await agent_of(desk) == "present"
    explained = await desk.row(TASKS, "t")
    assert explained["src_offset"] == (1 << 44) + 1


@pytest.mark.parametrize(
    ("origin", "stands"),
    [
        (Origin(0, 0, 0, 0), "known"),
        (Origin(0, 0, 9, 0), "again"),
        (Origin(0, 1, 9, 0), "known"),
        (Origin(7, 0, 9, 0), "known"),
    ],
)
async def test_a_dead_letter_published_again_has_the_place_that_it_had(
    desk: Desk, origin: Origin, stands: str
) -> None:
    await desk.put(TASKS, task(1, "x", id_="x"), task(9, "known"))
    await desk.put(TASKS, task(9, "again"), headers=[origin_header(origin)])
    assert await agent_of(desk) == stands


async def test_a_change_of_nova_streams_own_wins_and_loses_to_every_later_one(desk: Desk) -> None:
    def own(lsn: int, minor: int, op: str = "u") -> bytes:
        source: dict[str, Any] = {"connector": "nova", "lsn": lsn, "minor": minor}
        source["generation"] = 0
        return value_of({"id": "t", "status": "failed", "agent": "job"}, op=op, **source)

    await desk.put(TASKS, snapshot(9, "read"))
    await desk.put(TASKS, own(9, 1, "r"), partition=1)
    row = await desk.row(TASKS, "t")
    assert (row["agent"], row["version_minor"]) == ("job", SNAPSHOT_MINOR + 1)
    await desk.put(TASKS, task(9, "change at the snapshot's lsn"))
    assert (await agent_of(desk) or "").startswith("change")
    await desk.put(TASKS, own(9, 1), partition=1)
    assert await agent_of(desk) == "job"
    await desk.put(TASKS, task(9, "repeated"))
    assert await agent_of(desk) == "job"
    await desk.put(TASKS, task(10, "later"))
    assert await agent_of(desk) == "later"
    assert await desk.dead() == []


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_what_did_not_change_comes_from_the_place_before(
    desk: Desk, one_by_one: bool
) -> None:
    await in_flushes(
        desk,
        one_by_one,
        snapshot(9, "a", output="read"),
        task(9, "b", output="first"),
        task(9, "c", output=MARK),
        snapshot(None, "z", output="lowest"),
        task(10, "d", output=MARK),
    )
    row = await desk.row(TASKS, "t")
    assert (row["agent"], row["output"]) == ("d", "first")


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("records", "agent", "output", "extra"),
    [
        # An update is the first that is heard of a row, and leaves out what did not change.
        (["marked", "read"], "b", "read", "more"),
        (["read", "marked"], "b", "read", "more"),
        (["marked", "read", "marked later"], "c", "read", "more"),
        (["marked", "marked later", "read"], "c", "read", "more"),
        (["marked", "read", "read again"], "b", "read", "more"),
        # What is known stays, and null is known.
        (["whole", "read"], "b", None, "known"),
        (["marked", "whole later", "read"], "c", None, "known"),
    ],
)
async def test_a_snapshot_row_without_an_lsn_brings_what_was_left_out_and_nothing_else(
    desk: Desk, one_by_one: bool, records: list[str], agent: str, output: str | None, extra: str
) -> None:
    marked: dict[str, Any] = {"output": MARK, "extra": MARK}
    made = {
        "marked": task(5, "b", **marked),
        "marked later": task(6, "c", **marked),
        "whole": task(5, "b", output=None, extra="known"),
        "whole later": task(6, "c", output=None, extra="known"),
        "read": snapshot(None, "z", output="read", extra="more", status="failed"),
        "read again": snapshot(None, "y", output="read", extra="more"),
    }
    await in_flushes(desk, one_by_one, *(made[name] for name in records))

    row = await desk.row(TASKS, "t")
    assert (row["agent"], row["status"], row["output"]) == (agent, "done", output)
    assert json.loads(row["doc"])["extra"] == extra
    assert row["version"] == (6 if agent == "c" else 5)

    await desk.put(TASKS, task(7, "d", **marked))
    row = await desk.row(TASKS, "t")
    assert (row["agent"], row["output"]) == ("d", output)


async def test_what_one_flush_brings_completes_what_another_has_stored(desk: Desk) -> None:
    marked: dict[str, Any] = {"output": MARK, "extra": MARK}
    await desk.put(TASKS, task(5, "b", **marked))
    await desk.put(TASKS, snapshot(None, "z", output="read", extra="more"), task(6, "c", **marked))

    row = await desk.row(TASKS, "t")
    assert (row["agent"], row["output"], row["version"]) == ("c", "read", 6)
    assert json.loads(row["doc"])["extra"] == "more"


async def test_figures_follow_a_column_that_a_snapshot_row_brings(desk: Desk) -> None:
    await desk.put(TASKS, task(5, MARK))
    before = (await desk.row(TASKS, "t"))["changed_at"]
    await desk.put(TASKS, snapshot(None, "MARS", ts=60_000))

    row = await desk.row(TASKS, "t")
    assert (row["agent"], row["changed_at"]) == ("MARS", before)
