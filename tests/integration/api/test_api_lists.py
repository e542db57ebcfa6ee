"""Lists, entities and search over HTTP: who sees what, CSV, and parameters that nobody knows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.settings import Settings, load_settings

from .conftest import connected
from .test_api_scopes import ROUTES

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

AT = "2026-02-20T12:00:00.000Z"
LINES: list[dict[str, Any]] = [
    {"entity": "agents", "after": {"id": "a1", "name": "MARS", "createdAt": AT}},
    {
        "entity": "builds",
        "after": {"id": "b1", "prdName": "Lumen meadow", "status": "failed", "startedAt": AT},
    },
    {
        "entity": "tasks",
        "after": {
            "id": "t1",
            "buildId": "b1",
            "taskId": "T001",
            "title": '=HYPERLINK("x")',
            "agent": "MARS",
            "status": "failed",
            "createdAt": AT,
            "dependencies": ["T000"],
            "output": "out",
            "error": 'broken, "so"',
        },
    },
    {"entity": "tasks", "after": {"id": "t2", "agent": "MARS", "status": "done"}},
    {
        "entity": "executions",
        "after": {
            "id": "e1",
            "taskId": "t1",
            "agent": "MARS",
            "model": "m",
            "prompt": "why",
            "response": "because",
            "gatesPassed": False,
            "duration": 12.5,
            "timestamp": AT,
            "error": "broken",
        },
    },
    {"entity": "activities", "after": {"id": "v1", "agentName": "MARS", "timestamp": AT}},
    {
        "entity": "users",
        "after": {"id": "u1", "userId": "user-1", "email": "a@example.com", "lastActiveAt": AT},
    },
]
TOKENS = "s:stats:stats-secret,d:documents:documents-secret"
SECRET_WORDS = ("HYPERLINK", "broken", "why", "because", "example.com", "Lumen", "T000")


@pytest.fixture(autouse=True)
async def rows(apply_lines: ApplyLines) -> None:
    await apply_lines(LINES)


@pytest.fixture
async def guarded(nova_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    url = nova_settings.database_url
    app = create_app(load_settings(database_url=url, api_tokens=TOKENS))
    async with app.router.lifespan_context(app), connected(app) as client:
        yield client


def _as(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {scope}-secret"}


async def test_a_task_with_its_executions(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/v1/tasks/t1")).json()
    assert (found["title"], found["error"]) == ('=HYPERLINK("x")', 'broken, "so"')
    assert (found["dependencies"], found["output"]) == (["T000"], "out")
    (execution,) = found["executions"]
    assert (execution["id"], execution["error"], execution["duration"]) == ("e1", "broken", 12.5)
    assert (await client.get("/api/v1/task?id=t1")).json() == found
    whole = (await client.get("/api/v1/executions/e1")).json()
    assert (whole["prompt"], whole["response"], whole["buildId"]) == ("why", "because", "b1")
    assert (whole["archived"], whole["note"]) == (False, None)
    user = (await client.get("/api/v1/users/u1")).json()
    assert (user["email"], user["lastActiveAt"]) == ("a@example.com", AT)


@pytest.mark.parametrize("kind", ["task", "execution", "user"])
async def test_an_unknown_id(client: httpx.AsyncClient, kind: str) -> None:
    for path in (f"{kind}s/x", f"{kind}?id=x", f"{kind}s/%00"):
        response = await client.get(f"/api/v1/{path}")
        assert (response.status_code, response.json()["type"]) == (
            404,
            f"urn:nova-stream:unknown-{kind}",
        )


async def test_without_documents_their_fields_are_not_there(guarded: httpx.AsyncClient) -> None:
    paths = ["tasks", "tasks/t1", "executions", "executions/e1", "users", "users/u1"]
    for path in [*paths, *(f"{one}?format=csv" for one in ("tasks", "executions", "users"))]:
        response = await guarded.get(f"/api/v1/{path}", headers=_as("stats"))
        assert response.status_code == 200
        assert not [word for word in SECRET_WORDS if word in response.text], path
        assert not re.search("title|error|email|prompt|output", response.text), path
        whole = await guarded.get(f"/api/v1/{path}", headers=_as("documents"))
        assert [word for word in SECRET_WORDS if word in whole.text], path


async def test_without_documents_nothing_is_found_by_them(guarded: httpx.AsyncClient) -> None:
    secret = [("tasks", "HYPERLINK"), ("users", "example.com")]
    for kind, text in secret:
        for scope, count in (("stats", 0), ("documents", 1)):
            params = {"q": text}
            listed = await guarded.get(f"/api/v1/{kind}", params=params, headers=_as(scope))
            assert len(listed.json()["items"]) == count
            found = await guarded.get("/api/v1/search", params=params, headers=_as(scope))
            assert len(found.json()["groups"]) == count
    found = await guarded.get("/api/v1/search?q=b1", headers=_as("stats"))
    assert found.json()["groups"][0]["items"] == [
        {"id": "b1", "match": "exact", "status": "failed", "agent": None, "time": AT}
    ]


async def test_search_groups_what_it_finds(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/v1/search?q=mars")).json()
    assert [group["kind"] for group in found["groups"]] == ["agents"]
    found = (await client.get("/api/v1/search?q=stats")).json()
    assert {group["kind"] for group in found["groups"]} == {"jobs"}
    assert (await client.get("/api/v1/search?q=%20")).json() == {"groups": []}
    assert (await client.get("/api/v1/search?q=")).status_code == 422


async def test_lists_are_read_in_both_directions(client: httpx.AsyncClient) -> None:
    first = (await client.get("/api/v1/tasks?limit=1")).json()
    assert first["prevCursor"] is None
    params = {"limit": "1", "cursor": first["nextCursor"]}
    second = (await client.get("/api/v1/tasks", params=params)).json()
    assert [item["id"] for item in second["items"]] == ["t2"]
    assert second["nextCursor"] is None
    back = await client.get("/api/v1/tasks", params={**params, "cursor": second["prevCursor"]})
    assert back.json()["items"] == first["items"]
    for wrong in ("x", "WyJ4IiwiYSIsIjwiXQ", "WzFd"):
        assert (await client.get(f"/api/v1/tasks?cursor={wrong}")).status_code == 422


async def test_csv_is_what_json_shows_and_nothing_in_it_is_a_formula(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/api/v1/tasks?limit=1", headers={"Accept": "text/csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="tasks.csv"'
    header, row = csv.reader(io.StringIO(response.text, newline=""))
    (item,) = (await client.get("/api/v1/tasks?limit=1")).json()["items"]
    found = dict(zip(header, row, strict=True))
    assert list(found) == list(item)
    assert (found["title"], found["error"]) == ('\'=HYPERLINK("x")', 'broken, "so"')
    following = re.fullmatch(r'<(\?[^>]*)>; rel="next"', response.headers["link"])
    assert following
    rest = await client.get(f"/api/v1/tasks{following[1]}", headers={"Accept": "text/csv"})
    assert rest.text.splitlines()[1].startswith("t2,")


async def test_a_range_takes_any_iso_time(client: httpx.AsyncClient) -> None:
    params = {"from": "2026-02-20T13:00:00+01:00", "to": "2026-02-20T12:00:00.001Z"}
    found = (await client.get("/api/v1/tasks", params=params)).json()
    assert [item["id"] for item in found["items"]] == ["t1"]
    for name in ("from", "to"):
        wrong = await client.get("/api/v1/tasks", params={name: "yesterday"})
        assert wrong.status_code == 422
        assert name in wrong.json()["detail"]
    turned = await client.get("/api/v1/tasks", params={"from": params["to"], "to": params["from"]})
    assert (turned.status_code, turned.json()["detail"]) == (422, "query.from: must be before to")


async def test_no_route_ignores_a_parameter_that_it_does_not_know(
    client: httpx.AsyncClient,
) -> None:
    for asked in ROUTES:
        request = asked.request(None)
        url = f"{request['url']}?limt=1"
        response = await client.request(request["method"], url)
        assert response.status_code == 422, asked
        problem = response.json()
        assert problem["type"] == "urn:nova-stream:unknown-parameter", asked
        assert "'limt' is not a parameter here; allowed are: " in problem["detail"]
    twice = await client.get("/api/v1/tasks?limit=1&limit=2")
    assert (twice.status_code, twice.json()["parameter"]) == (422, "limit")


def _execution(id_: str, minute: int, **more: Any) -> dict[str, Any]:
    after = {"id": id_, "taskId": "t3", "agent": "MARS", "timestamp": f"2026-02-20T12:{minute}:00Z"}
    return {"entity": "executions", "after": {**after, **more}}


async def test_a_failed_task_tells_the_error_of_its_newest_failed_execution(
    client: httpx.AsyncClient, guarded: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    task = {"id": "t3", "buildId": "b1", "agent": "MARS", "status": "failed"}
    await apply_lines(
        [
            {"entity": "tasks", "after": task},
            {"entity": "tasks", "after": {**task, "id": "t4", "status": "done"}},
            _execution("x1", 10, error="an older one"),
            _execution("x2", 20, error="out of memory"),
            _execution("x3", 30),
            _execution("x4", 40, error="of a task that is done", taskId="t4"),
        ]
    )
    told = {"failedExecutionId": "x2", "failedExecutionError": "out of memory"}
    untold = dict.fromkeys(told)
    both = (await client.get("/api/v1/tasks?build=b1&status=failed,done")).json()["items"]
    assert {(one["id"], one["status"]) for one in both} >= {("t3", "failed"), ("t4", "done")}
    failed = "/api/v1/tasks?build=b1&status=failed"
    listed = {row["id"]: row for row in (await client.get(failed)).json()["items"]}
    assert listed["t3"].items() >= {"error": None, **told}.items()
    assert listed["t1"]["failedExecutionId"] == "e1"
    build = {row["id"]: row for row in (await client.get("/api/v1/builds/b1")).json()["tasks"]}
    assert build["t3"].items() >= told.items()
    assert build["t4"].items() >= untold.items()
    assert (await client.get("/api/v1/tasks/t3")).json().items() >= told.items()
    assert (await client.get("/api/v1/tasks/t4")).json().items() >= untold.items()
    unseen = (await guarded.get(failed, headers=_as("stats"))).json()["items"]
    assert [row.keys() & told.keys() for row in unseen] == [set(), set()]
    csv_text = (await client.get(f"{failed}&format=csv")).text
    assert "failedExecutionError" in csv_text.splitlines()[0]
    assert "out of memory" in csv_text


@pytest.mark.parametrize("status", ["unknown", "failed,unknown", "failed,", ",", "FAILED"])
async def test_a_status_that_no_task_has_is_refused(client: httpx.AsyncClient, status: str) -> None:
    response = await client.get("/api/v1/tasks", params={"status": status})
    assert response.status_code == 422
    detail = response.json()["detail"]
    assert detail.startswith("query.status: Input should be 'pending', 'ready', 'running', ")


async def test_tasks_of_several_statuses_are_those_that_the_overview_counts(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    statuses = ("pending", "ready", "running", "done", "failed", "blocked")
    tasks = [{"id": f"several-{status}", "status": status} for status in statuses]
    await apply_lines({"entity": "tasks", "after": task} for task in tasks)
    params = {"status": "pending,ready,running", "limit": "2"}
    found: list[str] = []
    while True:
        page = (await client.get("/api/v1/tasks", params=params)).json()
        found += [task["id"] for task in page["items"]]
        if page["nextCursor"] is None:
            break
        params["cursor"] = page["nextCursor"]
    assert {f"several-{status}" for status in statuses[:3]} <= set(found)
    assert len(found) == (await client.get("/api/v1/overview")).json()["activeTasks"]
