"""A truncation empties its entity: up to its version, in its order, in every partition."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.events.change import Entity, Origin
from nova_stream.events.record_version import origin_header
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.database import connect
from tests.integration.storage.arena import snapshot_differences
from tests.integration.storage.chunks import NOON_MS, value_of
from tests.integration.storage.conftest import Desk

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS


def task(id_: str, *, op: str = "u", ts: int = 0, **source: Any) -> bytes:
    document = {"id": id_, "status": "done", "agent": "MARS"}
    return value_of(document, op=op, **({"at": NOON_MS + ts} | source))


def truncation(ts: int = 0, **source: Any) -> bytes:
    return value_of(None, op="t", **({"at": NOON_MS + ts} | source))


async def alive(desk: Desk, entity: Entity = TASKS) -> list[str]:
    query = f"SELECT id FROM {TABLES[entity]} WHERE deleted_at IS NULL ORDER BY id"
    return [row["id"] for row in await desk.connection.fetch(query)]


def of(kind: str, number: int) -> dict[str, Any]:
    return {} if kind == "offset" else {kind: number}


KINDS = ["seq", "lsn", "offset"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_what_stands_before_it_goes_and_what_stands_after_it_lives(
    desk: Desk, kind: str, one_by_one: bool
) -> None:
    agent = value_of({"id": "a", "name": "MARS"}, seq=1)
    await desk.put(Entity.AGENTS, agent)
    values = [
        task("t0", **of(kind, 1)),
        task("t1", **of(kind, 2)),
        truncation(**of(kind, 3)),
        task("t1", **of(kind, 4)),
        task("t2", **of(kind, 5)),
    ]
    for some in [[value] for value in values] if one_by_one else [values]:
        await desk.put(TASKS, *some)
        assert await snapshot_differences(desk.connection) == []
    assert await alive(desk) == ["t1", "t2"]
    assert (await desk.cached("MARS"))["total_tasks"] == 2
    assert await desk.dead() == []


@pytest.mark.parametrize("kind", ["seq", "lsn"])
async def test_older_changes_of_other_partitions_have_no_effect_whenever_they_come(
    desk: Desk, kind: str
) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.ensure(desk.connection, [(topic, p) for p in range(2)])
    await desk.put(TASKS, task("before", **of(kind, 1)), partition=1)
    await desk.put(TASKS, task("newer", **of(kind, 9)), partition=1)
    await desk.put(TASKS, truncation(**of(kind, 5)))
    assert await alive(desk) == ["newer"]
    await desk.put(TASKS, task("late", **of(kind, 4)), task("same", **of(kind, 5)), partition=1)
    await desk.put(TASKS, task("new", **of(kind, 6)), partition=1)
    await desk.put(TASKS, task("late in a new partition", **of(kind, 4)), partition=2)
    assert await alive(desk) == ["new", "newer"]


async def test_where_versions_are_offsets_the_times_tell_for_other_partitions(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.ensure(desk.connection, [(topic, p) for p in range(2)])
    await desk.put(
        TASKS, task("older", ts=-1), task("same", ts=0), task("newer", ts=1), partition=1
    )
    await desk.put(TASKS, task("before it", ts=5), truncation(), task("behind it", ts=-5))
    assert await alive(desk) == ["behind it", "newer", "same"]
    await desk.put(TASKS, task("late", ts=-1), task("new", ts=2), partition=1)
    assert await alive(desk) == ["behind it", "new", "newer", "same"]


async def test_snapshot_rows_without_an_lsn_are_put_in_order_by_place_and_time(desk: Desk) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.ensure(desk.connection, [(topic, p) for p in range(2)])
    pg: dict[str, Any] = {"connector": "postgresql", "lsn": None, "op": "r"}
    await desk.put(TASKS, task("old", ts=-1, **pg), task("read later", ts=1, **pg), partition=1)
    await desk.put(
        TASKS, task("before", ts=5, **pg), truncation(lsn=9), task("behind", ts=-5, **pg)
    )
    assert await alive(desk) == ["behind", "read later"]
    await desk.put(TASKS, task("late", ts=-1, **pg), task("new", ts=2, **pg), partition=1)
    assert await alive(desk) == ["behind", "new", "read later"]


async def test_of_one_lsn_the_place_tells(desk: Desk) -> None:
    await desk.put(TASKS, task("before", lsn=5), truncation(lsn=5), task("behind", lsn=5))
    await desk.put(TASKS, task("read", lsn=5, op="r"))
    assert await alive(desk) == ["behind"]


@pytest.mark.parametrize(
    ("truncations", "stands"),
    [
        pytest.param(
            [(1, 14), (0, 15)], False, id="the same LSN in another partition, a lower own"
        ),
        pytest.param([(0, 15), (1, 14)], False, id="the lower own one comes last"),
        pytest.param([(1, 15), (0, 15)], False, id="the same LSN in both"),
        pytest.param([(0, 15), (1, 15)], False, id="the same LSN in both, the own one last"),
        pytest.param([(0, 14), (1, 15)], True, id="the same LSN here, a lower one elsewhere"),
        pytest.param([(1, 15), (1, 15)], True, id="the same LSN here twice"),
    ],
)
@pytest.mark.parametrize("change_first", [False, True])
async def test_of_one_lsn_the_place_tells_for_truncations_of_the_partition_alone(
    desk: Desk, truncations: list[tuple[int, int]], stands: bool, change_first: bool
) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.ensure(desk.connection, [(topic, p) for p in range(2)])
    here = [truncation(lsn=lsn) for partition, lsn in truncations if partition == 1]
    if change_first:
        await desk.put(TASKS, *here, task("t", lsn=15), partition=1)
    for partition, lsn in truncations:
        if not change_first or partition == 0:
            await desk.put(TASKS, truncation(lsn=lsn), partition=partition)
    if not change_first:
        await desk.put(TASKS, task("t", lsn=15), partition=1)
    assert await alive(desk) == (["t"] if stands else [])


async def test_a_lower_truncation_behind_a_change_leaves_what_the_higher_one_left(
    desk: Desk,
) -> None:
    await desk.put(TASKS, truncation(lsn=15))
    await desk.put(TASKS, task("t", lsn=15), truncation(lsn=10))
    assert await alive(desk) == ["t"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_truncation_that_comes_twice_takes_nothing_more(desk: Desk, kind: str) -> None:
    await desk.put(TASKS, task("t0", **of(kind, 1)), truncation(**of(kind, 2)))
    desk.add(TASKS, task("t1", **of(kind, 3)))
    twice = desk.chunk(TASKS)
    await desk.flush(twice)
    await desk.flush(twice)
    if kind != "offset":  # an offset is another version
        await desk.put(TASKS, truncation(**of(kind, 2)))
    assert await alive(desk) == ["t1"]


@pytest.mark.parametrize("kind", ["lsn", "offset"])
async def test_a_truncation_published_again_takes_what_it_would_have_taken(
    desk: Desk, kind: str
) -> None:
    await desk.put(TASKS, task("t0", **of(kind, 1)), task("t1", **of(kind, 3)))
    header = origin_header(Origin(0, 0, 0, 0)) if kind == "lsn" else ("nova_version", b"offset:0")
    await desk.put(TASKS, truncation(ts=9, **of(kind, 2)), headers=[header])
    assert await alive(desk) == ["t1"]


async def test_of_a_topic_made_again_nothing_is_left_out_for_a_truncation_of_before(
    desk: Desk,
) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.recognise(desk.connection, topic, "first")
    await desk.put(TASKS, task("t0"), truncation(ts=50), partition=0)
    await desk.put(TASKS, task("t1", ts=-9), partition=1)
    assert await alive(desk) == []
    await positions.recognise(desk.connection, topic, "second")
    desk.logs.clear()
    for partition in (0, 1):
        desk.add(TASKS, task(f"again{partition}", ts=-9), partition=partition)
        await desk.flush(desk.chunk(TASKS, partition=partition, generation=1))
    assert await alive(desk) == ["again0", "again1"]


@pytest.mark.parametrize("entity", Entity)
async def test_every_entity_can_be_truncated(desk: Desk, entity: Entity) -> None:
    document = {"status": "running", "name": "MARS", "agent": "MARS", "duration": 5}
    now = {"createdAt": NOON_MS, "timestamp": NOON_MS, "startedAt": NOON_MS}
    if entity is not Entity.AGENTS:
        await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    rows = [value_of({"id": f"x{n}", **document, **now}, seq=n + 1) for n in range(4)]
    await desk.put(entity, *rows)
    await desk.put(entity, truncation(seq=3))
    assert await alive(desk, entity) == ["x3"]
    await desk.put(entity, truncation(seq=4))
    assert await alive(desk, entity) == []
    agents = await desk.connection.fetchval("SELECT count(*) FROM agent_stats_cache")
    assert agents == (entity is not Entity.AGENTS)


async def test_a_large_entity_is_emptied_in_steps_each_with_right_caches(desk: Desk) -> None:
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    await desk.put(TASKS, *(task(f"t{n}", seq=n) for n in range(1, 8)))
    await desk.put(TASKS, task("moved", seq=1), task("kept", seq=99))
    desk.add(TASKS, truncation(seq=50), task("new", seq=51))
    chunk = desk.chunk(TASKS, 9)
    watcher = await connect(desk.settings, "watcher")
    seen: list[int] = []

    class Looking(Flush):
        async def _end(self, *more: tuple[Any, ...]) -> None:
            seen.append(
                await watcher.fetchval("SELECT count(*) FROM tasks WHERE deleted_at IS NULL")
            )
            assert await snapshot_differences(watcher) == []
            await super()._end(*more)

    try:
        (applied,) = await Looking(desk.connection, [chunk], {chunk.key: (9, 0)}, step_rows=3).run()
    finally:
        await watcher.close()
    assert seen == [9, 6, 3]
    assert (applied.next_offset, applied.complete) == (11, True)
    assert applied.partials["MARS"]["total_tasks"] == 2
    assert await alive(desk) == ["kept", "new"]


async def test_a_worker_learns_that_another_was_stopped_in_the_middle_of_a_truncation(
    desk: Desk,
) -> None:
    await desk.put(Entity.AGENTS, value_of({"id": "a", "name": "MARS"}, seq=1))
    rows = await desk.put(TASKS, *(task(f"t{n}", seq=n) for n in range(1, 8)))
    believed = {(desk.settings.topic(TASKS), 0): (rows.next_offset, rows.epoch)}
    desk.add(TASKS, task("new", seq=51), truncation(seq=50))

    class StoppedError(Exception):
        pass

    class Stopping(Flush):
        async def _transaction(self) -> Any:
            if self._emptied:
                raise StoppedError
            return await super()._transaction()

    with pytest.raises(StoppedError):
        await Stopping(desk.connection, [desk.chunk(TASKS, 7)], {}, step_rows=3).run()
    (applied,) = await Flush(desk.connection, [desk.chunk(TASKS, 7, 8)], believed).run()
    assert applied.complete
    assert applied.partials["MARS"]["total_tasks"] == len(await alive(desk)) == 5


async def test_a_truncation_of_another_kind_of_version_is_a_dead_letter(desk: Desk) -> None:
    await desk.put(TASKS, task("t0", seq=1), truncation(lsn=9))
    assert await desk.dead() == [("tasks", 0, 1, "version_kind")]
    assert await alive(desk) == ["t0"]


async def test_an_entity_of_a_partition_with_lower_offsets_comes_back_after_a_truncation(
    desk: Desk,
) -> None:
    topic = desk.settings.topic(TASKS)
    await positions.ensure(desk.connection, [(topic, p) for p in range(2)])
    await desk.put(TASKS, task("t", ts=-1), partition=1)
    await desk.put(TASKS, *(task(f"x{n}", ts=-1) for n in range(5)), truncation())
    await desk.put(TASKS, task("t", ts=1), partition=1)
    assert await alive(desk) == ["t"]


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_snapshots_row_read_after_a_truncation_is_there_whatever_was_before_it(
    desk: Desk, one_by_one: bool
) -> None:
    pg: dict[str, Any] = {"connector": "postgresql", "lsn": None, "op": "r"}
    gone = value_of(None, before={"id": "gone"}, lsn=2)
    values = [
        task("old", lsn=1),
        task("gone", lsn=1),
        gone,
        task("read", **pg),
        truncation(lsn=3),
        task("old", **pg),
        task("gone", **pg),
        task("read", **pg),
    ]
    for some in [[value] for value in values] if one_by_one else [values]:
        await desk.put(TASKS, *some)
    assert await alive(desk) == ["gone", "old", "read"]
