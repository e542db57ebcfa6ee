"""The main app's functions under many calls at once, without a worker, and in the bridge's ways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from nova_stream.api.convex import backend
from nova_stream.clock import to_millis
from nova_stream.storage.database import connect
from tests.integration.stream.harness import Stage, until

from .convex_calls import App, RefusedError, calling, running_stage

pytestmark = pytest.mark.integration

NOW = "2026-02-20T12:00:00.000Z"
RUN: dict[str, Any] = {
    "prdName": "n",
    "taskId": "t",
    "taskTitle": "T",
    "agent": "MARS",
    "model": "m",
    "phase": 1,
    "prompt": "p",
    "response": "r",
    "gatesPassed": True,
    "duration": 5,
    "timestamp": NOW,
}
STATE: dict[str, Any] = {
    "taskId": "t",
    "title": "T",
    "agent": "MARS",
    "dependencies": [],
    "phase": 1,
    "attempts": 0,
    "createdAt": NOW,
}


@pytest.fixture(scope="module")
def stage(
    nova_kafka: str, nova_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A worker that runs; the tests share it, each with names of its own."""
    with running_stage(nova_kafka, nova_postgres, tmp_path_factory.mktemp("worker")) as found:
        yield found


@pytest.fixture
async def app(stage: Stage) -> AsyncIterator[App]:
    async with calling(stage) as found:
        yield found


@pytest.fixture
async def other(stage: Stage) -> AsyncIterator[App]:
    """The same main app on another API."""
    async with calling(stage) as found:
        yield found


async def made_task(app: App, prd: str) -> tuple[str, str]:
    """A build and its task ``t``."""
    build = await app.mutate("dashboard:createBuild", prdId=prd, prdName="n")
    new = {"taskId": "t", "title": "T", "agent": "MARS", "phase": 1}
    return build, await app.mutate("dashboard:createTask", buildId=build, **new)


