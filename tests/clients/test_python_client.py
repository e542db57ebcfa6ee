"""The Python client against a whole stack: what is published is waited for, read and followed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from nova_stream import (
    ApiAccessError,
    ApiError,
    ApiNotFoundError,
    ApiUnavailableError,
    ChangePublisher,
    NovaClient,
    PositionNotReachedError,
    PositionToken,
    Settings,
    load_settings,
)
from nova_stream.storage.stats.rows import AgentStats

pytestmark = pytest.mark.integration

BEGUN = datetime.now(UTC) - timedelta(minutes=5)


@pytest.fixture(scope="module")
def published(nova_stack: Settings) -> PositionToken:
    """A build, an agent, 7 tasks of it, an execution, an activity, a user."""

    async def publish() -> PositionToken:
        now = BEGUN.isoformat()
        async with ChangePublisher(nova_stack) as publisher:
            changes = [
                {"entity": "agents", "after": {"id": "a/1", "name": "Über/1", "role": "docs"}},
                {"entity": "builds", "after": {"id": "b-1", "status": "running", "startedAt": now}},
                {
                    "entity": "executions",
                    "after": {
                        "id": "e-1",
                        "taskId": "t-0",
                        "agent": "Über/1",
                        "duration": 1500,
                        "timestamp": now,
                        "prompt": "p",
                        "response": "r\u2028s",
                    },
                },
                {
                    "entity": "activities",
                    "after": {
                        "id": "v-1",
                        "agentName": "Über/1",
                        "eventType": "note",
                        "details": "a\u2028b\u0085c",
                        "timestamp": now,
                    },
                },
                {"entity": "users", "after": {"id": "u-1", "userId": "ann", "tier": "pro"}},
            ]
            tasks = [
                {"id": f"t-{n}", "buildId": "b-1", "agent": "Über/1", "status": "done"}
                for n in range(7)
            ]
            changes += [{"entity": "tasks", "after": task} for task in tasks]
            return await publisher.publish(changes)

    return asyncio.run(publish())


@pytest.fixture
async def nova(nova_stack: Settings) -> AsyncIterator[NovaClient]:
    async with NovaClient() as client:
        yield client


async def test_a_read_after_a_token_shows_what_was_published(
    nova: NovaClient, published: PositionToken
) -> None:
    await nova.wait(published)
    found = await nova.agent("Über/1", after=published)
    assert (found.agent_id, found.completed_tasks, found.success_rate) == ("a/1", 7, 100)
    assert [row.agent_name async for row in nova.agents(after=published)] == ["Über/1"]
    assert (await nova.overview()).completed_tasks == 7
    assert (await nova.build_stats()).running_builds == 1
    assert len((await nova.build("b-1")).tasks) == 7
    assert (await nova.task("t-0")).executions[0].duration == 1500
    assert (await nova.execution("e-1")).response == "r\u2028s"


async def test_a_list_gives_each_row_once_over_its_pages(
    nova: NovaClient, published: PositionToken
) -> None:
    ids = [row.id async for row in nova.tasks(build="b-1", limit=2, after=published)]
    assert sorted(ids) == [f"t-{n}" for n in range(7)]
    assert [row.id async for row in nova.builds(status="failed")] == []
    assert [row.id async for row in nova.executions(agent="Über/1")] == ["e-1"]
    assert [row.details async for row in nova.activity(event_type="note")] == ["a\u2028b\u0085c"]
    assert [row.user_id async for row in nova.users(tier="pro")] == ["ann"]


async def test_ranges_and_series_add_up(nova: NovaClient, published: PositionToken) -> None:
    await nova.wait(published)
    end = datetime.now(UTC) + timedelta(minutes=1)
    one = await nova.agent_range("Über/1", from_=BEGUN, to=end)
    assert (one.completed_tasks, one.executions, one.p99_duration) == (7, 1, 1500)
    assert (await nova.overall_range(from_=BEGUN, to=end)).completed_tasks == 7
    ranges = [row async for row in nova.agent_ranges(from_=BEGUN, to=end)]
    assert [row.completed_tasks for row in ranges] == [7]
    for series in (
        await nova.agent_series("Über/1", bucket="1m", from_=BEGUN, to=end),
        await nova.agent_series(bucket="1m", from_=BEGUN, to=end),
    ):
        assert sum(bucket.completed_tasks for bucket in series.items) == 7
    assert (await nova.builds_range(from_=BEGUN, to=end)).completed_builds == 0
    assert (
        len(
            (await nova.build_series(from_="2026-02-01T00:00:00Z", to="2026-02-02T00:00:00Z")).items
        )
        == 24
    )
    days = (await nova.engagement(from_="2026-02-01", to="2026-02-03")).days
    assert isinstance(days, list)


async def test_a_time_without_a_zone_is_refused_before_it_is_sent(nova: NovaClient) -> None:
    with pytest.raises(ValueError, match="time zone"):
        await nova.agent_range("x", from_=datetime(2026, 1, 1))  # noqa: DTZ001


async def test_problems_are_exceptions_that_say_what_to_do(
    nova: NovaClient, nova_stack: Settings, published: PositionToken
) -> None:
    with pytest.raises(ApiNotFoundError, match="404 unknown-agent: No registered agent") as missing:
        await nova.agent("nobody")
    assert (missing.value.status, missing.value.kind) == (404, "unknown-agent")
    assert missing.value.members["title"] == "Not Found"
    with pytest.raises(ApiError, match="unknown-parameter") as unknown:
        await nova.get("overview", colour="red")
    assert unknown.value.members["parameter"] == "colour"

    topic, places = next(iter(published.positions.items()))
    beyond = PositionToken({topic: dict.fromkeys(places, 10**6)})
    with pytest.raises(PositionNotReachedError) as behind:
        await nova.wait(beyond, timeout=0.1)
    assert behind.value.behind

    wrong = load_settings(api_url=nova_stack.api_url, api_token="not-a-token-of-this-api")
    async with NovaClient(wrong) as other:
        with pytest.raises(ApiAccessError, match="token-unknown"):
            await other.overview()
        with pytest.raises(ApiAccessError):
            await anext(other.follow())
    async with NovaClient(load_settings(api_url="http://127.0.0.1:9")) as nowhere:
        with pytest.raises(ApiUnavailableError, match="does nova-stream api run there"):
            await nowhere.overview()


async def test_a_follower_sees_all_and_then_what_changes_and_goes_on_from_an_id(
    nova: NovaClient, nova_stack: Settings, published: PositionToken
) -> None:
    await nova.wait(published)
    seen = []
    last = None
    async with asyncio.timeout(30):
        async for event in nova.follow(events=["agent", "activity"]):
            seen.append(event)
            last = event.id or last
            if event.event == "snapshot":
                break
        rows = [event.data for event in seen if isinstance(event.data, AgentStats)]
        assert [row.completed_tasks for row in rows] == [7]
        assert any(getattr(event.data, "details", "") == "a\u2028b\u0085c" for event in seen)

        async with ChangePublisher(nova_stack) as publisher:
            await publisher.task({"id": "t-9", "agent": "Über/1", "status": "done"})
        async for event in nova.follow(events=["agent", "activity"], last_event_id=last):
            assert event.event != "reset"
            if isinstance(event.data, AgentStats) and event.data.completed_tasks == 8:
                break


async def test_a_break_of_the_connection_is_mended_from_the_last_id() -> None:
    """Ends, refusals that pass and cuts in the middle of a frame; no event twice or half."""
    answers = [
        httpx.Response(200, content=b'retry: 1\n\nid: 1\nevent: overview\ndata: {"total'),
        httpx.Response(503, headers={"Retry-After": "0"}, content=b"starting"),
        httpx.Response(
            200, content=b"retry: 1\n\n: hello\nid: 2\nevent: snapshot\r\ndata: {}\r\n\r\n"
        ),
        httpx.Response(200, content=b"id: 3\nevent: state\ndata: {\ndata: }\n\ndata: {}"),
        httpx.Response(401, content=b"no"),
    ]
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("last-event-id"))
        return answers.pop(0)

    settings = load_settings(api_url="http://api.example")
    told: list[str] = []
    got = []
    begun = time.monotonic()
    async with NovaClient(settings, transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ApiAccessError):
            async for event in client.follow(on_break=lambda error: told.append(str(error))):
                got.append((event.id, event.event))
    assert got == [("2", "snapshot"), ("3", "state")]
    assert asked == [None, None, None, "2", "3"]
    assert len(told) == 4
    assert time.monotonic() - begun < 5
