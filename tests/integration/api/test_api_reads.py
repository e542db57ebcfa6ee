"""The reads over HTTP, on rows that the flush wrote."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
import pytest

from nova_stream.events.change import Entity
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

LINES: list[dict[str, Any]] = [
    {
        "entity": "agents",
        "after": {
            "id": "a1",
            "name": "MARS",
            "role": "plan",
            "createdAt": "2026-02-20T10:00:00.000Z",
        },
    },
    {"entity": "agents", "after": {"id": "a2", "name": "SUN/MOON"}},
    {"entity": "tasks", "after": {"id": "t1", "agent": "MARS", "status": "done", "buildId": "b1"}},
    {"entity": "tasks", "after": {"id": "t2", "agent": "MARS", "status": "failed"}},
    {"entity": "tasks", "after": {"id": "t3", "agent": "MARS", "status": "running"}},
    {"entity": "tasks", "after": {"id": "t4", "agent": "NOBODY", "status": "ready"}},
    {
        "entity": "executions",
        "after": {
            "id": "e1",
            "agent": "MARS",
            "duration": 12.5,
            "timestamp": "2026-02-20T12:00:00.123Z",
        },
    },
    {
        "entity": "builds",
        "after": {
            "id": "b1",
            "prdId": "p1",
            "prdName": "Lumen",
            "status": "completed",
            "startedAt": "2026-02-20T12:00:00.000Z",
            "completedAt": "2026-02-20T12:00:10.000Z",
        },
    },
    {"entity": "builds", "after": {"id": "b2", "status": "running"}},
    {
        "entity": "activities",
        "after": {"id": "v1", "agentName": "MARS", "timestamp": "2026-02-20T12:00:00.000Z"},
    },
]


@pytest.fixture(autouse=True)
async def rows(apply_lines: ApplyLines) -> None:
    await apply_lines(LINES)


async def test_agents(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    response = await client.get("/api/v1/agents/stats")
    assert response.status_code == 200
    body = response.json()
    assert body["nextCursor"] is None
    mars, sun = body["items"]
    assert mars.pop("cachedAt").endswith("Z")
    assert mars == {
        "agentId": "a1",
        "agentName": "MARS",
        "role": "plan",
        "totalTasks": 3,
        "completedTasks": 1,
        "failedTasks": 1,
        "successRate": 33.33,
        "avgDuration": 13,
        "lastActive": "2026-02-20T12:00:00.123Z",
        "currentStatus": "active",
        "registered": True,
    }
    assert (sun["agentName"], sun["lastActive"], sun["role"]) == ("SUN/MOON", None, None)
    assert '"avgDuration":13,' in response.text
    assert (await audit(nova_settings)).differences == []


async def test_unregistered_names(client: httpx.AsyncClient) -> None:
    items = (await client.get("/api/v1/agents/stats?unregistered=true")).json()["items"]
    assert [(i["agentName"], i["registered"]) for i in items] == [
        ("MARS", True),
        ("NOBODY", False),
        ("SUN/MOON", True),
    ]
    assert (await client.get("/api/v1/agents/NOBODY/stats")).status_code == 404
    found = await client.get("/api/v1/agents/NOBODY/stats?unregistered=true")
    assert (found.json()["totalTasks"], found.json()["agentId"]) == (1, None)


async def test_one_agent(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/v1/agents/MARS/stats")).json()
    assert (found["agentId"], found["otherAgentIds"]) == ("a1", [])
    assert (await client.get("/api/v1/agents/SUN%2FMOON/stats")).json()["agentId"] == "a2"


@pytest.mark.parametrize("name", ["NOT THERE", "%00", "%ff", "%F0%9F%9A%80"])
async def test_an_unknown_agent(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/api/v1/agents/{name}/stats")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["title"]) == (404, "Not Found")
    assert problem["type"] == "urn:nova-stream:unknown-agent"


async def test_builds_and_overview(client: httpx.AsyncClient) -> None:
    stats = (await client.get("/api/v1/builds/stats")).json()
    assert stats.pop("cachedAt")
    assert stats == {
        "totalBuilds": 2,
        "completedBuilds": 1,
        "failedBuilds": 0,
        "runningBuilds": 1,
        "successRate": 50,
        "avgDurationMs": 10000,
        "lastBuildTime": "2026-02-20T12:00:10.000Z",
    }
    assert (await client.get("/api/v1/overview")).json() == {
        "totalBuilds": 2,
        "completedBuilds": 1,
        "failedBuilds": 0,
        "successRate": 50,
        "activeTasks": 2,
        "completedTasks": 1,
        "lastBuildTime": "2026-02-20T12:00:10.000Z",
        "totalAgents": 2,
    }


async def test_lists_by_cursor(client: httpx.AsyncClient) -> None:
    first = (await client.get("/api/v1/builds?limit=1")).json()
    assert [build["id"] for build in first["items"]] == ["b1"]
    rest = await client.get("/api/v1/builds", params={"cursor": first["nextCursor"]})
    assert [build["id"] for build in rest.json()["items"]] == ["b2"]
    assert rest.json()["nextCursor"] is None
    running = (await client.get("/api/v1/builds?status=running")).json()
    assert [build["id"] for build in running["items"]] == ["b2"]
    activity = (await client.get("/api/v1/activity")).json()
    assert activity["items"][0] == {
        "id": "v1",
        "userId": None,
        "agentName": "MARS",
        "eventType": None,
        "taskId": None,
        "details": None,
        "timestamp": "2026-02-20T12:00:00.000Z",
    }


async def test_one_build(client: httpx.AsyncClient) -> None:
    found = (await client.get("/api/v1/builds/b1")).json()
    assert (found["prdName"], [task["id"] for task in found["tasks"]]) == ("Lumen", ["t1"])
    assert (await client.get("/api/v1/builds/b3")).status_code == 404
    assert (await client.get("/api/v1/builds/%00")).status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "builds?limit=0",
        "builds?limit=x",
        "builds?status=odd",
        "builds?cursor=nonsense",
        "builds?cursor=WyJ4IiwieSJd",  # ["x","y"]
        "builds?cursor=WyIiLCIiLCIiXQ",  # ["","",""]
        "activity?cursor=%C3%A4",
        "agents/stats?unregistered=perhaps",
        "agents/stats?after=nonsense",
        "overview?timeout=61",
        "overview?timeout=nan",
    ],
)
async def test_wrong_queries(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get(f"/api/v1/{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]


async def test_unknown_paths_and_methods(client: httpx.AsyncClient) -> None:
    response = await client.get("/api/v1/nothing")
    assert response.status_code == 404
    assert response.json()["type"] == "about:blank"
    response = await client.delete("/api/v1/overview")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    assert response.headers["content-type"] == "application/problem+json"


def _token(settings: Settings, offset: int) -> str:
    return PositionToken({settings.topic(Entity.TASKS): {0: offset}}).encode()


async def test_a_reached_token_is_no_wait(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    params = {"after": _token(nova_settings, 4), "timeout": "0"}
    for path in ("agents/stats", "agents/MARS/stats", "builds/stats", "overview", "builds"):
        assert (await client.get(f"/api/v1/{path}", params=params)).status_code == 200


async def test_reads_wait_for_their_token(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    params = {"after": _token(nova_settings, 5), "timeout": "20"}
    reading = asyncio.create_task(client.get("/api/v1/agents/MARS/stats", params=params))
    await asyncio.sleep(0.2)
    assert not reading.done()
    after = {"id": "t8", "agent": "MARS", "status": "done"}
    await apply_lines([{"entity": "tasks", "seq": 99, "after": after}])
    assert (await reading).json()["completedTasks"] == 2


async def test_a_token_that_is_not_reached(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    started = time.monotonic()
    params = {"after": _token(nova_settings, 50), "timeout": "0.3"}
    responses = await asyncio.gather(
        *(client.get("/api/v1/overview", params=params) for _ in range(30))
    )
    assert 0.3 <= time.monotonic() - started < 3
    problem = responses[0].json()
    assert {response.status_code for response in responses} == {504}
    assert PositionToken.decode(problem["position"]).encode() == _token(nova_settings, 4)
    assert problem["behind"] == [
        {
            "topic": nova_settings.topic(Entity.TASKS),
            "partition": 0,
            "nextOffset": 4,
            "wanted": 50,
        }
    ]
