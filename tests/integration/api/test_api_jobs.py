"""Jobs over HTTP: how they are doing, their runs, running, pausing and undoing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from nova_stream.clock import isoformat, system_clock
from nova_stream.jobs import registry
from nova_stream.jobs.engine.manual import run_manually
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.engine.scheduler import Scheduler
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import Settings
from nova_stream.storage.jobs.rows import Outcome
from tests.integration.jobs.stubs import query
from tests.integration.stream.harness import until

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

NAMES = [job.name for job in JOBS]
BY_NAME = {job.name: job for job in JOBS}
INSERT = """
INSERT INTO job_runs (job, kind, slot, outcome, scheduled_at, started_at, ended_at, duration_ms)
SELECT $1, CASE WHEN $3 = 'manual' THEN 'manual' ELSE 'slot' END,
    CASE WHEN $3 <> 'manual' THEN $2::timestamptz END, $3::text, $2,
    CASE WHEN $3 NOT IN ('missed', 'skipped_paused') THEN $2::timestamptz END, $2, $4
"""
START = datetime(2026, 2, 20, 12, tzinfo=UTC)


async def listed(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    items = (await client.get("/api/v1/jobs")).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["name"] == name)
    return found


async def add_runs(settings: Settings, *outcomes: str, job: str = "healthCheck") -> None:
    """A slot a minute, the first named first; each takes 100 ms."""
    for number, outcome in enumerate(outcomes):
        slot = START + timedelta(minutes=number, microseconds=number)
        await query(settings, INSERT, job, slot, outcome, 100.0)


async def register(settings: Settings) -> None:
    scheduler = Scheduler(settings, JOBS, system_clock, JobMetrics(CollectorRegistry()))
    await scheduler.ledger.register()
    scheduler.ledger.close()


async def test_before_the_first_worker_jobs_are_as_they_would_begin(
    client: httpx.AsyncClient,
) -> None:
    body = (await client.get("/api/v1/jobs")).json()
    assert [item["name"] for item in body["items"]] == NAMES
    first = body["items"][1]
    assert datetime.fromisoformat(first.pop("nextRun")) > system_clock()
    assert first == {
        "name": "computeAgentStats",
        "description": BY_NAME["computeAgentStats"].description,
        "schedule": "*/5 * * * *",
        "paused": False,
        "pausedAt": None,
        "pausedReason": None,
        "lastRun": None,
        "running": None,
        "lastSuccessAt": None,
        "medianDurationMs": None,
        "medianQueryMs": None,
        "successRate": None,
        "runs": 0,
        "undoable": False,
        "late": False,
    }


async def test_a_job_that_ran(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    await register(nova_settings)
    await run_manually(nova_settings, BY_NAME["computeAgentStats"], dry_run=False, as_of=START)
    job = await listed(client, "computeAgentStats")
    run = job["lastRun"]
    assert (run["outcome"], run["state"], run["trigger"]) == ("manual", "ended", "manual")
    assert (run["dryRun"], run["slot"], run["at"]) == (False, None, "2026-02-20T12:00:00.000Z")
    assert run["result"] == {
        "computed": 0,
        "timestamp": "2026-02-20T12:00:00.000Z",
        "drift": 0,
        "driftByFigure": {},
        "differences": [],
    }
    assert (job["successRate"], job["runs"], job["running"]) == (100.0, 1, None)
    assert job["lastSuccessAt"] == run["endedAt"]
    assert 0 < run["queryMs"] <= run["durationMs"]
    path = f"/api/v1/jobs/computeAgentStats/runs/{run['runId']}"
    assert (await client.get(path)).json() == run
    assert (await client.get(path.replace("computeAgentStats", "healthCheck"))).status_code == 404


async def test_the_figures_are_those_that_alerts_go_by(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    await register(nova_settings)
    await add_runs(nova_settings, *["ok"] * 6, "failed", "missed", "ok", "skipped_paused")
    job = await listed(client, "healthCheck")
    assert (job["successRate"], job["runs"]) == (87.5, 8)
    assert job["medianDurationMs"] == 100
    assert job["lastRun"]["outcome"] == "ok"


async def test_a_job_is_late_when_a_slot_has_no_line(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    await register(nova_settings)
    assert not (await listed(client, "computeAgentStats"))["late"]
    back = "UPDATE job_settings SET expected_from = now() - interval '20 minutes' WHERE job = $1"
    await query(nova_settings, back, "computeAgentStats")
    assert (await listed(client, "computeAgentStats"))["late"]
    assert not (await listed(client, "compactOldExecutions"))["late"]


async def test_a_run_under_way_and_one_that_nobody_holds_any_more(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    await register(nova_settings)
    held = """
