"""Histories over HTTP: every event in the bucket of its time, and in no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.clock import from_millis, isoformat, system_clock
from nova_stream.jobs.engine.manual import run_manually
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import Settings
from nova_stream.storage.database import connect
from nova_stream.storage.stats.history import ENDED_TASKS, Span, agents_history
from tests.integration.jobs.stubs import query

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

PATH = "/api/v1/agents/history"
HOUR = timedelta(hours=1)
MILLI = timedelta(milliseconds=1)


def execution(id_: str, time: datetime, duration: float = 10) -> dict[str, Any]:
    after = {"id": id_, "agent": "MARS", "duration": duration, "timestamp": isoformat(time)}
    return {"entity": "executions", "after": after}


def activity(
    id_: str, time: datetime, kind: str, user: str | None = "u", **fields: Any
) -> dict[str, Any]:
    after = {"id": id_, "userId": user, "agentName": "MARS", "eventType": kind, **fields}
    return {"entity": "activities", "after": {**after, "timestamp": isoformat(time)}}


def agent(id_: str, name: str) -> dict[str, Any]:
    return {"entity": "agents", "after": {"id": id_, "name": name}}


async def buckets(client: httpx.AsyncClient, **params: int) -> dict[str, list[dict[str, Any]]]:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    assert response.json()["nextCursor"] is None
    return {item["agentName"]: item["buckets"] for item in response.json()["items"]}


async def test_what_happened_is_in_the_bucket_of_its_time(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([agent("a1", "MARS"), agent("a2", "VENUS"), agent("a3", "MARS")])
    empty = await buckets(client, hours=4, buckets=4)
    assert list(empty) == ["MARS", "VENUS"]
    starts = [datetime.fromisoformat(bucket["start"]) for bucket in empty["MARS"]]
    assert [later - start for start, later in pairwise(starts)] == [HOUR] * 3
    assert starts[-1] <= system_clock() < starts[-1] + HOUR

    await apply_lines(
        [
            execution("e1", starts[0] - MILLI),
            execution("e2", starts[0]),
            execution("e3", starts[1] - MILLI, 15),
            execution("e4", starts[1], 1.5),
            activity("v1", starts[2], "task_completed"),
            activity("v2", starts[3] - MILLI, "task_completed", user=None),
            activity("v3", starts[3], "task_failed"),
            activity("v4", starts[2], "task_started"),
            activity("v8", starts[2], "task_failed", agentName="NOBODY"),
            activity("v5", starts[2], "task_failed", user="system"),
            activity("v6", starts[0] - MILLI, "task_failed"),
            activity("v7", starts[3] + 2 * HOUR, "task_failed"),
        ]
    )
    found = await buckets(client, hours=4, buckets=4)
    # The clock may have gone over to the next hour meanwhile.
    by_start = {bucket.pop("start"): bucket for bucket in found["MARS"]}
    nothing = {"completed": 0, "failed": 0, "executions": 0, "avgDuration": None}
    expected = [
        {**nothing, "executions": 2, "avgDuration": 13},
        {**nothing, "executions": 1, "avgDuration": 2},
        {**nothing, "completed": 2},
        {**nothing, "failed": 1},
    ]
    for start, bucket in zip(starts, expected, strict=True):
        assert by_start.get(isoformat(start), bucket) == bucket
    assert all(bucket["executions"] == 0 for bucket in found["VENUS"])


async def test_every_name_has_a_history_and_each_page_goes_on_behind_the_last(
    client: httpx.AsyncClient, apply_lines: ApplyLines, nova_settings: Settings
) -> None:
    names = ["", " ", "MARS", "VENUS", "ä"]
    await apply_lines([agent(f"a{n}", name) for n, name in enumerate(names)])
    assert list(await buckets(client, hours=4, buckets=4)) == names
    connection = await connect(nova_settings, "test")
    span = Span.until(system_clock(), 4, 4)
    found: list[str] = []
    after: str | None = None
    while not found or after is not None:
        items, after = await agents_history(connection, span, 4, after)
        found += [item.agent_name for item in items]
    await connection.close()
    assert found == names


async def test_an_unchanged_history_is_not_sent_again(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    first = await client.get(PATH, params={"hours": 168, "buckets": 1})
    same = {"If-None-Match": first.headers["etag"]}
    again = await client.get(PATH, params={"hours": 168, "buckets": 1}, headers=same)
    assert (again.status_code, again.content) == (304, b"")
    await apply_lines([agent("a1", "MARS")])
    changed = await client.get(PATH, params={"hours": 168, "buckets": 1}, headers=same)
    assert [item["agentName"] for item in changed.json()["items"]] == ["MARS"]


@given(
    now=st.integers(0, 4_000_000_000_000).map(from_millis),
    hours=st.integers(1, 168),
    number=st.integers(1, 200),
)
def test_buckets_meet_and_the_last_one_holds_the_present(
    now: datetime, hours: int, number: int
) -> None:
    span = Span.until(now, hours, number)
    starts = span.starts()
    assert len(starts) == number + 1
    assert starts[-2] <= now < starts[-1]
    assert {b - a for a, b in pairwise(starts)} == {span.length}
    assert Span.until(now + span.length, hours, number).starts()[:-1] == starts[1:]


async def test_the_builds_figures_as_the_runs_found_them(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    (job,) = (job for job in JOBS if job.name == "refreshBuildStats")
    now = system_clock()
    times = [now - timedelta(days=40), now - timedelta(days=3), now - timedelta(hours=1)]
    for number, time in enumerate(times):
        status = "completed" if number else "failed"
        after = {"id": f"b{number}", "status": status, "startedAt": isoformat(time)}
        await apply_lines([{"entity": "builds", "after": after}])
        await run_manually(nova_settings, job, dry_run=False, as_of=time)
    items = (await client.get("/api/v1/builds/history")).json()["items"]
    assert [(i["totalBuilds"], i["failedBuilds"], i["successRate"]) for i in items] == [
        (2, 1, 50),
        (3, 1, 66.67),
    ]
    assert [item["takenAt"] for item in items] == [isoformat(time) for time in times[1:]]
    assert all(item["drift"] == 0 and item["runId"] > 0 for item in items)
    assert len((await client.get("/api/v1/builds/history?days=90")).json()["items"]) == 3


@pytest.mark.parametrize(
    "path",
    [
        "agents/history?hours=0",
        "agents/history?hours=169",
        "agents/history?buckets=0",
        "agents/history?buckets=201",
        "agents/history?hours=1.5",
        "builds/history?days=0",
        "builds/history?days=367",
    ],
)
async def test_spans_that_are_none(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/api/v1/{path}")).status_code == 422


async def test_only_the_rows_of_the_span_are_read(nova_settings: Settings) -> None:
    fill = """
