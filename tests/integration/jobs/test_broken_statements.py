"""A statement that Postgres refuses is no outage: it is told, by whoever runs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from nova_stream.errors import DatabaseUnavailableError
from nova_stream.jobs import timers
from nova_stream.jobs.alerting.alerts import Alerts
from nova_stream.jobs.alerting.telling import Teller, channels
from nova_stream.jobs.engine import runner
from nova_stream.jobs.engine import scheduler as scheduler_module
from nova_stream.jobs.engine.manual import run_manually
from nova_stream.jobs.registry import JOBS
from nova_stream.jobs.timers import Watch
from nova_stream.settings import Settings
from nova_stream.storage.jobs import alerts as stored_alerts
from nova_stream.storage.jobs import ledger_sql
from tests.integration.jobs.stubs import FakeClock, Stub, job, query, runs, scheduler
from tests.logs import captured

pytestmark = pytest.mark.integration

_BROKEN = "SELECT no_such_column FROM job_runs"


def errors(log: list[Any]) -> list[tuple[object, object]]:
    return [(line["event"], line["error"]) for line in log if line["log_level"] == "error"]


async def test_the_scheduler(jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    one = scheduler(jobs_settings, [job(Stub())], FakeClock())
    log = captured(monkeypatch, scheduler_module)
    with monkeypatch.context() as breaking:
        breaking.setattr(ledger_sql, "LOCK_JOB", _BROKEN)
        await one.tick()
        await one.tick()
    assert errors(log) == [("the ledger of jobs cannot be used", "UndefinedColumnError (42703)")]
    await one.tick()
    assert log[-1]["event"] == "the ledger of jobs answers again"
    await one.close()


async def test_the_scheduler_after_an_outage(
    jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = scheduler(jobs_settings, [job(Stub())], FakeClock())
    log = captured(monkeypatch, scheduler_module)

    async def is_away() -> None:
        raise DatabaseUnavailableError("gone")

    with monkeypatch.context() as leaving:
        leaving.setattr(one, "_tick", is_away)
        await one.tick()
    monkeypatch.setattr(ledger_sql, "LOCK_JOB", _BROKEN)
    await one.tick()
    assert errors(log) == [
        ("the ledger of jobs is away", "DatabaseUnavailableError"),
        ("the ledger of jobs cannot be used", "UndefinedColumnError (42703)"),
    ]
    await one.close()


async def test_a_run_by_hand_does_without_a_ledger_in_an_outage_alone(
    jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_sql, "OPEN_MANUAL", "SELECT $1")
    (health_check,) = (job for job in JOBS if job.without_ledger)
    with pytest.raises(asyncpg.InterfaceError, match="the server expects 1 argument"):
        await run_manually(jobs_settings, health_check, dry_run=False, as_of=None)


async def test_the_end_of_a_run(jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    one = scheduler(jobs_settings, [job(Stub())], clock)
    await one.tick()
    log = captured(monkeypatch, runner)
    monkeypatch.setattr(ledger_sql, "FINISH", _BROKEN)
    clock.move(minutes=1)
    await one.tick()
    await one.drain()
    assert errors(log) == [("a run's end could not be recorded", "UndefinedColumnError (42703)")]
    await one.close()
    assert [row["outcome"] for row in await runs(jobs_settings)] == [None]


async def test_alerts_are_no_outage_of_postgres(
    jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(Teller):
        async def tell_outage(self, *_: object) -> None:
            raise AssertionError("told as an outage")

    clock = FakeClock()
    settings = jobs_settings.model_copy(
        update={"alert_webhook_url": SecretStr("http://127.0.0.1:1/")}
    )
    alerts, teller = Alerts(settings, clock, channels(settings)), Deaf(settings, [])
    watch = Watch(alerts, teller, clock)
    log = captured(monkeypatch, timers)
    monkeypatch.setattr(stored_alerts, "RUNS", _BROKEN)
    for _ in range(6):
        clock.now += timedelta(seconds=10)
        await watch.check()
    assert errors(log) == [("alerts cannot be checked", "UndefinedColumnError (42703)")] * 6
    alerts.close()
    teller.close()


async def test_a_timer(jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        await query(jobs_settings, _BROKEN)

    timer = timers._quiet("job-history", 1, work)
    log = captured(monkeypatch, timers)
    await timer.work()
    assert errors(log) == [("a timer of the jobs failed", "UndefinedColumnError (42703)")]
