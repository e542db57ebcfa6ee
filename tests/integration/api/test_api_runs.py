"""The runs of all jobs over HTTP: in the order of time, filtered, and summed up by job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nova_stream.clock import isoformat
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import Settings
from tests.integration.api.test_api_jobs import register
from tests.integration.jobs.stubs import query

pytestmark = pytest.mark.integration

NIGHT = datetime(2026, 2, 20, 0, tzinfo=UTC)
INSERT = """
INSERT INTO job_runs (job, kind, slot, outcome, scheduled_at, started_at, counts)
VALUES ($1, 'slot', $2, $3, $2, CASE WHEN $3 <> 'missed' THEN $2::timestamptz END, $4::json)
"""
#: Job, minutes after midnight, outcome, what it counted.
LINES = (
    ("markInactiveUsers", 60, "ok", '{"newlyInactive": 2}'),
    ("cleanupOldActivity", 0, "ok", '{"deleted": 3, "forgotten": 0}'),
    ("cleanupOldActivity", 60, "missed", None),
    ("cleanupOldActivity", 120, "late", '{"deleted": 4, "forgotten": 1}'),
    ("cleanupOldActivity", 180, "failed", None),
    ("goneFromHere", 30, "ok", None),
)


@pytest.fixture
async def told(client: httpx.AsyncClient, nova_settings: Settings) -> httpx.AsyncClient:
    for job, minutes, outcome, counts in LINES:
        await query(nova_settings, INSERT, job, NIGHT + timedelta(minutes=minutes), outcome, counts)
    return client


async def asked(client: httpx.AsyncClient, **parameters: Any) -> list[tuple[str, str]]:
    """Job and outcome of every line, over pages of two."""
    found: list[tuple[str, str]] = []
    cursor: dict[str, str] = {}
    while True:
        response = await client.get("/api/v1/runs", params={"limit": 2, **parameters, **cursor})
        assert response.status_code == 200, response.text
        page = response.json()
        found += [(run["job"], run["outcome"]) for run in page["items"]]
        if page["nextCursor"] is None:
            return found
        cursor = {"cursor": page["nextCursor"]}


async def test_all_jobs_runs_stand_in_the_order_of_time(told: httpx.AsyncClient) -> None:
    found = await asked(told)
    # Of two that were due at one time, the one with the higher number comes first.
    assert found == [
        ("cleanupOldActivity", "failed"),
        ("cleanupOldActivity", "late"),
        ("cleanupOldActivity", "missed"),
        ("markInactiveUsers", "ok"),
        ("goneFromHere", "ok"),
        ("cleanupOldActivity", "ok"),
    ]
    assert await asked(told, job="markInactiveUsers") == [("markInactiveUsers", "ok")]
    assert await asked(told, outcome="failed,missed") == [found[0], found[2]]
    span = {"from": isoformat(NIGHT + timedelta(hours=1)), "to": "2026-02-20T03:00:00Z"}
    assert await asked(told, **span) == found[1:4]
    assert await asked(told, job="nobody") == []


@pytest.mark.parametrize("outcome", ["good", "ok,good", "ok,", ""])
async def test_an_outcome_that_is_none_is_refused(client: httpx.AsyncClient, outcome: str) -> None:
    response = await client.get("/api/v1/runs", params={"outcome": outcome})
    assert response.status_code == 422
    assert "'timed_out'" in response.json()["detail"]


async def test_what_each_job_did_is_summed_up(told: httpx.AsyncClient) -> None:
    response = await told.get("/api/v1/runs/summary")
    items = response.json()["items"]
    by_job = {item.pop("job"): item for item in items}
    assert list(by_job) == [*(job.name for job in JOBS), "goneFromHere"]
    cleaned = by_job["cleanupOldActivity"]
    last = cleaned.pop("lastRun")
    assert (last["outcome"], last["scheduledAt"]) == ("failed", "2026-02-20T03:00:00.000Z")
    assert cleaned == {
        "good": 2,
        "bad": 2,
        "skipped": 0,
        "dryRuns": 0,
        "unended": 0,
        "missing": 0,
        "counts": {"deleted": 7, "forgotten": 1},
    }
    idle = by_job["healthCheck"]
    assert (idle["good"], idle["bad"], idle["counts"], idle["lastRun"]) == (0, 0, {}, None)

    span = {"to": "2026-02-20T01:00:00Z"}
    early = (await told.get("/api/v1/runs/summary", params=span)).json()["items"]
    counts = {item["job"]: (item["good"], item["counts"]) for item in early if item["good"]}
    assert counts == {
        "cleanupOldActivity": (1, {"deleted": 3, "forgotten": 0}),
        "goneFromHere": (1, {}),
    }


async def test_a_slot_without_a_line_is_missing(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    await register(nova_settings)
    await query(nova_settings, "UPDATE job_settings SET expected_from = now() - interval '1 day'")
    items = (await client.get("/api/v1/runs/summary")).json()["items"]
    missing = {item["job"]: item["missing"] for item in items}
    # A slot is missing only after the minutes within which it may be late.
    assert 46 <= missing["healthCheck"] <= 48
    assert 23 <= missing["cleanupOldActivity"] <= 24

    query_ = {"to": isoformat(datetime.now(UTC) - timedelta(hours=12))}
    items = (await client.get("/api/v1/runs/summary", params=query_)).json()["items"]
    assert 22 <= {item["job"]: item["missing"] for item in items}["healthCheck"] <= 25
