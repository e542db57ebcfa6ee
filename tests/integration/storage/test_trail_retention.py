"""Lines of the audit trail go when a setting says so, none before it is a year old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from nova_stream.errors import SettingsError
from nova_stream.jobs.registry import JOBS
from nova_stream.jobs.timers import job_timers
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.access import trail
from nova_stream.storage.access.trail import Line
from nova_stream.storage.database import connect

pytestmark = pytest.mark.integration

AGES = (0, 300, 364, 366, 399, 401, 1000)


async def fill(settings: Settings, now: datetime) -> None:
    """Lines of those ages in days, written in their order."""
    connection = await connect(settings, "test")
    for age in sorted(AGES, reverse=True):
        at = now - timedelta(days=age)
        line = Line(at, at, 1, None, None, "x", str(age), "done", False)
        await trail.add(connection, [line])
    await connection.close()


async def left(settings: Settings) -> set[int]:
    connection = await connect(settings, "test")
    rows = await connection.fetch("SELECT object FROM audit_trail")
    await connection.close()
    return {int(row["object"]) for row in rows}


@pytest.mark.parametrize(
    ("days", "stay"),
    [(None, set(AGES)), (366, {0, 300, 364, 366}), (400, {0, 300, 364, 366, 399})],
)
@pytest.mark.parametrize("ahead", [0, 1000])
@pytest.mark.parametrize("batch", [2, 1000])
async def test_old_lines_go_after_their_time(
    nova_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    days: int | None,
    stay: set[int],
    ahead: int,
    batch: int,
) -> None:
    monkeypatch.setattr(trail, "_BATCH", batch)
    now = datetime.now(UTC) + timedelta(minutes=1)
    await fill(nova_settings, now)
    more: dict[str, Any] = {} if days is None else {"trail_days": days}
    settings = nova_settings.model_copy(update=more)
    # A worker whose clock is far ahead deletes no more than what is a year old.
    clock = now + timedelta(days=ahead)
    timers = job_timers(settings, JOBS, CollectorRegistry(), lambda: clock)
    (timer,) = (timer for timer in timers if timer.name == "audit-trail")
    await timer.work()
    if days is not None and ahead:
        stay = {0, 300, 364}
    assert await left(nova_settings) - {366} == stay - {366}


@pytest.mark.parametrize("days", ["0", "365", "-1", "never"])
def test_less_than_the_year_that_the_table_insists_on_is_refused(days: str) -> None:
    with pytest.raises(SettingsError, match="NOVA_TRAIL_DAYS"):
        load_settings(trail_days=days)
