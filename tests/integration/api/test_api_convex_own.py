"""What the main app's own functions give, step by step and field by field, is what is answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_stream.api.convex.backend import FUNCTIONS
from nova_stream.api.convex.ids import table_of
from tests.integration.stream.harness import Stage

from .convex_calls import App, RefusedError, calling, running_stage
from .main_app import Clients

pytestmark = pytest.mark.integration

Steps = list[tuple[str, dict[str, Any]]]

NOW = "2026-02-20T12:00:00.000Z"
LATER = "2026-02-20T13:00:00.000Z"
MARS, VENUS = (
    {
        "name": name,
        "role": f"role of {name}",
        "domain": "d",
        "systemPrompt": "s",
        "model": "m",
        "gates": ["lint"],
        "createdAt": NOW,
    }
    for name in ("MARS", "VENUS")
)
OWN_ID = re.compile(r"(builds|tasks|executions|agentActivityFeed|learnings|agents)-\d+")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
RUN: dict[str, Any] = {"agent": "MARS", "model": "m", "prompt": "p" * 3000, "response": "r" * 6000}


def of(step: int, field: str | None = None) -> dict[str, Any]:
    """What an earlier step gave, or a field of it."""
    return {"step": step, "field": field} if field else {"step": step}


def lifecycle() -> Steps:
    """Builds and tasks made, moved and ended, also in ways that are refused."""
    build = {"prdId": "prd-1", "prdName": "Checkout"}
    task = {"title": "Cart", "agent": "MARS", "buildId": of(0)}
    update = "dashboard:updateTaskStatus"
    return [
        ("dashboard:createBuild", {**build, "config": {"timeout": 5}, "agentIds": ["a"]}),
        ("dashboard:createTask", {**task, "taskId": "t1", "phase": 2, "description": "d"}),
        ("dashboard:createTask", {**task, "taskId": "t2", "phase": 1.5}),
        ("dashboard:createTask", {**task, "taskId": "t2", "phase": 1}),
        ("dashboard:createTask", {**task, "taskId": "t3", "phase": 0}),
        ("dashboard:createTask", {**task, "taskId": "t3", "phase": 1, "buildId": "nothing-1"}),
        ("dashboard:updateBuildStatus", {"buildId": of(0), "status": "running"}),
        (update, {"taskId": of(1), "status": "done"}),
        (update, {"taskId": of(1), "status": "running", "error": "", "output": ""}),
        ("dashboard:logExecution", {**RUN, "taskId": of(1), "gatesPassed": True, "duration": 10.5}),
        ("dashboard:logExecution", {**RUN, "taskId": of(1), "gatesPassed": False, "duration": 21}),
        ("dashboard:logExecution", {**RUN, "taskId": of(1), "gatesPassed": True, "duration": -1}),
        ("dashboard:logExecution", {**RUN, "taskId": "x", "gatesPassed": True, "duration": 1}),
        (update, {"taskId": of(1), "status": "done", "output": "fine", "duration": 3}),
        (update, {"taskId": of(1), "status": "running"}),
        (update, {"taskId": of(2), "status": "blocked"}),
        (update, {"taskId": of(2), "status": "failed", "error": "no way"}),
        (update, {"taskId": "x", "status": "done"}),
        ("dashboard:getBuild", {"buildId": of(0)}),
        ("dashboard:listTasks", {"buildId": of(0)}),
        ("dashboard:listTasks", {"buildId": "x"}),
        ("realtime:getBuildActivityTimeline", {"buildId": of(0)}),
        ("realtime:getBuildActivityTimeline", {"buildId": "x"}),
        ("realtime:subscribeToBuilds", {}),
        ("dashboard:updateBuildStatus", {"buildId": of(0), "status": "failed", "error": "late"}),
        ("dashboard:updateBuildStatus", {"buildId": "x", "status": "failed"}),
        ("dashboard:getBuild", {"buildId": of(0)}),
        ("dashboard:getBuild", {"buildId": "x"}),
        ("dashboard:updateAgentStatus", {"agentId": "x"}),
        ("dashboard:getOverviewStats", {}),
        ("dashboard:getAgentStats", {}),
        ("atlas:getAgentExecutions", {"agent": "MARS"}),
        ("atlas:getAgentExecutions", {"agent": "MARS", "limit": 1}),
        ("realtime:subscribeToActivity", {}),
    ]


def orchestration(first: int) -> Steps:
    """What the orchestrator writes of a build by its PRD; ``first`` is the first step's number."""
    run = {**RUN, "prdId": "prd-2", "prdName": "Search", "phase": 1, "timestamp": NOW}
    index = {"taskId": "index", "taskTitle": "Index"}
    logs = "atlas:logExecution"
    learning = {"pattern": "small", "insight": "steps", "code": "x"}
    return [
        ("atlas:getBuildStatus", {"prdId": "prd-2"}),
        ("atlas:completeBuild", {"prdId": "prd-2", "status": "failed"}),
        (logs, {**run, **index, "gatesPassed": False, "duration": 5, "error": "lint"}),
        (logs, {**run, **index, "gatesPassed": True, "duration": 6, "timestamp": LATER}),
        (logs, {**run, "taskId": "ask", "taskTitle": "Ask", "gatesPassed": True, "duration": 7}),
        ("atlas:getBuildStatus", {"prdId": "prd-2"}),
        ("atlas:completeBuild", {"prdId": "prd-2", "status": "failed", "error": "e"}),
        ("atlas:completeBuild", {"prdId": "prd-2", "status": "completed"}),
        ("dashboard:getBuild", {"buildId": of(first + 2, "buildId")}),
        ("dashboard:updateTaskStatus", {"taskId": of(first + 2, "taskId"), "status": "failed"}),
        ("dashboard:getAgentStats", {}),
        ("dashboard:getOverviewStats", {}),
        ("atlas:getLearnings", {"prdId": "prd-2"}),
        ("atlas:getLearnings", {"prdId": "nobody"}),
        ("atlas:logLearning", {"prdId": "prd-2", "taskId": "index", **learning}),
        ("atlas:getLearnings", {"prdId": "prd-2"}),
    ]


