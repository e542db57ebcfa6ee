"""A cursor is good for its own list, in its own order, and refused by every other."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.settings import load_settings

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
DAY = "from=2026-02-20T00:00:00Z&to=2026-02-21T00:00:00Z"

#: A list that has several rows, and another that is told from it by nothing but whose it is.
FILLED = {
    "builds?": None,
    "tasks?": None,
    "executions?": None,
    "activity?": None,
    "users?": None,
    "agents/stats?": None,
    f"agents/stats?{DAY}&": None,
    "builds/b1?": "builds/b2?",
    "build?id=b1&": "build?id=b2&",
    "tasks/t1?": "tasks/t2?",
    "task?id=t1&": "task?id=t2&",
    "agents/MARS/explain?figure=totalTasks&": "agents/MARS/explain?figure=avgDuration&",
    "agent/explain?name=MARS&figure=totalTasks&": "agent/explain?name=PLUTO&figure=totalTasks&",
}
#: These are the same list.
ALIKE = [{"builds/b1?", "build?id=b1&"}, {"tasks/t1?", "task?id=t1&"}]
ALIKE += [{"agents/MARS/explain?figure=totalTasks&", "agent/explain?name=MARS&figure=totalTasks&"}]
#: Their pages are larger than the tests fill, or nothing is in them yet.
EMPTY = [
    "agents/history?",
    "builds/history?",
    "jobs/healthCheck/runs?",
    "runs?",
    "alerts?",
    "dead-letters?",
    "trail?",
]


def line(entity: str, id_: str, **fields: Any) -> dict[str, Any]:
    return {"entity": entity, "after": {"id": id_, **fields}}


def lines() -> Iterable[dict[str, Any]]:
    for n in range(1, 4):
        at = {"timestamp": f"2026-02-20T12:00:0{n}Z"}
        name = ("MARS", "PLUTO", "VENUS")[n - 1]
        yield line("agents", f"a{n}", name=name, createdAt="2026-02-20T12:00:00Z")
        yield line("builds", f"b{n}", status="running", startedAt=f"2026-02-20T12:00:0{n}Z")
        for build in ("b1", "b2"):
            task = f"t{n}" if build == "b1" else f"s{n}"
            yield line("tasks", task, buildId=build, agent="MARS", status="done")
        for task in ("t1", "t2"):
            yield line("executions", f"{task}e{n}", taskId=task, agent="PLUTO", duration=5, **at)
        yield line("activities", f"v{n}", agentName="MARS", **at)
        yield line("users", f"u{n}", lastActiveAt=f"2026-02-20T12:00:0{n}Z")


@pytest.fixture
async def cursors(client: httpx.AsyncClient, apply_lines: ApplyLines) -> dict[str, str]:
    """The cursor of each list that is filled."""
    await apply_lines(lines())
    found = {}
    for path in FILLED:
        page = (await client.get(f"/api/v1/{path}limit=1")).json()
        found[path] = page["nextCursor"]
        assert found[path], path
    return found


def test_every_route_with_a_cursor_is_here() -> None:
    paths = create_app(load_settings()).openapi()["paths"]
    with_cursor = {
        path.replace("{name}/runs", "healthCheck/runs").replace("{name}", "MARS")
        for path, methods in paths.items()
        if any(p["name"] == "cursor" for p in methods.get("get", {}).get("parameters", ()))
    }
    asked = {f"/api/v1/{path.partition('?')[0]}" for path in [*FILLED, *EMPTY]}
    ids = {"/api/v1/builds/b1": "/api/v1/builds/{id}", "/api/v1/tasks/t1": "/api/v1/tasks/{id}"}
    assert {ids.get(path, path) for path in asked} == with_cursor


async def test_a_cursor_of_another_list_is_refused_in_plain_words(
    client: httpx.AsyncClient, cursors: dict[str, str]
) -> None:
    for path in [*FILLED, *EMPTY]:
        for other, cursor in cursors.items():
            response = await client.get(f"/api/v1/{path}cursor={cursor}")
            if path == other or {path, other} in ALIKE:
                assert response.status_code == 200, (path, other)
                continue
            assert response.status_code == 422, (path, other)
            problem = response.json()
            assert problem["type"] == "urn:nova-stream:bad-cursor"
            assert problem["detail"].startswith("cursor: it belongs to another list"), problem
    refused = await client.get(f"/api/v1/tasks?cursor={cursors['builds?']}")
    says = "cursor: it belongs to another list (builds), not to this one (tasks)"
    assert refused.json()["detail"] == says


async def test_a_cursor_of_somebody_elses_list_is_refused(
    client: httpx.AsyncClient, cursors: dict[str, str]
) -> None:
    for path, other in FILLED.items():
        if other is not None:
            response = await client.get(f"/api/v1/{other}cursor={cursors[path]}")
            assert response.status_code == 422, (path, other)
            assert "another list of the same kind (" in response.json()["detail"]


#: Deeper than Python calls itself, and short enough for an address.
_DEEP = 2500
MADE = [
    '["builds", ""]',
    '["builds", "", ["x", "y"]]',
    '["builds", "", [null, "", "<"], 1]',
    '["<b>", "", []]',
    '["builds", "", ' + "[" * _DEEP,
    "[" * _DEEP,
    '["builds", "", [null, "\\ud800", "<"]]',
    '{"builds": 1}',
    "",
]


@pytest.mark.parametrize("made", MADE)
async def test_a_cursor_that_somebody_has_made_is_refused(
    client: httpx.AsyncClient, made: str
) -> None:
    cursor = urlsafe_b64encode(made.encode()).decode().rstrip("=")
    response = await client.get(f"/api/v1/builds?cursor={cursor}")
    assert (response.status_code, response.json()["type"]) == (422, "urn:nova-stream:bad-cursor")
    assert "<b>" not in response.text