INSERT INTO job_runs (job, kind, scheduled_at, started_at, worker, lease_until)
VALUES ('healthCheck', 'manual', now(), now(), 'w1', now() + interval '1 minute')
"""
    await query(nova_settings, held)
    await client.post("/api/v1/jobs/healthCheck/run")
    job = await listed(client, "healthCheck")
    assert (job["running"]["state"], job["running"]["worker"]) == ("running", "w1")
    assert (job["lastRun"], job["late"]) == (None, False)
    lost = "UPDATE job_runs SET lease_until = now() - interval '10 minutes' WHERE worker = 'w1'"
    await query(nova_settings, lost)
    assert (await listed(client, "healthCheck"))["late"]


async def test_runs_page_by_page_while_new_ones_come(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    given = ["ok", "failed", "missed", "ok", "timed_out", "late"]
    await add_runs(nova_settings, *given)
    await add_runs(nova_settings, "ok", job="markInactiveUsers")
    # Several of one instant: the id decides.
    await query(nova_settings, INSERT, "healthCheck", START, "manual", 1.0)
    path, seen, cursor = "/api/v1/jobs/healthCheck/runs", [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(path, params=params)).json()
        seen += [item["outcome"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
        await query(nova_settings, INSERT, "healthCheck", system_clock(), "ok", 1.0)
    assert seen == ["late", "timed_out", "ok", "missed", "failed", "manual", "ok"]
    for outcome in Outcome:
        found = (await client.get(path, params={"outcome": outcome.value})).json()["items"]
        assert {item["outcome"] for item in found} <= {outcome.value}
        assert bool(found) == (outcome.value in seen)


async def test_a_run_that_is_asked_for_is_made_by_a_worker(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    body = {"at": "2026-02-20T13:00:00+01:00", "dryRun": True}
    response = await client.post("/api/v1/jobs/refreshBuildStats/run", json=body)
    assert response.status_code == 202
    run = response.json()
    location = response.headers["location"]
    assert location == f"/api/v1/jobs/refreshBuildStats/runs/{run['runId']}"
    assert (run["state"], run["dryRun"], run["at"]) == ("pending", True, isoformat(START))
    assert (await listed(client, "refreshBuildStats"))["running"] is None  # no worker knows it yet

    scheduler = Scheduler(nova_settings, JOBS, system_clock, JobMetrics(CollectorRegistry()))

    async def ended() -> dict[str, Any] | None:
        await scheduler.tick()
        found: dict[str, Any] = (await client.get(location)).json()
        return found if found["state"] == "ended" else None

    found = await until("the run has ended", ended)
    await scheduler.close()
    assert (found["outcome"], found["result"]["timestamp"]) == ("dry_run", isoformat(START))
    assert found["runId"] == (await listed(client, "refreshBuildStats"))["lastRun"]["runId"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 202),
        (b"{}", 202),
        (b'{"at": null, "dryRun": false}', 202),
        (b'{"at": "yesterday"}', 422),
        (b'{"at": "0001-01-01T00:00:00+14:00"}', 422),
        (b'{"at": "9999-12-31T23:59:59-14:00"}', 422),
        (b'{"at": true}', 422),
        (b'{"dryRun": 1}', 422),
        (b'{"dry_run": true}', 422),
        (b"[]", 422),
        (b"{", 422),
    ],
)
async def test_how_a_run_may_be_asked_for(
    client: httpx.AsyncClient, body: bytes, status: int
) -> None:
    response = await client.post("/api/v1/jobs/healthCheck/run", content=body)
    assert response.status_code == status, response.text


async def test_pause_and_resume(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    await register(nova_settings)
    path = "/api/v1/jobs/cleanupOldActivity"
    paused = await client.post(f"{path}/pause", json={"reason": "the archive moves"})
    assert paused.status_code == 200
    assert paused.json()["paused"]
    job = await listed(client, "cleanupOldActivity")
    assert (job["paused"], job["pausedReason"]) == (True, "the archive moves")

    again = (await client.post(f"{path}/pause")).json()
    assert (again["pausedAt"], again["pausedReason"]) == (job["pausedAt"], "the archive moves")

    resumed = (await client.post(f"{path}/resume")).json()
    assert (resumed["paused"], resumed["pausedAt"], resumed["pausedReason"]) == (False, None, None)
    assert (await client.post(f"{path}/resume")).status_code == 200


@pytest.mark.parametrize("reason", ["x" * 501, 7, "\x00"])
async def test_reasons_that_are_none(client: httpx.AsyncClient, reason: object) -> None:
    response = await client.post("/api/v1/jobs/healthCheck/pause", json={"reason": reason})
    assert response.status_code == 422
    assert not (await listed(client, "healthCheck"))["paused"]


async def test_what_a_cleanup_deleted_is_put_back(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    old = {"id": "v1", "timestamp": "2026-02-01T12:00:00.000Z", "details": "old"}
    await apply_lines([{"entity": "activities", "after": old}])
    await run_manually(nova_settings, BY_NAME["cleanupOldActivity"], dry_run=False, as_of=START)
    assert (await client.get("/api/v1/activity")).json()["items"] == []
    path = "/api/v1/jobs/cleanupOldActivity/runs"
    run = (await client.get(path)).json()["items"][0]["runId"]

    response = await client.post(f"{path}/{run}/undo")
    assert (response.status_code, response.json()) == (200, {"restored": 1})
    assert [v["id"] for v in (await client.get("/api/v1/activity")).json()["items"]] == ["v1"]
    assert (await client.post(f"{path}/{run}/undo")).json() == {"restored": 0}
    assert (await client.post(f"{path}/{run + 1}/undo")).status_code == 404


async def test_what_cannot_be_undone(client: httpx.AsyncClient, nova_settings: Settings) -> None:
    await add_runs(nova_settings, "ok", job="healthCheck")
    await add_runs(nova_settings, "ok", job="cleanupOldActivity")
    kinds = {}
    for job in ("healthCheck", "cleanupOldActivity"):
        path = f"/api/v1/jobs/{job}/runs"
        run = (await client.get(path)).json()["items"][0]["runId"]
        response = await client.post(f"{path}/{run}/undo")
        assert response.status_code == 409
        kinds[job] = response.json()["type"].rpartition(":")[2]
    assert kinds == {"healthCheck": "not-undoable", "cleanupOldActivity": "nothing-to-undo"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nothing/runs"),
        ("GET", "nothing/runs/1"),
        ("POST", "nothing/run"),
        ("POST", "nothing/pause"),
        ("POST", "nothing/resume"),
        ("POST", "nothing/runs/1/undo"),
    ],
)
async def test_an_unknown_job_is_told_with_the_known_ones(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    response = await client.request(method, f"/api/v1/jobs/{path}")
    assert response.status_code == 404
    problem = response.json()
    assert problem["type"] == "urn:nova-stream:unknown-job"
    assert all(name in problem["detail"] for name in NAMES)


@pytest.mark.parametrize(
    "query_string",
    [
        "cursor=x",
        "cursor=WzFd",
        "cursor=Wy05MDAwMDAwMDAwMDAwMDAwMDAwLDFd",
        "outcome=odd",
        "limit=0",
    ],
)
async def test_wrong_queries(client: httpx.AsyncClient, query_string: str) -> None:
    response = await client.get(f"/api/v1/jobs/healthCheck/runs?{query_string}")
    assert response.status_code == 422


async def test_an_eighth_job_is_a_row_of_the_registry(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    eighth = msgspec.structs.replace(JOBS[-1], name="eighth")
    monkeypatch.setattr(registry, "JOBS", (*JOBS, eighth))
    items = (await client.get("/api/v1/jobs")).json()["items"]
    assert [item["name"] for item in items] == [*NAMES, "eighth"]
    assert (await client.get("/api/v1/jobs/eighth/runs")).json()["items"] == []
    document = (await client.get("/openapi.json")).json()
    paths = [path for path in document["paths"] if "/jobs/{name}" in path]
    assert len(paths) == 6
    for path in paths:
        for operation in document["paths"][path].values():
            (name,) = (p for p in operation["parameters"] if p["name"] == "name")
            assert name["schema"]["enum"] == [*NAMES, "eighth"]