def feed() -> Steps:
    """The activity feed, longer than its limits."""
    entry = {"agentName": "VENUS", "action": "task_started"}
    user = {"userId": "u1", "agentName": "MARS", "eventType": "rehearsal_ran", "details": "d"}
    return [
        *(("realtime:logActivity", {**entry, "details": f"entry {n}"}) for n in range(52)),
        ("realtime:logActivity", {**entry, "details": "e", "status": "s", "taskId": "t1"}),
        ("activity:recordAgentActivity", user),
        ("activity:recordAgentActivity", {**user, "agentName": "VENUS", "taskId": "t"}),
        ("realtime:subscribeToActivity", {}),
        ("realtime:getAgentActivityHistory", {"agentName": "VENUS"}),
        ("realtime:getAgentActivityHistory", {"agentName": "VENUS", "limit": 3}),
        ("realtime:getAgentActivityHistory", {"agentName": "nobody"}),
        ("realtime:getRecentActivity", {"limit": 2}),
        ("realtime:getRecentActivity", {"limit": 0, "hours": 1}),
        ("activity:getAgentActivity", {"userId": "u1"}),
        ("activity:getAgentActivity", {"userId": "u1", "limit": 1}),
        ("activity:getAgentActivityByAgent", {"userId": "u1", "agentName": "MARS"}),
    ]


def pages() -> Steps:
    """Lists of builds, shorter and longer than what is asked for."""
    more: Steps = [
        ("dashboard:createBuild", {"prdId": f"more-{n}", "prdName": f"More {n}"}) for n in range(3)
    ]
    sizes: tuple[dict[str, Any], ...] = (
        {},
        {"pageSize": 3},
        {"pageSize": 1},
        {"pageSize": 0},
        {"pageSize": 500},
    )
    return [*more, *(("dashboard:listBuilds", size) for size in sizes)]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    found = Clients(tmp_path_factory.mktemp("clients"))
    if not found.has_main_app:
        pytest.skip("no sources of the main app: name its folder or repository in NOVA_MAIN_APP")
    return found


@pytest.fixture
def stage(nova_kafka: str, nova_postgres: str, tmp_path: Path) -> Iterator[Stage]:
    with running_stage(nova_kafka, nova_postgres, tmp_path) as found:
        yield found


