"""An agent's executions that took longest in a range of time, over HTTP."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nova_stream.clock import isoformat

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
Line = dict[str, Any]

DAY = {"from": "2026-02-20T12:00:00Z", "to": "2026-02-21T12:00:00Z"}
EVERY = {"unregistered": "true", **DAY}


def execution(id_: str, time: str, duration: float | None, agent: str = "MARS") -> Line:
    after = {"id": id_, "agent": agent, "duration": duration, "timestamp": time, "error": "lost"}
    return {"entity": "executions", "seq": 1, "after": after}


async def slowest(client: httpx.AsyncClient, **params: str) -> list[dict[str, Any]]:
    given = {"name": "MARS", "unregistered": "true", **DAY, **params}
    response = await client.get("/api/v1/agent/slowest", params=given)
    assert response.status_code == 200, response.text
    return list(response.json()["items"])


async def test_the_longest_of_the_range_come_first(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines(
        [
            execution("too-early", "2026-02-20T11:59:59.999Z", 900),
            execution("first", "2026-02-20T12:00:00Z", 5),
            execution("older-equal", "2026-02-20T13:00:00Z", 70),
            execution("equal-b", "2026-02-20T14:00:00Z", 70),
            execution("equal-a", "2026-02-20T14:00:00Z", 70),
            execution("longest", "2026-02-21T11:59:59.999Z", 80.5),
            execution("untimed", "2026-02-20T14:00:00Z", None),
            execution("too-late", "2026-02-21T12:00:00Z", 900),
            execution("other", "2026-02-20T14:00:00Z", 900, agent="VENUS"),
        ]
    )
    deletion = {"entity": "executions", "op": "d", "seq": 2, "before": {"id": "longest"}}
    in_order = ["longest", "equal-b", "equal-a", "older-equal", "first"]
    found = await slowest(client)
    assert [row["id"] for row in found] == in_order
    assert (found[0]["duration"], found[0]["error"]) == (80.5, "lost")
    for limit in (1, 2, 3, 4):
        assert [r["id"] for r in await slowest(client, limit=str(limit))] == in_order[:limit]
    await apply_lines([deletion])
    assert [row["id"] for row in await slowest(client)] == in_order[1:]


async def test_a_range_and_a_known_name_are_needed(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([execution("e", "2026-02-20T12:00:00Z", 5)])
    assert (await client.get("/api/v1/agents/MARS/slowest")).status_code == 422
    for name in ("MARS", "a\x00b"):  # the first has no registered agent
        response = await client.get("/api/v1/agent/slowest", params={"name": name, **DAY})
        assert (response.status_code, response.json()["type"].rpartition(":")[2]) == (
            404,
            "unknown-agent",
        )


async def listed(client: httpx.AsyncClient, **params: str) -> list[str]:
    """The ids of the list, all pages, which are the same read back."""
    pages = [page := await _page(client, params)]
    while page["nextCursor"]:
        pages.append(page := await _page(client, {**params, "cursor": page["nextCursor"]}))
    ids = [row["id"] for page in pages for row in page["items"]]
    back = [row["id"] for row in page["items"]]
    while page["prevCursor"]:
        page = await _page(client, {**params, "cursor": page["prevCursor"]})
        back = [row["id"] for row in page["items"]] + back
    assert back == ids
    return ids


async def _page(client: httpx.AsyncClient, params: dict[str, str]) -> Any:
    response = await client.get("/api/v1/executions", params=params)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("seed", range(5))
async def test_as_many_got_slower_as_the_list_has(
    client: httpx.AsyncClient, apply_lines: ApplyLines, seed: int
) -> None:
    dice = random.Random(seed)
    hours = dice.choice([24, 72])  # the longer one has whole days: percentiles of histograms
    start = datetime(2026, 2, 20, 12, tzinfo=UTC)
    end = start + timedelta(hours=hours)
    rows = []
    for number in range(80):
        time = start + timedelta(hours=dice.uniform(-hours, hours))
        duration = dice.choice([None, dice.randrange(5000), dice.uniform(0, 5000), 2000])
        rows.append((f"e{number}", time, duration))
    await apply_lines([execution(id_, isoformat(time), duration) for id_, time, duration in rows])
    asked = {"from": isoformat(start), "to": isoformat(end)}
    params = {"name": "MARS", "unregistered": "true", "limit": "500", **asked}
    found = (await client.get("/api/v1/agent/slowest", params=params)).json()

    timed = {
        id_: duration for id_, time, duration in rows if time >= start and duration is not None
    }
    least = found["minDuration"]
    assert least > found["p95Before"] >= least - 1
    longer = {id_ for id_, duration in timed.items() if duration >= least}
    assert (found["executions"], found["slower"]) == (len(timed), len(longer))
    filters = {"agent": "MARS", **asked, "minDuration": str(least), "limit": "7"}
    in_order = await listed(client, **filters, order="-duration")
    assert set(in_order) == set(await listed(client, **filters)) == longer
    assert in_order == [row["id"] for row in found["items"]][: len(longer)]


async def test_an_agent_is_compared_with_as_much_time_right_before(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    before = [execution(f"b{n}", "2026-02-20T11:59:59.999Z", n) for n in range(1, 101)]
    now = [execution(f"n{n}", "2026-02-20T12:00:00Z", 2 * n) for n in range(1, 101)]
    out = [execution("out", "2026-02-19T11:59:59.999Z", 9999)]
    few = [
        execution("f1", "2026-02-20T11:00:00Z", 1, "FEW"),
        *(execution(f"f{n}", "2026-02-20T13:00:00Z", 100, "FEW") for n in range(2, 60)),
    ]
    lone = [execution("only", "2026-02-20T13:00:00Z", 7, "NEW")]
    faster = [execution(f"v{n}", "2026-02-20T11:00:00Z", 10, "VENUS") for n in range(30)]
    faster += [execution(f"w{n}", "2026-02-20T13:00:00Z", 5, "VENUS") for n in range(30)]
    await apply_lines([*before, *now, *out, *few, *lone, *faster])
    one = (await client.get("/api/v1/agent/slowest", params={"name": "MARS", **EVERY})).json()
    sides = {
        "executions": 100,
        "executionsBefore": 100,
        "p95": 190,
        "p95Before": 95,
        "change": 100,
        "few": False,
    }
    assert one | sides == one
    assert (one["minDuration"], one["slower"]) == (96, 53)
    assert one["beforeFrom"] == "2026-02-19T12:00:00.000Z"
    found = (await client.get("/api/v1/agents/comparison", params=EVERY)).json()
    assert found["items"][0] == sides | {
        "agentId": None,
        "agentName": "MARS",
        "role": None,
        "registered": False,
    }
    shown = [(row["agentName"], row["change"], row["few"]) for row in found["items"]]
    assert shown == [
        ("MARS", 100, False),
        ("VENUS", -50, False),
        ("FEW", 9900, True),
        ("NEW", None, True),
    ]
    assert not found["more"]
    short = (await client.get("/api/v1/agents/comparison", params={**EVERY, "limit": "1"})).json()
    assert ([row["agentName"] for row in short["items"]], short["more"]) == (["MARS"], True)
    registered = {**EVERY, "unregistered": "false"}
    found = (await client.get("/api/v1/agents/comparison", params=registered)).json()
    assert found["items"] == []


async def test_without_anything_before_nothing_is_called_slower(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([execution("e", "2026-02-20T12:00:00Z", 5)])
    found = (await client.get("/api/v1/agent/slowest", params={"name": "MARS", **EVERY})).json()
    nothing = {"p95Before": None, "change": None, "minDuration": None, "slower": None, "few": True}
    assert found | nothing == found
    assert [row["id"] for row in found["items"]] == ["e"]
    since = {**EVERY, "name": "MARS", "from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z"}
    first = (await client.get("/api/v1/agent/slowest", params=since)).json()
    assert first["beforeFrom"] == first["from"]


@pytest.mark.parametrize("value", ["1.5", "-1", "NaN", "Infinity", "1e3", "", "9007199254740993"])
async def test_a_least_duration_is_a_whole_number_of_milliseconds(
    client: httpx.AsyncClient, value: str
) -> None:
    response = await client.get("/api/v1/executions", params={"minDuration": value})
    assert response.status_code == 422
    assert response.json()["detail"].startswith("query.minDuration: ")


async def test_the_order_by_duration_needs_an_agent_and_a_range(
    client: httpx.AsyncClient,
) -> None:
    refused = [
        ({**DAY}, "query.order: -duration needs agent"),
        ({"agent": "MARS"}, "query.order: -duration needs from"),
        ({"agent": "MARS", "from": "2020-01-01", "to": "2026-01-01"}, "query.from: a range has"),
        ({"agent": "MARS", **DAY, "order": "duration"}, "query.order: "),
        ({"agent": "MARS", **DAY, "cursor": "x"}, "cursor: not a nextCursor"),
    ]
    for params, detail in refused:
        given: dict[str, str] = {"order": "-duration", **params}
        response = await client.get("/api/v1/executions", params=given)
        assert response.status_code == 422, params
        assert response.json()["detail"].startswith(detail), response.text
    assert (await client.get("/api/v1/agents/comparison")).status_code == 422


async def test_a_cursor_of_one_order_is_none_of_the_other(
    client: httpx.AsyncClient, apply_lines: ApplyLines
) -> None:
    await apply_lines([execution(f"e{n}", "2026-02-20T12:00:00Z", n) for n in range(3)])
    asked = {"agent": "MARS", **DAY, "limit": "1"}
    for one, other in (("-duration", "-timestamp"), ("-timestamp", "-duration")):
        cursor = (await _page(client, {**asked, "order": one}))["nextCursor"]
        params = {**asked, "order": other, "cursor": cursor}
        response = await client.get("/api/v1/executions", params=params)
        assert response.status_code == 422
        assert "it belongs to another list" in response.json()["detail"]
    table = await client.get(
        "/api/v1/executions", params={**asked, "order": "-duration", "format": "csv"}
    )
    assert 'rel="next"' in table.headers["Link"]
    assert table.text.splitlines()[1].startswith("e2,")
