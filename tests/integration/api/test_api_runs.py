"""The runs of all jobs over HTTP: in the order of time, filtered, and summed up by job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nova_stream.clock import isoformat
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import Settings
from nova_stream.storage.jobs.rows import Ended, How, Outcome
from tests.integration.api.test_api_jobs import register
from tests.integration.jobs.stubs import query

pytestmark = pytest.mark.integration

NIGHT = datetime(2026, 2, 20, 0, tzinfo=UTC)
INSERT = """
INSERT INTO job_runs
    (job, kind, slot, outcome, late, scheduled_at, started_at, counts, result, lease_until)
VALUES ($1, $5, CASE WHEN $5 = 'slot' THEN $2::timestamptz END, $3,
    coalesce($3 = 'late', false), $2,
    CASE WHEN $3 <> 'missed' THEN $2::timestamptz END, $4::json, $4::json,
    CASE WHEN $3 IS NULL THEN now() END)
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


NONE = {"wentWell": 0, "wentWrong": 0, "skipped": 0, "missed": 0, "running": 0}


@pytest.fixture
async def told(client: httpx.AsyncClient, nova_settings: Settings) -> httpx.AsyncClient:
    for job, minutes, outcome, counts in LINES:
        await put(nova_settings, job, minutes, outcome, counts)
    return client


async def put(
    settings: Settings,
    job: str,
    minutes: int,
    outcome: str | None,
    counts: str | None = None,
    kind: str = "slot",
) -> None:
    at = NIGHT + timedelta(minutes=minutes)
    await query(settings, INSERT, job, at, outcome, counts, kind)


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
        "scheduled": NONE | {"wentWell": 1, "wentWrong": 1, "missed": 1},
        "caughtUp": NONE | {"wentWell": 1},
        "byHand": NONE,
        "dryRun": NONE,
        "did": "7 activities deleted",
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


#: Every outcome that is stored and every kind that has it, with how it was started and ended.
EVERY = (
    ("slot", "ok", "scheduled", "went_well"),
    ("slot", "late", "caught_up", "went_well"),
    ("slot", "failed", "scheduled", "went_wrong"),
    ("slot", "timed_out", "scheduled", "went_wrong"),
    ("slot", "skipped_overlap", "scheduled", "skipped"),
    ("slot", "skipped_paused", "scheduled", "skipped"),
    ("slot", "missed", "scheduled", "missed"),
    ("slot", None, "scheduled", "running"),
    ("manual", "manual", "by_hand", "went_well"),
    ("manual", "failed", "by_hand", "went_wrong"),
    ("manual", None, "by_hand", "running"),
    ("dry_run", "dry_run", "dry_run", "went_well"),
    ("dry_run", "timed_out", "dry_run", "went_wrong"),
)


async def test_how_a_run_was_started_and_how_it_ended_are_two_things(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    for minutes, (kind, outcome, _, _) in enumerate(EVERY):
        await put(nova_settings, "healthCheck", minutes, outcome, None, kind)
    assert {outcome for _, outcome, _, _ in EVERY} == {*Outcome, None}

    for path in ("/api/v1/runs", "/api/v1/jobs/healthCheck/runs"):

        async def asked_for(path: str = path, **query_: str) -> list[tuple[Any, ...]]:
            items = (await client.get(path, params=query_)).json()["items"]
            return [(run["outcome"], run["how"], run["ended"]) for run in reversed(items)]

        every = [line[1:] for line in EVERY]
        assert await asked_for() == every
        for how in How:
            assert await asked_for(how=how) == [line for line in every if line[1] == how]
        for ended in Ended:
            assert await asked_for(ended=ended) == [line for line in every if line[2] == ended]
        assert await asked_for(how="by_hand,dry_run", ended="went_wrong") == [every[9], every[12]]
        assert await asked_for(outcome="manual") == [every[8]]
        assert (await client.get(path, params={"ended": "ok"})).status_code == 422

    items = (await client.get("/api/v1/runs/summary")).json()["items"]
    found = next(item for item in items if item["job"] == "healthCheck")
    assert found["scheduled"] == {
        "wentWell": 1,
        "wentWrong": 2,
        "skipped": 2,
        "missed": 1,
        "running": 1,
    }
    assert found["caughtUp"] == NONE | {"wentWell": 1}
    assert found["byHand"] == NONE | {"wentWell": 1, "wentWrong": 1, "running": 1}
    assert found["dryRun"] == NONE | {"wentWell": 1, "wentWrong": 1}
    # All together, as before.
    together = {name: found[name] for name in ("good", "bad", "skipped", "dryRuns", "unended")}
    assert together == {"good": 3, "bad": 5, "skipped": 2, "dryRuns": 1, "unended": 2}


async def test_a_run_says_what_it_did(told: httpx.AsyncClient, nova_settings: Settings) -> None:
    await put(nova_settings, "cleanupOldActivity", 240, "skipped_overlap")
    await put(nova_settings, "cleanupOldActivity", 300, "dry_run", '{"deleted": 1234}', "dry_run")
    items = (await told.get("/api/v1/jobs/cleanupOldActivity/runs")).json()["items"]
    assert [run["did"] for run in items] == [
        "Dry run: 1,234 activities deleted",
        "Skipped: the run before it went on",
        None,  # its error says what went wrong
        "4 activities deleted",
        "Nobody ran it",
        "3 activities deleted",
    ]
