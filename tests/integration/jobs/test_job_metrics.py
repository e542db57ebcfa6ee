"""What a worker's metrics say of the jobs' ledger and of alerts, whoever made the runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from nova_stream.clock import system_clock
from nova_stream.jobs.alerting.alerts import Alerts
from nova_stream.jobs.alerting.telling import channels
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.timers import show_state
from nova_stream.settings import Settings
from tests.integration.jobs.stubs import FakeClock, Stub, job, query, scheduler

pytestmark = pytest.mark.integration


async def test_overdue_slots_and_open_alerts_are_shown_until_they_are_settled(
    jobs_settings: Settings,
) -> None:
    clock = FakeClock(system_clock() - timedelta(minutes=10))
    jobs = [job(Stub()), job(Stub(), "other", schedule="0 0 1 1 *")]
    one = scheduler(jobs_settings, jobs, clock)
    await one.tick()
    registry = CollectorRegistry()
    metrics, alerts = JobMetrics(registry), Alerts(jobs_settings, clock, channels(jobs_settings))

    def overdue(name: str) -> float | None:
        return registry.get_sample_value("nova_job_overdue_seconds", {"name": name})

    await show_state(alerts, metrics, jobs)
    assert (overdue("stub"), overdue("other")) == (0, 0)
    clock.move(minutes=5)
    await query(
        jobs_settings,
        """INSERT INTO alerts (kind, subject, message, began_at)
        VALUES ('drift', 'stub', 'x', now())""",
    )
    await show_state(alerts, metrics, jobs)
    found = overdue("stub")
    assert found is not None
    assert 200 < found < 360
    assert overdue("other") == 0
    alert = {"kind": "drift", "subject": "stub"}
    assert registry.get_sample_value("nova_alert_open", alert) == 1

    await one.tick()
    await one.drain()
    await query(jobs_settings, "UPDATE alerts SET ended_at = now()")
    await show_state(alerts, metrics, jobs)
    assert overdue("stub") == 0
    assert registry.get_sample_value("nova_alert_open", alert) is None
    alerts.close()
    await one.close()


async def test_a_lease_that_ran_out_is_overdue(jobs_settings: Settings) -> None:
    clock = FakeClock()
    jobs = [job(Stub())]
    one = scheduler(jobs_settings, jobs, clock)
    await one.tick()
    clock.move(minutes=1)
    await one.ledger.settle("stub", clock())
    one.ledger.close()
    await asyncio.sleep(jobs_settings.job_lease_seconds + 0.05)
    registry = CollectorRegistry()
    clock.now = system_clock() + timedelta(minutes=3)  # its lease is of the database's clock
    alerts = Alerts(jobs_settings, clock, channels(jobs_settings))
    await show_state(alerts, JobMetrics(registry), jobs)
    alerts.close()
    found = registry.get_sample_value("nova_job_overdue_seconds", {"name": "stub"})
    assert found is not None
    assert found > 100