async def outcomes(calls: list[Any]) -> list[str]:
    """``ok`` or the refusal of each call."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    return sorted(item.text if isinstance(item, RefusedError) else "ok" for item in found)


# -- many at once ----------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_transition_happens_once(app: App, other: App) -> None:
    _, task = await made_task(app, "prd-once")
    running = {"taskId": task, "status": "running"}
    apps = [app, other] * 6
    found = await outcomes([each.mutate("dashboard:updateTaskStatus", **running) for each in apps])
    assert found == ["Invalid status transition from running to running"] * 11 + ["ok"]


async def test_no_attempt_is_lost(app: App, other: App) -> None:
    calls = [
        each.mutate("atlas:logExecution", prdId="prd-attempts", **RUN) for each in [app, other] * 6
    ]
    answers = await asyncio.gather(*calls)
    assert len({(answer["buildId"], answer["taskId"]) for answer in answers}) == 1
    status = await other.query("atlas:getBuildStatus", prdId="prd-attempts")
    (task,) = status["tasks"]
    assert task["attempts"] == 12


async def test_a_task_of_a_name_is_made_once(app: App, other: App) -> None:
    build = await app.mutate("dashboard:createBuild", prdId="prd-unique", prdName="n")
    new = {"buildId": build, "taskId": "t", "title": "T", "agent": "MARS", "phase": 1}
    calls = [each.mutate("dashboard:createTask", **new) for each in [app, other] * 4]
    assert await outcomes(calls) == ["Task with this ID already exists in build"] * 7 + ["ok"]
    assert len(await app.query("dashboard:listTasks", buildId=build)) == 1


async def test_a_prd_is_started_once(app: App, other: App) -> None:
    start = {"prdId": "prd-start", "prdName": "n", "startedAt": NOW}
    calls = [each.mutate("atlas:startBuild", **start) for each in [app, other] * 4]
    answers = await asyncio.gather(*calls)
    assert len({answer["buildId"] for answer in answers}) == 1


# -- second ways -----------------------------------------------------------------------------------


async def test_a_prd_that_is_started_again_runs_again(app: App) -> None:
    start = {"prdId": "prd-again", "prdName": "n", "startedAt": NOW}
    first = await app.mutate("atlas:startBuild", **start)
    await app.mutate("atlas:completeBuild", prdId="prd-again", status="failed", error="e")
    again = {**start, "prdName": "m", "startedAt": "2026-02-20T13:00:00.000Z"}
    assert await app.mutate("atlas:startBuild", **again) == first
    found = await app.query("dashboard:getBuild", **first)
    build = {name: value for name, value in found["build"].items() if not name.startswith("_")}
    assert build == {**again, "status": "running"}


@pytest.mark.parametrize(
    "start",
    [
        NOW,
        "2026-02-20T12:00:00Z",
        "2026-02-20T12:00Z",
        "2026-02-20 12:00:00",
        "2026-02-20T13:00:00.000+01:00",
        "2026-02-20T12:00:00.000999Z",
        "1771588800000",
    ],
)
@pytest.mark.parametrize("way", ["atlas:startBuild", "dashboard:createBuild"])
async def test_a_build_is_known_by_its_start_in_any_form(app: App, way: str, start: str) -> None:
    """What is repeated, by a queue that has not heard the answer, is the same build."""
    call = {"prdId": f"{way} {start}", "prdName": "n", "startedAt": start}
    if way == "dashboard:createBuild":
        call |= {"status": "completed", "completedAt": start}
    first = await app.mutate(way, **call)
    await app.mutate("atlas:completeBuild", prdId=call["prdId"], status="completed")
    assert await app.mutate(way, **call) == first
    other = {**call, "startedAt": NOW}
    assert await app.mutate(way, **other) == first
    found = await app.query("atlas:getBuildStatus", prdId=call["prdId"])
    assert found["build"]["status"] == "completed"
    assert found["build"]["startedAt"] == NOW


async def test_the_state_of_a_task_replaces_the_one_before(app: App) -> None:
    build = await app.mutate("dashboard:createBuild", prdId="prd-state", prdName="n")
    first = {**STATE, "buildId": build, "status": "running", "error": "first"}
    second = {**STATE, "buildId": build, "status": "done", "output": "o", "attempts": 2}
    made = await app.mutate("atlas:logTask", **first)
    assert await app.mutate("atlas:logTask", **second) == made
    assert await app.mutate("dashboard:createTask", **first) == made["taskDocId"]
    assert await app.mutate("dashboard:createTask", **second) == made["taskDocId"]
    (task,) = await app.query("dashboard:listTasks", buildId=build)
    assert {name: value for name, value in task.items() if not name.startswith("_")} == second


@pytest.mark.parametrize("way", ["atlas:logTask", "dashboard:createTask"])
async def test_a_state_of_no_build(app: App, way: str) -> None:
    with pytest.raises(RefusedError) as refused:
        await app.mutate(way, **STATE, buildId="nothing", status="done")
    assert refused.value.text == "Build not found"


async def test_what_was_learned_needs_no_build(app: App) -> None:
    learning = {"prdId": "prd-none", "taskId": "t", "pattern": "small", "insight": "Learned"}
    assert await app.mutate("atlas:logLearning", **learning) is None
    (found,) = await app.query("realtime:getAgentActivityHistory", agentName="ATLAS", limit=1)
    assert (found["eventType"], found["details"]) == ("playbook_updated", "Learned: small")


async def test_an_agent_is_patched_by_id_or_name(app: App, stage: Stage) -> None:
    agent = {"id": "a-9", "name": "IO", "createdAt": NOW, "gates": ["lint"]}
    events = {"entity": "agents", "after": agent}
    token = (await app.client.post("/api/v1/events", json=events)).json()["token"]
    await app.client.get("/api/v1/overview", params={"after": token, "timeout": 60})
    update = "dashboard:updateAgentStatus"
    assert await app.mutate(update, agentId="a-9", status="active", currentTask="t1") == "a-9"
    assert await app.mutate(update, agentId="IO", currentTaskId="", idleMinutes=2.5) == "a-9"
    assert await app.mutate(update, agentId="IO") == "a-9"
    (row,) = await stage.fetch("SELECT doc ->> 'lastUpdated' AS at, doc::text FROM agents")
    assert row["at"].startswith("20")
    for part in ('"status": "active"', '"currentTask": ""', '"idleMinutes": 2.5', '"lint"'):
        assert part in row["doc"]


async def test_pages_of_builds_follow_their_cursor(app: App) -> None:
    for n in range(5):
        await app.mutate("dashboard:createBuild", prdId=f"prd-page-{n}", prdName="n")
    wanted = [b["_id"] for b in (await app.query("dashboard:listBuilds", pageSize=100))["builds"]]
    found: list[str] = []
    page: dict[str, Any] = {"nextCursor": None, "hasMore": True}
    while page["hasMore"]:
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else {}
        page = await app.query("dashboard:listBuilds", pageSize=2, **cursor)
        found += [build["_id"] for build in page["builds"]]
    assert found == wanted
    with pytest.raises(RefusedError, match="cursor"):  # and never the first page once more
        await app.query("dashboard:listBuilds", cursor="b-that-is-gone")


async def test_documents_from_elsewhere_are_shown(app: App) -> None:
    build = {
        "id": "b-1",
        "prdId": 7,
        "prdName": "n",
        "status": "pending",
        "startedAt": NOW,
        "$odd": 1,
        "größe": 2,
        "more": {"$in": 1, "kept": -0.0},
    }
    response = await app.client.post("/api/v1/events", json={"entity": "builds", "after": build})
    token = response.json()["token"]
    await app.client.get("/api/v1/overview", params={"after": token, "timeout": 60})
    found = await app.query("dashboard:getBuild", buildId="b-1")
    assert found["build"] == {
        "_id": "b-1",
        "_creationTime": 1771588800000,
        "prdId": "7",
        "prdName": "n",
        "status": "pending",
        "startedAt": NOW,
        "more": {"kept": 0.0},
    }
    assert await app.mutate("dashboard:updateBuildStatus", buildId="b-1", status="running") == "b-1"


async def test_numbers_that_no_double_is_are_infinite(app: App) -> None:
    text = f'{{"id": "b-2", "status": "pending", "huge": 1e5000, "large": {10**400}.5, "n": 7}}'
    event = f'{{"entity": "builds", "after": {text}}}'
    response = await app.client.post("/api/v1/events", content=event)
    token = response.json()["token"]
    await app.client.get("/api/v1/overview", params={"after": token, "timeout": 60})
    build = (await app.query("dashboard:getBuild", buildId="b-2"))["build"]
    assert (build["huge"], build["large"], build["n"]) == (None, None, 7)  # not in JSON


async def test_an_archived_execution_keeps_its_figures(app: App, stage: Stage) -> None:
    await app.mutate("atlas:logExecution", prdId="prd-old", **{**RUN, "agent": "OLD"})
    connection = await connect(stage.settings, "test")
    try:
        await connection.execute("UPDATE executions SET doc = NULL WHERE agent = 'OLD'")
    finally:
        await connection.close()
    (found,) = await app.query("atlas:getAgentExecutions", agent="OLD")
    assert found.keys() == {"_id", "_creationTime", "agent", "taskId", "duration", "timestamp"}
    assert (found["duration"], found["timestamp"]) == (5, NOW)


# -- what the stream refuses -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"timestamp": "yesterday"}, "startedAt"),
        ({"duration": -1}, "duration"),
        ({"taskId": "x" * 2000}, "taskId"),
        ({"agent": "x" * 2000}, "agent"),
    ],
)
async def test_nothing_is_written_of_a_document_that_cannot_be_stored(
    app: App, more: dict[str, Any], text: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        await app.mutate("atlas:logExecution", **{**RUN, "prdId": "prd-bad", **more})
    assert text in refused.value.text
    assert await app.query("atlas:getBuildStatus", prdId="prd-bad") is None


# -- while no worker runs --------------------------------------------------------------------------


@pytest.mark.long
async def test_what_is_not_applied_yet_is_waited_for(
    idle_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "LIMIT", 0.3)
    monkeypatch.setattr(backend, "TURN_LIMIT", 0.3)
    async with calling(idle_stage) as app, calling(idle_stage) as other:
        start = {"prdId": "p", "prdName": "n", "startedAt": NOW}
        build = await app.mutate("atlas:startBuild", **start)
        body = {"path": "dashboard:getBuild", "args": build}
        response = await app.client.post("/api/query", json=body)
        assert response.status_code == 504
        assert response.json()["type"] == "urn:nova-stream:position-not-reached"

        # Others have to wait for the entity, and do not make the build a second time.
        body = {"path": "atlas:startBuild", "args": start}
        for each, status, kind in ((app, 503, "busy"), (other, 503, "busy")):
            response = await each.client.post("/api/mutation", json=body)
            assert response.status_code == status
            assert response.json()["type"] == f"urn:nova-stream:{kind}"

        idle_stage.start_worker()
        await idle_stage.row("builds", build["buildId"])

        async def again() -> bool:
            response = await other.client.post("/api/mutation", json=body)
            return response.status_code == 200 and response.json()["value"] == build

        await until("the other one has its turn", again)
        found = await app.query("dashboard:getBuild", **build)
        assert found["build"]["status"] == "running"


async def test_ids_and_versions_follow_the_clock(app: App, stage: Stage) -> None:
    build, task = await made_task(app, "prd-ids")
    found = await app.query("dashboard:getBuild", buildId=build)
    (row,) = await stage.fetch("SELECT version, changed_at FROM builds WHERE id = $1", build)
    made = found["build"]["_creationTime"]
    assert row["version"] / 1000 == pytest.approx(made)
    assert to_millis(row["changed_at"]) == pytest.approx(made, abs=5000)
    await app.mutate("dashboard:updateTaskStatus", taskId=task, status="running")
    (later,) = await stage.fetch("SELECT version FROM tasks WHERE id = $1", task)
    assert later["version"] > row["version"]
