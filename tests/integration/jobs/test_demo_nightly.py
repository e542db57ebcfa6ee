"""The demo's ledger of last night: runs that were made, and nothing that was made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nova_stream.clock import system_clock
from nova_stream.demo import nightly
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings
from tests.integration.jobs.stubs import Stub, job, query

pytestmark = pytest.mark.integration

NOTHING = PositionToken()


def at(hour: int) -> datetime:
    """When it was that hour last, in UTC."""
    now = datetime.now(UTC)
    today = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


async def test_daily_jobs_are_caught_up_once(jobs_settings: Settings) -> None:
    works = [Stub(), Stub(), Stub()]
    jobs = [
        job(works[0], "later", "0 2 * * *"),
        job(works[1], "hourly", "0 * * * *"),
        job(works[2], "earlier", "0 1 * * *"),
    ]
    for _ in range(2):
        await nightly.run_last_night(jobs_settings, jobs, system_clock, NOTHING)

    lines = await query(jobs_settings, "SELECT job, kind, outcome, slot, id FROM job_runs")
    found = {row["job"]: (row["kind"], row["outcome"], row["slot"]) for row in lines}
    assert len(lines) == 2
    assert found == {"earlier": ("slot", "late", at(1)), "later": ("slot", "late", at(2))}
    assert [work.ended for work in works] == [1, 0, 1]
    ids = {row["job"]: row["id"] for row in lines}
    assert (ids["earlier"] < ids["later"]) == (at(1) < at(2))


async def test_nothing_is_run_before_the_past_is_there(
    jobs_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nightly, "_LIMIT_S", 0.5)
    past = PositionToken({"nova.tasks": {0: 7}})
    jobs = [job(Stub(), "daily", "0 1 * * *")]
    await nightly.run_last_night(jobs_settings, jobs, system_clock, past)
    assert await query(jobs_settings, "SELECT FROM job_runs") == []


async def test_a_demo_without_a_database_goes_on(jobs_settings: Settings) -> None:
    away = jobs_settings.model_copy(
        update={"database_url": type(jobs_settings.database_url)("postgresql://n:s@127.0.0.1:1/n")}
    )
    await nightly.run_last_night(away, [job(Stub())], system_clock, NOTHING)
