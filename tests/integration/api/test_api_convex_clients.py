"""The main app's own clients, as they are, against an API, a worker, Kafka and Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.stream.harness import Stage

from .convex_calls import running_stage, serving
from .main_app import Clients

pytestmark = pytest.mark.integration

TOKENS = "app:read+publish:s3cret,reader:read:r3ader"
NOW = "2026-02-20T12:00:00.000Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients")


@pytest.fixture(scope="module")
def clients(folder: Path) -> Clients:
    return Clients(folder)


@pytest.fixture(scope="module")
def stage(nova_kafka: str, nova_postgres: str, folder: Path) -> Iterator[Stage]:
    with running_stage(nova_kafka, nova_postgres, folder) as found:
        yield found


@pytest.fixture(scope="module")
def address(stage: Stage, folder: Path) -> Iterator[str]:
    with serving(stage, folder, api_tokens=TOKENS) as found:
        yield found


@pytest.fixture
def own_clients(clients: Clients) -> Clients:
    if not clients.has_main_app:
        pytest.skip("no sources of the main app: name its folder or repository in NOVA_MAIN_APP")
    return clients


def asked(address: str, path: str, **args: Any) -> Any:
    """What a query answers to an ordinary program."""
    response = httpx.post(f"{address}/c/r3ader/api/query", json={"path": path, "args": args})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["success"], body
    return body["value"]


def task(status: str, **more: Any) -> dict[str, Any]:
    return {
        "id": "auth-1",
        "title": "Sign in",
        "description": "",
        "agent": "MARS",
        "status": status,
        "dependencies": ["setup-1"],
        "phase": 2,
        "attempts": 1,
        "createdAt": NOW,
        **more,
    }


@pytest.mark.long
def test_the_sync_client_writes_a_build(own_clients: Clients, address: str) -> None:
    steps = [
        ["startBuild", "Checkout"],
        ["logTask", task("running"), "running"],
        ["logExecution", "auth-1", "claude", 1200, 1500.5],
        ["logTask", task("done", output="all good", attempts=2), "done"],
        ["logLearning", "MARS", "small steps"],
        ["completeBuild", True],
    ]
    said, errors = own_clients.run("sync", f"{address}/c/s3cret", steps)
    assert errors == ""
    build_id = said["buildId"]
    assert said["enabled"] is True
    assert said["results"][0] == build_id

    found = asked(address, "dashboard:getBuild", buildId=build_id)
    build = found["build"]
    assert build.keys() == {
        "_id",
        "_creationTime",
        "prdId",
        "prdName",
        "status",
        "startedAt",
        "completedAt",
    }
    assert (build["prdName"], build["status"]) == ("Checkout", "completed")
    (written,) = found["tasks"]
    assert {name: value for name, value in written.items() if not name.startswith("_")} == {
        "buildId": build_id,
        "taskId": "auth-1",
        "title": "Sign in",
        "agent": "MARS",
        "status": "done",
        "dependencies": ["setup-1"],
        "phase": 2,
        "attempts": 2,
        "createdAt": NOW,
        "output": "all good",
    }

    (execution,) = asked(address, "atlas:getAgentExecutions", agent="MARS")
    assert execution["taskId"] == written["_id"]
    assert (execution["duration"], execution["tokens"]) == (1500.5, 1200)
    (learning,) = asked(address, "atlas:getLearnings", prdId=build["prdId"])
    assert (learning["buildId"], learning["pattern"]) == (build_id, "small steps")
    assert learning["insight"] == "Learned pattern from MARS"
    feed = asked(address, "realtime:subscribeToActivity")
    assert [entry["eventType"] for entry in feed if entry["agentName"] == "MARS"] == [
        "playbook_updated"
    ]
    status = asked(address, "atlas:getBuildStatus", prdId=build["prdId"])
    assert status["summary"] == {"total": 1, "done": 1, "failed": 0, "pending": 0}


def test_the_sync_client_without_a_token_is_told_why(own_clients: Clients, address: str) -> None:
    _, errors = own_clients.run("sync", address, [["startBuild", "Checkout"]])
    assert "HTTP 401" in errors


def test_the_bridge_writes_a_build(own_clients: Clients, address: str, stage: Stage) -> None:
    build = {"prdId": "prd-b", "prdName": "Search", "status": "running", "startedAt": NOW}
    state: dict[str, Any] = {
        "buildId": "prd-b",
        "taskId": "index-1",
        "title": "Index",
        "agent": "PLUTO",
    }
    state |= {"dependencies": [], "phase": 0, "attempts": 0, "createdAt": NOW}
    execution: dict[str, Any] = {
        "taskId": "index-1",
        "agent": "PLUTO",
        "model": "claude",
        "prompt": "p",
    }
    execution |= {"response": "r", "gatesPassed": True, "duration": 20, "timestamp": NOW}
    event = {
        "type": "build_started",
        "buildId": "prd-b",
        "metadata": {"by": "me"},
        "timestamp": NOW,
    }
    steps = [
        ["logBuild", build],
        ["logTask", {**state, "status": "running"}],
        ["logTask", {**state, "status": "running", "attempts": 1}],
        ["logExecution", execution],
        ["logTask", {**state, "status": "done", "output": "o", "attempts": 1}],
        ["logActivity", event],
        ["logBuild", {**build, "status": "completed", "completedAt": NOW}],
    ]
    said, errors = own_clients.run("bridge", f"{address}/c/s3cret", steps)
    assert (said, errors) == ({"queued": 0}, "")

    status = asked(address, "atlas:getBuildStatus", prdId="prd-b")
    assert status["build"]["status"] == "completed"
    assert status["build"]["completedAt"] == NOW
    (written,) = status["tasks"]
    assert (written["status"], written["attempts"], written["phase"]) == ("done", 1, 0)
    (logged,) = asked(address, "atlas:getAgentExecutions", agent="PLUTO")
    assert (logged["taskId"], logged["timestamp"]) == (written["_id"], NOW)
    feed = [entry["details"] for entry in asked(address, "realtime:subscribeToActivity")]
    assert set(feed) >= {
        "Created new build: Search",
        "Created task: Index",
        "Task done",
        "Build completed",
        "Execution passed gates (20ms)",
        '{"by":"me"}',
    }


def test_the_bridge_notes_what_an_agent_does(own_clients: Clients, address: str) -> None:
    agent = {"id": "agent-IO", "name": "IO", "role": "r", "createdAt": NOW}
    headers = {"Authorization": "Bearer s3cret"}
    event = {"entity": "agents", "after": agent}
    published = httpx.post(f"{address}/api/v1/events", json=event, headers=headers).json()
    query = {"after": published["token"]}
    httpx.get(f"{address}/api/v1/overview", params=query, headers=headers).raise_for_status()

    status = {"agentId": "IO", "status": "active", "currentTaskId": "index-1", "idleMinutes": 0}
    said, errors = own_clients.run(
        "bridge", f"{address}/c/s3cret", [["syncAgentStatus", "IO", status]]
    )
    assert (said, errors) == ({"queued": 0}, "")
    figures = [row for row in asked(address, "dashboard:getAgentStats") if row["name"] == "IO"]
    assert figures == [
        {
            "agentId": "agent-IO",
            "name": "IO",
            "role": "r",
            "totalTasks": 0,
            "successRate": 0,
            "avgDuration": 0,
            "lastActive": NOW,
            "currentStatus": "idle",
            "completedTasks": 0,
            "failedTasks": 0,
        }
    ]


def test_the_atlas_client_writes_a_build(own_clients: Clients, address: str) -> None:
    log: dict[str, Any] = {
        "taskId": "a-1",
        "agent": "JUNO",
        "model": "m",
        "prompt": "p",
        "response": "r",
    }
    log |= {"duration": 9, "timestamp": NOW}
    more = ["prd-atlas", "Atlas", "Map", 1]
    steps = [
        ["isAvailable"],
        ["logExecution", {**log, "gatesPassed": False, "error": "lint"}, *more],
        ["logExecution", {**log, "gatesPassed": True}, *more],
        ["logLearning", "prd-atlas", "a-1", "small", "steps"],
        ["completeBuild", "prd-atlas", "completed"],
    ]
    results, errors = own_clients.run("atlas", f"{address}/c/s3cret", steps)
    assert errors == ""
    assert results[0] is True
    assert results[1] == results[2]
    status = asked(address, "atlas:getBuildStatus", prdId="prd-atlas")
    assert status["build"]["_id"] == results[1]["buildId"]
    assert status["build"]["status"] == "completed"
    (written,) = status["tasks"]
    assert (written["_id"], written["attempts"]) == (results[1]["taskId"], 2)
    assert (written["status"], written["output"]) == ("done", "r")
    assert "error" not in written
    assert len(asked(address, "atlas:getAgentExecutions", agent="JUNO")) == 2
    (learning,) = asked(address, "atlas:getLearnings", prdId="prd-atlas")
    assert learning["insight"] == "steps"


@pytest.mark.parametrize("way", ["address", "auth", "adminAuth"])
def test_convex_http_client_sees_what_it_writes(clients: Clients, address: str, way: str) -> None:
    secret = "" if way == "address" else "s3cret"
    url = f"{address}/c/s3cret" if way == "address" else address
    calls = [["mutation", "dashboard:createBuild", {"prdId": f"prd-{way}", "prdName": "Cart"}]]
    given = {way: secret, "calls": calls} if secret else {"calls": calls}
    ((created,), errors) = clients.run("client", url, given)
    assert errors == ""
    build_id = created["value"]
    calls = [
        ["query", "dashboard:getBuild", {"buildId": build_id}],
        ["mutation", "dashboard:updateBuildStatus", {"buildId": build_id, "status": "completed"}],
        ["query", "dashboard:getBuild", {"buildId": build_id}],
        ["query", "dashboard:getBuild", {"buildId": "nobody"}],
    ]
    outcomes, _ = clients.run("client", url, {**given, "calls": calls})
    assert outcomes[0]["value"]["build"]["status"] == "pending"
    assert outcomes[1]["value"] == build_id
    assert outcomes[2]["value"]["build"]["status"] == "completed"
    assert outcomes[3]["value"] is None


def test_convex_http_client_gets_errors_as_convex_words_them(
    clients: Clients, address: str, folder: Path
) -> None:
    url = f"{address}/c/s3cret"
    start = ["mutation", "dashboard:createBuild", {"prdId": "prd-e", "prdName": "Errors"}]
    ((created,), _) = clients.run("client", url, {"calls": [start]})
    task = {"buildId": created["value"], "taskId": "t", "title": "T", "agent": "MARS", "phase": 1}
    ((made,), _) = clients.run(
        "client", url, {"calls": [["mutation", "dashboard:createTask", task]]}
    )
    update = "dashboard:updateTaskStatus"
    calls = [
        ["mutation", update, {"taskId": made["value"], "status": "done"}],
        ["mutation", update, {"taskId": "nobody", "status": "done"}],
        ["mutation", update, {"taskId": made["value"], "status": "paused"}],
        ["mutation", update, {"taskId": created["value"], "status": "done"}],
        ["mutation", "dashboard:createTask", task],
        ["mutation", "dashboard:nothing", {}],
        ["query", "dashboard:createBuild", {"prdId": "p", "prdName": "n"}],
        ["query", "dashboard:getBuild", {}],
        ["query", "dashboard:getOverviewStats", {"more": 1}],
    ]
    outcomes, _ = clients.run("client", url, {"calls": calls})
    errors = [outcome["error"] for outcome in outcomes]
    for error, text in zip(
        errors,
        [
            "Uncaught Error: Invalid status transition from pending to done",
            "Uncaught Error: Task not found",
            "ArgumentValidationError: Value does not match validator.\nPath: .status\n"
            'Value: "paused"\nValidator: v.union(v.literal("pending"), v.literal("ready"), ',
            f'ArgumentValidationError: Found ID "{created["value"]}" from table `builds`, which '
            'does not match the table name in validator `v.id("tasks")`.Path: .taskId',
            "Uncaught Error: Task with this ID already exists in build",
            "Could not find public function for 'dashboard:nothing'.",
            "Trying to execute dashboard.js:createBuild as Query, but it is defined as Mutation.",
            "ArgumentValidationError: Object is missing the required field `buildId`. Consider "
            "wrapping the field validator in `v.optional(...)` if this is expected.\n\n"
            'Object: {}\nValidator: v.object({buildId: v.id("builds")})',
            "ArgumentValidationError: Object contains extra field `more` that is not in the "
            "validator.\n\nObject: {more: 1.0}\nValidator: v.object({})",
        ],
        strict=True,
    ):
        assert error.startswith("[Request ID: ")
        assert f"] Server Error\n{text}" in error
    log = (folder / "api.log").read_text()
    for error in errors:
        assert error.partition("]")[0].removeprefix("[Request ID: ") in log
    assert "s3cret" not in log


def test_convex_http_client_without_the_scope(clients: Clients, address: str) -> None:
    start = ["mutation", "dashboard:createBuild", {"prdId": "p", "prdName": "n"}]
    ((refused,), _) = clients.run("client", address, {"auth": "r3ader", "calls": [start]})
    assert "scope publish" in refused["error"]
    ((refused,), _) = clients.run("client", address, {"calls": [start]})
    assert "A token is needed" in refused["error"]
