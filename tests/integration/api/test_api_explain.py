"""Where a number comes from: the rows, their count and the event are of the value's own instant."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, get_args

import httpx
import pytest

from nova_stream.events.change import Entity
from nova_stream.formulas import mean_duration, success_rate
from nova_stream.settings import Settings
from nova_stream.storage.stats.explain import COUNT_TASKS, LAST_TASK
from nova_stream.storage.stats.explain_rows import Figure
from tests import reference
from tests.integration.jobs.stubs import query

pytestmark = pytest.mark.integration

ENTITIES = ("agents", "builds", "tasks", "executions", "users", "activities")
FIGURES = get_args(Figure)

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
Answer = dict[str, Any]


def at(second: int) -> str:
    return f"2026-02-20T12:00:{second:02d}.000Z"


def task(id_: str, status: str, agent: str = "MARS", **fields: Any) -> dict[str, Any]:
    return {"entity": "tasks", "after": {"id": id_, "agent": agent, "status": status}, **fields}


def execution(id_: str, duration: float, time: str | None, **fields: Any) -> dict[str, Any]:
    after = {"id": id_, "agent": "MARS", "duration": duration, "timestamp": time}
    return {"entity": "executions", "after": after, **fields}


MARS = {
    "entity": "agents",
    "after": {"id": "a1", "name": "MARS", "role": "plan", "createdAt": at(0)},
}


async def explain(
    client: httpx.AsyncClient, name: str, figure: str, limit: int = 500, **params: Any
) -> Answer:
    """The answer with the items of all its pages."""
    path = f"/api/v1/agents/{name}/explain"
    asked = {"figure": figure, "limit": limit, **params}
    response = await client.get(path, params=asked)
    assert response.status_code == 200, response.text
    whole: Answer = response.json()
    page = whole
    while page["nextCursor"] is not None:
        page = (await client.get(path, params={**asked, "cursor": page["nextCursor"]})).json()
        whole["items"] += page["items"]
    return whole


def recounted(answer: Answer) -> Any:
    """The value, made again from nothing but the items that the answer lists."""
    items, figure = answer["items"], answer["figure"]
    if figure == "successRate":
        return success_rate(sum(i["status"] == "done" for i in items), len(items))
    if figure == "avgDuration":
        return mean_duration(sum(i["duration"] for i in items), len(items))
    if figure == "lastActive":
        if not items:
            return None
        return items[0]["createdAt" if items[0]["kind"] == "agent" else "timestamp"]
    if figure == "currentStatus":
        return "active" if items else "idle"
    return len(items)


COUNTED = {
    "totalTasks": "tasks",
    "completedTasks": "completed",
    "failedTasks": "failed",
    "activeTasks": "active",
    "successRate": "tasks",
    "avgDuration": "executions",
    "currentStatus": "running",
}


def check(answer: Answer) -> None:
    """Value, counts, rows and event belong together."""
    assert recounted(answer) == answer["value"], answer["figure"]
    ids = [item["id"] for item in answer["items"]]
    assert len(set(ids)) == len(ids)
    counted = COUNTED.get(answer["figure"])
    if counted is not None:
        assert answer["rows"][counted] == len(ids)
    if ids and answer["figure"] not in ("activeTasks", "currentStatus"):
        newest = max(item["event"]["changedAt"] for item in answer["items"])
        assert answer["lastChange"]["changedAt"] == newest
        assert answer["lastChange"]["entityId"] in ids


async def test_every_figure_of_every_agent_is_made_of_its_rows(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    given = reference.documents()
    await apply_lines([{"entity": e, "after": document} for e in ENTITIES for document in given[e]])
    items = (await client.get("/api/v1/agents/stats?unregistered=true")).json()["items"]
    active = 0
    for agent in items:
        for figure in FIGURES:
            answer = await explain(client, agent["agentName"], figure, unregistered=True)
            check(answer)
            assert answer["agentId"] == agent["agentId"]
            if figure == "activeTasks":
                active += answer["value"]
            else:
                assert answer["value"] == agent[figure]
    assert len(items) >= 21
    assert active == (await client.get("/api/v1/overview")).json()["activeTasks"]


async def test_the_event_that_last_changed_it(
    client: httpx.AsyncClient, apply_lines: ApplyLines, nova_settings: Settings
) -> None:
    await apply_lines(
        [
            MARS,
            task("t1", "failed", ts_ms=1771588800001),
            task("t2", "failed", ts_ms=1771588800003),
            task("t3", "done", ts_ms=1771588800009),
        ]
    )
    answer = await explain(client, "MARS", "failedTasks")
    assert answer["lastChange"] == {
        "topic": nova_settings.topic(Entity.TASKS),
        "partition": 0,
        "offset": 1,
        "changedAt": "2026-02-20T12:00:00.003Z",
        "entityId": "t2",
    }
    assert answer["items"][0]["event"]["offset"] == 0
    # A task that has left the figure moved it, too: the status is idle since t3 was done.
    idle = await explain(client, "MARS", "currentStatus")
    assert (idle["value"], idle["items"], idle["lastChange"]["entityId"]) == ("idle", [], "t3")


async def test_the_newest_execution_or_else_the_agent(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([MARS])
    answer = await explain(client, "MARS", "lastActive")
    assert (answer["value"], answer["items"][0]["kind"]) == (at(0), "agent")
    assert answer["items"][0]["role"] == "plan"
    await apply_lines(
        [execution("e1", 5, at(7)), execution("e2", 6, at(9)), execution("e3", 6, at(9))]
    )
    answer = await explain(client, "MARS", "lastActive", limit=1)
    assert (answer["value"], answer["rows"]) == (at(9), {"executions": 2})
    assert [item["id"] for item in answer["items"]] == ["e2", "e3"]


async def test_pages(client: httpx.AsyncClient, apply_lines: ApplyLines) -> None:
    times = [at(3), at(3), None, at(1), None, at(2)]
    await apply_lines(
        [MARS, *(task(f"t{n}", "done") for n in range(7))]
        + [execution(f"e{n}", n + 0.5, time) for n, time in enumerate(times)]
    )
    answer = await explain(client, "MARS", "avgDuration", limit=2)
    check(answer)
    assert [item["id"] for item in answer["items"]] == ["e1", "e0", "e5", "e3", "e4", "e2"]
    assert answer["rows"] == {"executions": 6, "durationSum": 18}
    answer = await explain(client, "MARS", "totalTasks", limit=3)
    assert [item["id"] for item in answer["items"]] == [f"t{n}" for n in range(7)]


async def test_moved_and_deleted_tasks_are_gone(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([MARS, *(task(f"t{n}", "done") for n in range(3))])
    await apply_lines(
        [
            {"entity": "tasks", "op": "d", "seq": 90, "before": {"id": "t0"}},
            task("t1", "done", "VENUS", seq=91),
        ]
    )
    answer = await explain(client, "MARS", "totalTasks")
    check(answer)
    assert [item["id"] for item in answer["items"]] == ["t2"]


async def test_value_and_rows_agree_while_rows_change(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([MARS])

    async def write() -> None:
        for n in range(25):
            status = ("done", "failed", "running")[n % 3]
            await apply_lines(
                [task(f"t{m}", status, seq=10 + n) for m in range(n)]
                + [execution(f"e{n}", n, at(n), seq=10 + n)]
            )

    writing = asyncio.create_task(write())
    seen = set()
    while not writing.done():
        for figure in FIGURES:
            answer = await explain(client, "MARS", figure)
            check(answer)
            seen.add(str(answer["value"]))
    await writing
    assert len(seen) > 5


async def test_names(client: httpx.AsyncClient, apply_lines: ApplyLines) -> None:
    agent = {"entity": "agents", "after": {"id": "a2", "name": "SUN/MOON"}}
    await apply_lines([MARS, agent, task("t1", "done", "NOBODY")])
    assert (await explain(client, "SUN%2FMOON", "totalTasks"))["value"] == 0
    path = "/api/v1/agents/NOBODY/explain"
    assert (await client.get(f"{path}?figure=totalTasks")).status_code == 404
    assert (await explain(client, "NOBODY", "totalTasks", unregistered=True))["value"] == 1
    nothing = await explain(client, "NOBODY", "lastActive", unregistered=True)
    assert (nothing["value"], nothing["items"], nothing["lastChange"]) == (None, [], None)
    for wrong in ("figure=odd", "", "figure=totalTasks&cursor=x", "figure=totalTasks&limit=0"):
        assert (await client.get(f"/api/v1/agents/MARS/explain?{wrong}")).status_code == 422
    assert (await client.get("/api/v1/agents/%00/explain?figure=totalTasks")).status_code == 404


async def test_an_agents_tasks_are_found_by_an_index(nova_settings: Settings) -> None:
    fill = """
INSERT INTO tasks (id, agent, status, version, version_minor, changed_at, src_partition, src_offset,
    doc)
SELECT 't' || n, 'agent ' || n % 50, 'done', n, 0, now(), 0, n, '{}'
FROM generate_series(1, 20000) n
"""
    await query(nova_settings, fill)
    await query(nova_settings, "ANALYZE tasks")
    for statement in (COUNT_TASKS, LAST_TASK):
        asked = statement.replace("$1", "'agent 7'").replace("$2", "ARRAY['failed']")
        plan = await query(nova_settings, f"EXPLAIN {asked}")
        assert any("tasks_agent" in row["QUERY PLAN"] for row in plan)
