"""Statistics over time, over HTTP: what was done in a range, and in each bucket of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nova_stream.clock import isoformat, to_millis
from nova_stream.storage.stats import ranges

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
Line = dict[str, Any]

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = {"from": isoformat(NOON), "to": isoformat(NOON + 24 * HOUR)}


def task(id_: str, status: str, time: datetime, seq: int, agent: str = "MARS") -> Line:
    after = {"id": id_, "agent": agent, "status": status}
    return {"entity": "tasks", "seq": seq, "ts_ms": to_millis(time), "after": after}


def execution(id_: str, time: datetime, duration: float, agent: str = "MARS") -> Line:
    after = {"id": id_, "agent": agent, "duration": duration, "timestamp": isoformat(time)}
    return {"entity": "executions", "after": after}


def build(id_: str, status: str, end: datetime, seconds: int) -> Line:
    start = end - timedelta(seconds=seconds)
    times = {"startedAt": isoformat(start), "completedAt": isoformat(end)}
    return {"entity": "builds", "after": {"id": id_, "status": status, **times}}


def agent(name: str) -> Line:
    return {"entity": "agents", "after": {"id": f"a-{name}", "name": name}}


async def got(client: httpx.AsyncClient, path: str, **params: str) -> Any:
    response = await client.get(f"/api/v1/{path}", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_task_counts_when_it_got_its_present_status(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([agent("MARS"), task("t1", "running", NOON - HOUR, 1)])
    await apply_lines([task("t1", "done", NOON, 2), task("t1", "done", NOON + HOUR, 3)])
    await apply_lines([task("t1", "done", NOON + 2 * HOUR, 4)])  # the output came
    await apply_lines([task("t2", "failed", NOON + 24 * HOUR, 1)])  # the end is not in the range
    await apply_lines([task("t3", "done", NOON, 1), task("t3", "running", NOON + HOUR, 2)])
    await apply_lines([task("t4", "done", NOON - HOUR, 1)])
    await apply_lines([task("t4", "running", NOON, 2), task("t4", "done", NOON + HOUR, 3)])
    found = await got(client, "agents/MARS/series", bucket="1h", **DAY)
    done = {item["start"]: item["completedTasks"] for item in found["items"]}
    assert {start: n for start, n in done.items() if n} == {
        isoformat(NOON): 1,
        isoformat(NOON + HOUR): 1,
    }
    stats = await got(client, "agents/MARS/stats", **DAY)
    assert (stats["completedTasks"], stats["failedTasks"], stats["successRate"]) == (2, 0, 100)
    assert stats["throughput"] == 0.083


async def test_what_is_moved_or_deleted_counts_where_it_stands_now(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([agent("MARS"), agent("VENUS"), execution("e", NOON, 5)])
    await apply_lines([task("t1", "done", NOON, 1), task("t2", "failed", NOON, 1)])
    await apply_lines([task("t1", "done", NOON + 48 * HOUR, 2, agent="VENUS")])
    deletion = {"entity": "tasks", "op": "d", "seq": 2, "before": {"id": "t2"}}
    await apply_lines([deletion, {**execution("e", NOON, 5, agent="NOBODY"), "seq": 9}])
    found = await got(client, "agents/stats", **DAY)
    rows = {
        item["agentName"]: (item["completedTasks"], item["failedTasks"], item["executions"])
        for item in found["items"]
    }
    assert rows == {"MARS": (0, 0, 0), "VENUS": (1, 0, 0)}
    overall = found["overall"]
    assert (overall["completedTasks"], overall["executions"]) == (1, 1)
    everyone = await got(client, "agents/stats", unregistered="true", **DAY)
    assert [item["agentName"] for item in everyone["items"]] == ["MARS", "NOBODY", "VENUS"]
    assert everyone["items"][1]["registered"] is False


async def test_durations_of_a_range(client: httpx.AsyncClient, apply_lines: ApplyLines) -> None:
    await apply_lines([agent("MARS")])
    empty = await got(client, "agent/stats", name="MARS", **DAY)
    assert (empty["executions"], empty["avgDuration"], empty["p50Duration"]) == (0, None, None)
    assert empty["successRate"] is None
    times = [NOON - HOUR / 60, *[NOON + n * HOUR / 60 for n in range(1, 101)], NOON + 24 * HOUR]
    await apply_lines([execution(f"e{n}", time, n + 0.5) for n, time in enumerate(times)])
    found = await got(client, "agent/stats", name="MARS", **DAY)
    shares = [found[f"p{percent}Duration"] for percent in (50, 95, 99)]
    assert (found["executions"], found["avgDuration"], shares) == (100, 51, [50.5, 95.5, 99.5])


async def test_builds_by_outcome_with_their_durations(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    ends = [NOON, NOON + HOUR, NOON + 23 * HOUR]
    await apply_lines([build(f"b{n}", "completed", end, n + 1) for n, end in enumerate(ends)])
    await apply_lines([build("b8", "failed", NOON, 9), build("b9", "running", NOON, 9)])
    found = await got(client, "builds/stats", **DAY)
    assert (found["completedBuilds"], found["failedBuilds"], found["successRate"]) == (3, 1, 75)
    assert (found["avgDurationMs"], found["p50DurationMs"], found["p99DurationMs"]) == (
        2000,
        2000,
        3000,
    )
    series = await got(client, "builds/series", bucket="12h", zone="Asia/Kathmandu", **DAY)
    assert [(item["completedBuilds"], item["failedBuilds"]) for item in series["items"]] == [
        (2, 1),
        (0, 0),
        (1, 0),
    ]
    assert series["items"][1]["start"] == "2026-02-20T18:15:00.000Z"
    assert (series["from"], series["to"]) == (DAY["from"], DAY["to"])


async def test_every_page_of_agents_is_read(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    names = [f"N{n}" for n in range(5)]
    await apply_lines([agent(name) for name in reversed(names)])
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await got(client, "agents/stats", limit="2", **cursor, **DAY)
        found += [item["agentName"] for item in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = {"cursor": page["nextCursor"]}
    assert found == names
    back = await got(client, "agents/stats", limit="2", cursor=page["prevCursor"], **DAY)
    assert [item["agentName"] for item in back["items"]] == ["N2", "N3"]
    first = await got(client, "agents/stats", limit="2", cursor=back["prevCursor"], **DAY)
    assert ([item["agentName"] for item in first["items"]], first["prevCursor"]) == (
        ["N0", "N1"],
        None,
    )


async def test_a_range_without_an_end_ends_now(client: httpx.AsyncClient) -> None:
    start = isoformat(datetime.now(UTC) - HOUR)
    found = await got(client, "builds/stats", **{"from": start})
    assert found["from"] == start < found["to"] <= isoformat(datetime.now(UTC))


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("agents/stats?to=2026-02-20", "query.from: to needs it"),
        ("agents/MARS/stats?from=2026-02-20&to=2026-02-20", "must be before to"),
        ("builds/stats?from=2999-01-01", "must be before now"),
        ("builds/stats?from=2026-02-20&to=2028-02-20", "366 days"),
        ("builds/stats?from=1969-02-20&to=1969-02-21", "1970 to 9000"),
        ("builds/stats?from=1771588800000", "allowed is ISO 8601"),
        ("tasks?from=2026", "allowed is ISO 8601"),
        ("builds/stats?from=yesterday", "query.from: it is"),
        ("agent/stats?name=MARS&from=2026-13-20", "query.from: it is"),
        ("tasks?from=yesterday", "query.from: it is"),
        ("users?to=2026-13-20", "query.to: it is"),
        ("engagement?from=yesterday", "query.from: it is"),
        ("engagement?from=2026-02-21&to=2026-02-20", "query.from: must lie before to"),
        ("stream?events=nothing", "query.events: 'nothing' is not an event"),
        ("builds/series?bucket=1h", "query.from: missing"),
        ("builds/series?from=2026-02-01&to=2026-02-20&bucket=7m", "bucket"),
        ("builds/series?from=2026-02-01&to=2026-02-20&bucket=1m", "27,360 buckets"),
        ("agents/series?from=2026-02-01&to=2026-02-20&zone=Mars", "query.zone: no time zone"),
        ("agents/series?from=2026-02-01&to=2026-02-20&zone=../etc", "query.zone: no time zone"),
        ("agents/series?from=2026-02-01&to=2026-02-20&zone=Europe", "query.zone: no time zone"),
        ("agents/series?from=2026-02-01&to=2026-02-20&zone=%00", "query.zone: no time zone"),
    ],
)
async def test_what_is_no_range(client: httpx.AsyncClient, path: str, detail: str) -> None:
    response = await client.get(f"/api/v1/{path}")
    assert response.status_code == 422, response.text
    problem = response.json()
    assert detail in problem["detail"]
    assert problem["type"] == "urn:nova-stream:invalid-request"
    assert [f"{e['field']}: {e['detail']}" for e in problem["errors"]] == [problem["detail"]]


async def test_many_names_with_many_pieces_are_read_by_rows(
    client: httpx.AsyncClient, apply_lines: ApplyLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [NOON + n * HOUR for n in range(72)]
    await apply_lines([execution(f"e{n}", time, n + 1) for n, time in enumerate(times)])
    asked = {"from": isoformat(NOON), "to": isoformat(NOON + 72 * HOUR), "zone": "Asia/Kolkata"}
    pieces = await got(client, "agents/series", bucket="1d", **asked)
    assert pieces["percentileError"] == 0.01
    monkeypatch.setattr(ranges, "_LOOKUPS", -1)
    rows = await got(client, "agents/series", bucket="1d", **(asked | {"to": isoformat(times[-1])}))
    assert rows["percentileError"] == 0
    for of_pieces, of_rows in zip(pieces["items"][:-1], rows["items"][:-1], strict=True):
        for figure in ("start", "end", "executions", "avgDuration"):
            assert of_pieces[figure] == of_rows[figure]
        assert of_pieces["p95Duration"] == pytest.approx(of_rows["p95Duration"], rel=0.01)
    assert sum(item["executions"] for item in pieces["items"]) == 72


async def test_names_that_nobody_has(client: httpx.AsyncClient, apply_lines: ApplyLines) -> None:
    await apply_lines([task("t1", "done", NOON, 1, agent="NOBODY")])
    for path in ("agents/NOBODY/stats", "agents/NOBODY/series", "agents/x%00/series"):
        response = await client.get(f"/api/v1/{path}", params=DAY)
        assert response.status_code == 404
    found = await got(client, "agent/series", name="NOBODY", unregistered="true", **DAY)
    assert sum(item["completedTasks"] for item in found["items"]) == 1
    assert len(found["items"]) == 24


async def test_an_unchanged_series_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/api/v1/builds/series", params=DAY)
    same = {"If-None-Match": first.headers["etag"]}
    assert (await client.get("/api/v1/builds/series", params=DAY, headers=same)).status_code == 304