INSERT INTO executions (id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'e' || n, 'agent ' || n % 20, 5, now() - n * interval '1 minute', n, 0, now(), 0, n, '{}'
FROM generate_series(1, 20000) n
"""
    await query(nova_settings, fill)
    await query(nova_settings, "ANALYZE executions")
    plan = await query(
        nova_settings,
        "EXPLAIN SELECT count(*) FROM executions x WHERE x.agent = 'agent 3' "
        "AND x.timestamp >= now() - interval '1 hour' AND x.timestamp < now()",
    )
    assert any("executions_agent_timestamp" in row["QUERY PLAN"] for row in plan)
    fill = """
INSERT INTO agent_activity_feed (id, timestamp, version, version_minor, changed_at, src_partition,
    src_offset, doc)
SELECT 'v' || n, now() - n * interval '1 minute', n, 0, now(), 0, n, '{}'
FROM generate_series(1, 20000) n
"""
    await query(nova_settings, fill)
    await query(nova_settings, "ANALYZE agent_activity_feed")
    asked = ENDED_TASKS.replace("$1", "(now() - interval '1 hour')")
    asked = (
        asked.replace("$2", "now()")
        .replace("$3", "'1 minute'")
        .replace("$4", "(SELECT array_agg('A' || n) FROM generate_series(1, 50) n)")
    )
    plan = await query(nova_settings, f"EXPLAIN {asked}")
    assert any("agent_activity_feed_timestamp" in row["QUERY PLAN"] for row in plan)
