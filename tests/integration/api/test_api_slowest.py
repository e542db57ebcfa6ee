"""An agent's executions that took longest in a range of time, over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
Line = dict[str, Any]

DAY = {"from": "2026-02-20T12:00:00Z", "to": "2026-02-21T12:00:00Z"}


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
    in_order = ["longest", "equal-a", "equal-b", "older-equal", "first"]
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
