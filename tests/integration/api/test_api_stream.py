"""Streams of changes: a full picture, then what changes, resumed without missing a last value."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.api.live import broadcaster as changes
from nova_stream.settings import Settings

from .conftest import as_api
from .streams import LIMIT, listening, postgres_for, stream
from .test_api_server import NOWHERE, serving

#: What the stream tells of Postgres.
UP = {"connected": True, "databaseState": "up"}
AWAY = {"connected": False, "databaseState": "refusing"}

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

LINES: list[dict[str, Any]] = [
    {"entity": "agents", "after": {"id": "a1", "name": "MARS", "role": "plan"}},
    {"entity": "agents", "after": {"id": "a2", "name": "VENUS"}},
    {"entity": "tasks", "after": {"id": "t1", "agent": "MARS", "status": "done", "buildId": "b1"}},
    {"entity": "tasks", "after": {"id": "t2", "agent": "NOBODY", "status": "ready"}},
    {
        "entity": "builds",
        "after": {"id": "b1", "status": "running", "startedAt": "2026-02-20T12:00:00.000Z"},
    },
    {
        "entity": "activities",
        "after": {"id": "v1", "agentName": "MARS", "timestamp": "2026-02-20T12:00:00.000Z"},
    },
]


def task(number: int, status: str = "done", agent: str = "MARS") -> dict[str, Any]:
    after = {"id": f"t-{number}", "agent": agent, "status": status}
    return {"entity": "tasks", "seq": 100 + number, "after": after}


@pytest.fixture
async def client(
    nova_settings: Settings, apply_lines: ApplyLines
) -> AsyncIterator[httpx.AsyncClient]:
    await apply_lines(LINES)
    async with listening(create_app(as_api(nova_settings))) as found:
        yield found


async def test_the_first_thing_is_the_full_picture(client: httpx.AsyncClient) -> None:
    async with stream(client) as events:
        found = await events.picture()
    items = (await client.get("/api/v1/agents/stats?unregistered=true")).json()["items"]
    agents = [event.data for event in found if event.name == "agent"]
    assert sorted(agents, key=lambda row: row["agentName"]) == sorted(
        items, key=lambda row: row["agentName"]
    )
    single = {event.name: event.data for event in found}
    assert single["overview"] == (await client.get("/api/v1/overview")).json()
    assert single["builds"] == (await client.get("/api/v1/builds/stats")).json()
    assert single["build"] == (await client.get("/api/v1/builds")).json()["items"][0]
    assert single["activity"] == (await client.get("/api/v1/activity")).json()["items"][0]
    assert single["state"] == UP
    assert all(event.id for event in found)


async def test_a_change_comes_as_the_row_that_a_read_shows(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    async with stream(client) as events:
        await events.picture()
        started = time.monotonic()
        await apply_lines(
            [task(1), {**LINES[4], "seq": 9, "after": {"id": "b1", "status": "failed"}}]
        )
        mars = await events.until("agent", agentName="MARS")
        assert time.monotonic() - started < 5
    items = (await client.get("/api/v1/agents/stats")).json()["items"]
    assert mars.data == next(row for row in items if row["agentName"] == "MARS")
    assert mars.data["totalTasks"] == 2


async def test_builds_and_activities_that_change(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    async with stream(client, "?events=build,builds,activity") as events:
        assert {event.name for event in await events.picture()} == {
            "build",
            "builds",
            "activity",
            "state",
            "snapshot",
        }
        lines = [
            {"entity": "builds", "seq": 9, "after": {"id": "b1", "status": "failed"}},
            {"entity": "builds", "seq": 9, "after": {"id": "b2", "status": "pending"}},
            {
                "entity": "activities",
                "seq": 9,
                "after": {"id": "v2", "agentName": "X", "timestamp": "2026-02-20T12:00:01.000Z"},
            },
        ]
        await apply_lines(lines)
        found = [await events.next() for _ in range(3)]
    assert [event.name for event in found] == ["builds", "build", "activity"]
    assert found[0].data["failedBuilds"] == 1
    assert found[1].data["id"] == "b2"
    assert found[2].data["id"] == "v2"


async def test_agents_that_go_are_registered_or_get_another_name(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    async with stream(client, "?events=agent") as events:
        await events.picture()
        await apply_lines(
            [{"entity": "agents", "op": "d", "seq": 9, "before": {"id": "a2", "name": "VENUS"}}]
        )
        gone = await events.until("agent-gone")
        assert gone.data == {"agentName": "VENUS", "agentId": "a2", "registered": True}
        await apply_lines([{"entity": "agents", "seq": 9, "after": {"id": "a3", "name": "NOBODY"}}])
        there = await events.until("agent", agentName="NOBODY", registered=True)
        assert (there.data["agentId"], there.data["totalTasks"]) == ("a3", 1)
        gone = await events.until("agent-gone")
        assert gone.data == {"agentName": "NOBODY", "agentId": None, "registered": False}
        await apply_lines([{"entity": "agents", "seq": 9, "after": {"id": "a1", "name": "ARES"}}])
        gone = await events.until("agent-gone", registered=True)
        assert gone.data == {"agentName": "MARS", "agentId": "a1", "registered": True}
        assert (await events.until("agent", agentId="a1")).data["agentName"] == "ARES"
        await events.until("agent", agentName="MARS", registered=False)


async def test_a_stream_goes_on_from_the_last_id(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    async with stream(client) as events:
        last = (await events.picture())[-1].id
    assert last is not None
    for number in range(3):
        await apply_lines([task(number)])
    for given in ({"last_event_id": last}, {}):
        query = "" if given else f"?lastEventId={last}"
        headers = {"Last-Event-ID": last} if given else {}
        async with stream(client, query, **headers) as events:
            first = await events.next()
            mars = first if first.data.get("agentName") == "MARS" else await events.until("agent")
            assert first.name != "reset"
            assert mars.data["totalTasks"] == 4
    async with stream(client, "", **{"Last-Event-ID": "12345678-9"}) as events:
        assert (await events.next()).name == "reset"
        names = {event.data.get("agentName") for event in await events.picture()}
        assert {"MARS", "VENUS", "NOBODY"} <= names


async def test_filters(client: httpx.AsyncClient, apply_lines: ApplyLines) -> None:
    async with stream(client, "?events=agent&agents=VENUS,NOBODY") as events:
        picture = await events.picture()
        assert {e.data["agentName"] for e in picture if e.name == "agent"} == {"VENUS", "NOBODY"}
        await apply_lines([task(1), task(2, agent="VENUS")])
        assert (await events.next()).data["agentName"] == "VENUS"
    response = await client.get("/api/v1/stream?events=agent,planets")
    assert response.status_code == 422
    assert "planets" in response.json()["detail"]


async def test_at_most_two_updates_a_second_and_the_last_value_always(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    async def change() -> None:
        for number in range(40):
            await apply_lines([task(number)])
            await asyncio.sleep(0.05)

    times: list[float] = []
    async with stream(client, "?events=agent&agents=MARS") as events:
        await events.picture()
        changing = asyncio.create_task(change())
        total = 1
        while total < 41:
            event = await events.until("agent")
            times.append(time.monotonic())
            assert event.data["totalTasks"] > total
            total = event.data["totalTasks"]
        await changing
    assert len(times) >= 3
    for before, third in zip(times, times[2:], strict=False):
        assert third - before > 1


async def test_all_streams_share_one_look(client: httpx.AsyncClient) -> None:
    async def read() -> None:
        async with stream(client) as events:
            await events.picture()
            await asyncio.sleep(2)

    before = await looks(client)
    await asyncio.gather(*(read() for _ in range(20)))
    assert 1 <= await looks(client) - before <= 2 * LIMIT


async def looks(client: httpx.AsyncClient) -> float:
    text = (await client.get("/metrics")).text
    line = next(x for x in text.splitlines() if x.startswith("nova_api_look_seconds_count"))
    return float(line.split()[1])


async def test_postgres_goes_away_and_comes_back(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    async with postgres_for(nova_settings) as allow, stream(client) as events:
        await events.picture()
        await allow(False)
        assert (await events.until("state")).data == AWAY
        await allow(True)
        assert (await events.until("state")).data == UP
        await apply_lines([task(1)])
        assert (await events.until("agent", agentName="MARS")).data["totalTasks"] == 2


async def test_without_postgres_a_stream_says_so(tmp_path: Path) -> None:
    with serving(NOWHERE, tmp_path, token="t") as (_, address):
        headers = {"Authorization": "Bearer t"}
        async with (
            httpx.AsyncClient(base_url=address, headers=headers) as client,
            stream(client) as events,
        ):
            event = await events.next()
            assert (event.name, event.data) == ("state", AWAY)


async def test_comments_while_nothing_happens(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, apply_lines: ApplyLines
) -> None:
    monkeypatch.setattr(changes, "_HEARTBEAT_S", 0.3)
    async with stream(client) as events:
        await events.picture()
        await asyncio.sleep(1.5)
        await apply_lines([task(1)])
        await events.until("agent")
        assert events.comments >= 3


async def test_no_more_streams_than_allowed(nova_settings: Settings) -> None:
    settings = nova_settings.model_copy(update={"api_streams": 2})
    async with listening(create_app(settings)) as client:
        async with stream(client), stream(client):
            refused = await client.get("/api/v1/stream")
            assert refused.status_code == 503
            assert refused.json()["type"] == "urn:nova-stream:too-many-streams"
            assert refused.headers["retry-after"]
        async with asyncio.timeout(LIMIT):
            while "nova_api_streams 0.0" not in (await client.get("/metrics")).text:
                pass
        async with stream(client) as events:
            await events.picture()


def test_streams_end_at_once_when_the_server_does(nova_settings: Settings, tmp_path: Path) -> None:
    url = nova_settings.database_url.get_secret_value()
    with serving(url, tmp_path) as (process, address):
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=LIMIT) as reader:
            reader.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            got = b""
            while b"snapshot" not in got:
                got += reader.recv(65536)
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            while reader.recv(65536):
                pass
            assert time.monotonic() - started < 1
            assert process.wait(timeout=10) == 0
            assert time.monotonic() - started < 5
            assert process.stderr is not None
            assert process.stderr.read() == ""
