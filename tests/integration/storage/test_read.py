"""The readers: figures as the contract writes them, and lists that are read to their end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import msgspec
import pytest

from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.places import AgentPlace, Cursor, FoundPage, TaskPlace
from nova_stream.storage.stats import read
from nova_stream.storage.stats.rows import AgentStats

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]


@pytest.fixture
async def connection(nova_settings: Settings) -> AsyncIterator[Connection]:
    found = await connect(nova_settings, "test")
    yield found
    await found.close()


def at(second: int) -> str:
    return f"2026-02-20T12:00:{second:02d}.000Z"


def task(id_: str, agent: str, status: str, **fields: Any) -> dict[str, Any]:
    return {"entity": "tasks", "after": {"id": id_, "agent": agent, "status": status, **fields}}


#: More than any test has.
ALL = read.Bounds(1000, 10**6)


def registered(id_: str, name: str, created: int) -> dict[str, Any]:
    after = {"id": id_, "name": name, "role": "r", "createdAt": at(created)}
    return {"entity": "agents", "after": after}


async def test_an_empty_database(connection: Connection) -> None:
    nobody = await read.agents_stats(connection, ALL, unregistered=True)
    assert (nobody.rows, nobody.next) == ([], None)
    found = await read.overview(connection)
    assert (found.total_builds, found.active_tasks, found.last_build_time) == (0, 0, None)
    assert (await read.reached(connection)).offsets == {}


async def test_agents_by_last_activity_then_name(
    connection: Connection, apply_lines: ApplyLines
) -> None:
    run = {"id": "e1", "agent": "NOBODY", "duration": 0.5, "timestamp": at(5)}
    await apply_lines(
        [
            registered("a1", "VENUS", 1),
            registered("a2", "MARS", 1),
            registered("a3", "PLUTO", 9),
            task("t1", "NOBODY", "running"),
            task("t2", "", "done"),
            {"entity": "executions", "after": run},
        ]
    )
    names = [row.agent_name for row in (await read.agents_stats(connection, ALL))[0]]
    assert names == ["PLUTO", "MARS", "VENUS"]

    everyone = (await read.agents_stats(connection, ALL, unregistered=True)).rows
    assert [row.agent_name for row in everyone] == ["PLUTO", "NOBODY", "MARS", "VENUS", ""]
    nobody = everyone[1]
    assert (nobody.registered, nobody.agent_id, nobody.cached_at) == (False, None, None)
    assert (nobody.total_tasks, nobody.current_status, nobody.avg_duration) == (1, "active", 1)
    assert nobody.last_active == at(5)
    assert await read.count_unregistered(connection) == 2


async def test_one_agent_by_name(connection: Connection, apply_lines: ApplyLines) -> None:
    await apply_lines(
        [
            registered("b", "MARS", 1),
            registered("a", "MARS", 2),
            task("t", "MARS", "done"),
            task("u", "NOBODY", "failed"),
        ]
    )
    mars = await read.agent_stats(connection, "MARS")
    assert mars is not None
    assert (mars.agent_id, mars.other_agent_ids, mars.total_tasks) == ("a", ["b"], 1)
    assert await read.agent_stats(connection, "NOBODY") is None
    nobody = await read.agent_stats(connection, "NOBODY", unregistered=True)
    assert nobody is not None
    assert (nobody.failed_tasks, nobody.registered) == (1, False)
    assert await read.agent_stats(connection, "unknown", unregistered=True) is None


@pytest.mark.parametrize("unregistered", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
async def test_agents_are_read_in_both_directions(
    connection: Connection, apply_lines: ApplyLines, rows: int, *, unregistered: bool
) -> None:
    await apply_lines([registered(f"a{n}", f"N{n % 3}", n % 2) for n in range(7)])
    for n in range(5):
        active = {"id": f"e{n}", "agent": f"M{n}", "duration": 1, "timestamp": at(n % 2)}
        await apply_lines([task(f"t{n}", f"M{n}", "done"), task(f"s{n}", f"L{n}", "done")])
        await apply_lines([{"entity": "executions", "after": active}])

    async def page(cursor: Cursor[AgentPlace] | None) -> FoundPage[AgentStats, AgentPlace]:
        bounds = read.Bounds(rows, 10**6)
        return await read.agents_stats(connection, bounds, cursor, unregistered=unregistered)

    whole = (await read.agents_stats(connection, ALL, unregistered=unregistered)).rows
    assert len(whole) == (17 if unregistered else 7)
    forth = [await page(None)]
    assert forth[0].prev is None
    while forth[-1].next is not None:
        forth.append(await page(forth[-1].next))
    assert [row for found in forth for row in found.rows] == whole
    assert all(len(found.rows) == rows for found in forth[:-1])
    back = [forth[-1]]
    while back[-1].prev is not None:
        back.append(await page(back[-1].prev))
    assert [found.rows for found in back[::-1]] == [found.rows for found in forth]
    again = await page(back[-1].next)
    assert again.rows == forth[1].rows


async def test_names_are_no_longer_unregistered_once_nothing_counts(
    connection: Connection, apply_lines: ApplyLines
) -> None:
    await apply_lines([task("t", "NOBODY", "done")])
    await apply_lines([{"entity": "tasks", "seq": 9, "op": "d", "before": {"id": "t"}}])
    nobody = await read.agents_stats(connection, ALL, unregistered=True)
    assert (nobody.rows, nobody.next) == ([], None)


async def test_a_build_with_its_tasks(connection: Connection, apply_lines: ApplyLines) -> None:
    after = {"id": "b1", "prdId": "p", "prdName": "Lumen", "status": "running", "startedAt": at(1)}
    await apply_lines(
        [
            {"entity": "builds", "after": after},
            task("t1", "MARS", "done", buildId="b1", phase=1, attempts=2, dependencies=["t0"]),
            task("t0", "MARS", "failed", buildId="b1", phase=0, error="no"),
            task("t9", "MARS", "failed", buildId="other"),
        ]
    )
    whole = await read.build(connection, "b1", ALL)
    assert whole is not None
    found, end = whole
    assert end is None
    assert found is not None
    assert (found.prd_name, found.started_at, found.completed_at) == ("Lumen", at(1), None)
    first, second = found.tasks
    assert (first.id, first.error, first.dependencies) == ("t0", "no", None)
    assert msgspec.json.encode([second.phase, second.attempts]) == b"[1,2]"
    assert msgspec.json.encode(second.dependencies) == b'["t0"]'
    assert await read.build(connection, "b2", ALL) is None


async def test_pages_of_a_builds_tasks_go_on_behind_a_task_that_is_gone(
    connection: Connection, apply_lines: ApplyLines
) -> None:
    lines: list[dict[str, Any]] = [{"entity": "builds", "after": {"id": "b1", "status": "running"}}]
    phases = [-1e300, 0, 1, 1.5, 1.5, 2, 1e300, None]
    names = [f"t{place}" for place in range(len(phases))]
    for name, phase in zip(names, phases, strict=True):
        lines.append(task(name, "MARS", "done", buildId="b1", phase=phase, createdAt=at(1)))
    await apply_lines([{**line, "seq": 1} for line in lines])
    found: list[str] = []
    end: TaskPlace | None = None
    while len(found) < len(names):
        whole = await read.build(connection, "b1", read.Bounds(1, 10**6), end)
        assert whole is not None
        page, end = whole
        found += [row.id for row in page.tasks]
        assert (end is None) == (found[-1] == names[-1])
        gone = {"entity": "tasks", "op": "d", "seq": 2, "before": {"id": found[-1]}}
        moved = task(found[-1], "MARS", "done", buildId="b1", phase=-9, createdAt=at(9))
        await apply_lines([gone if len(found) % 2 else {**moved, "seq": 2}])
    assert found == names