async def answered(app: App, steps: Steps) -> list[dict[str, Any]]:
    """What each step gives here."""
    outcomes: list[dict[str, Any]] = []
    for path, args in steps:
        call = app.query if FUNCTIONS[path].kind == "query" else app.mutate
        try:
            outcomes.append({"value": await call(path, **resolved(args, outcomes))})
        except RefusedError as error:
            outcomes.append({"error": error.text})
    return outcomes


def resolved(value: Any, outcomes: list[dict[str, Any]]) -> Any:
    if isinstance(value, list):
        return [resolved(item, outcomes) for item in value]
    if not isinstance(value, dict):
        return value
    if "step" in value:
        found = outcomes[value["step"]]["value"]
        return found[value["field"]] if "field" in value else found
    return {name: resolved(item, outcomes) for name, item in value.items()}


class Plain:
    """Outcomes without what differs in every run: ids by their order, and no times of now."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            plain = {name: self.of(value[name]) for name in sorted(value)}
            return plain | ({"_creationTime": 0} if "_creationTime" in plain else {})
        if not isinstance(value, str):
            return value
        if OWN_ID.fullmatch(value) or table_of(value) or value in {"agent-MARS", "agent-VENUS"}:
            return self._ids.setdefault(value, f"id {len(self._ids)}")
        return "now" if TIME.fullmatch(value) and value not in {NOW, LATER} else value


async def register(app: App, *agents: dict[str, Any]) -> None:
    events = [
        {"entity": "agents", "after": {"id": f"agent-{agent['name']}", **agent}} for agent in agents
    ]
    published = (await app.client.post("/api/v1/events", json=events)).json()
    response = await app.client.get(
        "/api/v1/overview", params={"after": published["token"], "timeout": 60}
    )
    assert response.status_code == 200, response.text


@pytest.mark.long
async def test_every_answer_is_the_main_apps_own(clients: Clients, stage: Stage) -> None:
    steps = [*lifecycle(), *pages(), *feed()]
    steps += orchestration(len(steps))
    given = {"documents": [["agents", MARS], ["agents", VENUS]], "steps": steps}
    own, _ = clients.run("own", "", given)
    async with calling(stage) as app:
        await register(app, MARS, VENUS)
        found = await answered(app, steps)
    plain, wanted = Plain(), Plain()
    for step, one, other in zip(steps, found, own["outcomes"], strict=True):
        assert plain.of(one) == wanted.of(other), step


#: Arguments that the main app's clients send, and its own functions refuse.
CLIENTS_OWN = {
    "atlas:completeBuild": {"completedAt"},
    "atlas:logLearning": {"agent", "createdAt"},
    "dashboard:logExecution": {"timestamp"},
    "dashboard:updateAgentStatus": {"currentTaskId", "idleMinutes"},
}
#: Functions that the main app's own backend lacks.
LACKING = {"atlas:startBuild", "atlas:logTask"}


def test_every_function_takes_the_main_apps_arguments(clients: Clients) -> None:
    own, _ = clients.run("own", "", {"documents": [], "steps": []})
    validators = own["validators"]
    assert FUNCTIONS.keys() == validators.keys() | LACKING
    for path, (kind, arguments) in validators.items():
        function = FUNCTIONS[path]
        assert function.kind == kind
        more = CLIENTS_OWN.get(path, set())
        text = function.shapes[0].fields.text
        for name in more:
            text = re.sub(rf"{name}: v\.optional\([^)]*\)\)(, )?", "", text)
        assert text == written(arguments), path


def written(validator: dict[str, Any]) -> str:
    """A validator as Convex's messages write it."""
    kind = validator["type"]
    if kind == "object":
        fields = sorted(validator["value"].items())
        return f"v.object({{{', '.join(f'{name}: {field(item)}' for name, item in fields)}}})"
    if kind == "union":
        return f"v.union({', '.join(map(written, validator['value']))})"
    if kind == "array":
        return f"v.array({written(validator['value'])})"
    if kind == "id":
        return f'v.id("{validator["tableName"]}")'
    if kind == "literal":
        return f'v.literal("{validator["value"]}")'
    return {"number": "v.float64()", "string": "v.string()", "boolean": "v.boolean()"}[kind]


def field(found: dict[str, Any]) -> str:
    text = written(found["fieldType"])
    return f"v.optional({text})" if found["optional"] else text
