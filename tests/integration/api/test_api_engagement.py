"""Engagement over HTTP: the figures of the last run, in a range that is bounded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nova_stream.api.budget.budget import ENGAGEMENT
from nova_stream.events.times import time_text
from nova_stream.jobs import summarize_engagement
from nova_stream.settings import Settings
from tests.integration.jobs.work import Runs

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

PATH = "/api/v1/engagement"
NOW = datetime(2026, 2, 20, 2, tzinfo=UTC)


async def get(client: httpx.AsyncClient, **params: str) -> dict[str, Any]:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def count(settings: Settings, apply_lines: ApplyLines, days: Iterable[int]) -> None:
    lines: list[dict[str, Any]] = [{"entity": "users", "after": {"id": "p", "userId": "ann"}}]
    for ago in days:
        after = {"id": f"a{ago}", "userId": "ann", "timestamp": time_text(NOW - timedelta(ago))}
        lines.append({"entity": "activities", "after": after})
    await apply_lines(lines)
    await Runs(settings).run(summarize_engagement.run_once, NOW)


async def test_the_figures_of_a_range(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    nothing = {"days": [], "retention": [], "churn": [], "inactiveUsers": 0, "countedAt": None}
    assert await get(client) == nothing

    await count(nova_settings, apply_lines, [1, 15, 45])
    found = await get(client, **{"from": "2026-01-01", "to": "2026-02-20"})
    assert found["countedAt"] == "2026-02-20T02:00:00.000Z"
    assert [day["day"] for day in found["days"]][:2] == ["2026-01-06", "2026-01-07"]
    assert found["days"][-1] == {
        "day": "2026-02-19",
        "dau": 1,
        "wau": 1,
        "mau": 1,
        "newUsers": 0,
        "returningUsers": 1,
        "returned": 0,
    }
    assert found["retention"][0] == {
        "cohortWeek": "2026-01-05",
        "week": 0,
        "users": 1,
        "retained": 1,
    }
    assert found["churn"] == [
        {"month": "2026-01-01", "active": 1, "activeBefore": 0, "churned": 0, "rate": 0}
    ]
    exact = await get(client, **{"from": "2026-02-04T00:00:00.001Z", "to": "2026-02-06T00:01:00Z"})
    assert [day["day"] for day in exact["days"]] == ["2026-02-05", "2026-02-06"]
    assert (await get(client, **{"from": "2026-02-06", "to": "2026-02-06"}))["days"] == []


async def test_the_longest_range_is_within_its_budget(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await count(nova_settings, apply_lines, range(1, 400))
    # Somebody is new in every week.
    await Runs(nova_settings).execute(
        "INSERT INTO engagement_cohorts SELECT c, n, 1, 1 FROM"
        " generate_series(date '2025-01-06', '2026-02-09', '1 week') c, generate_series(0, 60) n"
        " ON CONFLICT DO NOTHING"
    )
    found = await get(client, **{"from": "2025-01-16", "to": "2026-02-20"})
    rows = sum(len(found[name]) for name in ("days", "retention", "churn"))
    assert 2000 < rows <= ENGAGEMENT.rows


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2024-01-01", "to": "2026-01-01"},
        {"from": "2026-01-02", "to": "2026-01-01"},
        {"from": "yesterday"},
        {"to": "9999-12-31T23:00:00Z"},
        {"from": "0001-01-01"},
    ],
)
async def test_a_range_that_cannot_be_is_refused(
    client: httpx.AsyncClient, params: dict[str, str]
) -> None:
    response = await client.get(PATH, params=params)
    assert response.status_code == 422, response.text
    assert response.json()["type"] == "urn:nova-stream:invalid-request"
