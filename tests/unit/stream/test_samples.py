"""Ten seconds of a worker as a sample, and when it is taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nova_stream.errors import DatabaseUnavailableError
from nova_stream.settings import load_settings
from nova_stream.storage.stats.freshness import percentiles
from nova_stream.stream import samples
from nova_stream.stream.samples import Recent, Samples, slot_before, until_next
from tests.logs import captured

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("now", "slot", "left"),
    [(0, -10, 10), (0.3, -10, 9.7), (3, -10, 7), (9.2, 0, 10.8), (9.9995, 0, 10.0005), (10, 0, 10)],
)
def test_a_timer_may_be_late_or_a_little_early(now: float, slot: float, left: float) -> None:
    assert slot_before(after(now)) == after(slot)
    assert until_next(after(now)) == pytest.approx(left)


def test_a_sample_has_what_was_committed_since_the_last_one() -> None:
    recent = Recent()
    for records, freshness in ((100, 0.02), (50, None), (7, 1.5)):
        recent.committed(records, freshness)
    sample = recent.take(NOON, "w", 10, 42)
    assert (sample.applied, sample.flushes, sample.lag) == (157, 2, 42)
    assert (sample.freshness_sum, sample.freshness_max) == (1520, 1500)
    assert percentiles(str(sample.freshness), (50, 99)) == pytest.approx([20, 1500], rel=0.05)
    recent.committed(1, 0.001)
    sample = recent.take(NOON, "w", 10, None)
    assert (sample.applied, sample.flushes, sample.freshness_max) == (1, 1, 1)
    sample = recent.take(NOON, "w", 10, None)
    assert (sample.applied, sample.flushes, sample.freshness_max) == (0, 0, None)


@pytest.mark.parametrize(
    "error", [DatabaseUnavailableError("away"), TimeoutError(), ConnectionResetError(), KeyError()]
)
async def test_a_database_that_is_away_is_told_once_and_stops_nothing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    enough = asyncio.Event()

    async def refuse(*_given: Any, **_named: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            enough.set()
        raise error

    monkeypatch.setattr(samples, "connect", refuse)
    monkeypatch.setattr(samples, "until_next", lambda _now: 0)
    log = captured(monkeypatch, samples)
    admin: Any = None
    recent = Recent()
    recent.committed(5, 0.1)
    stored = Samples(load_settings(), admin, recent, lambda: NOON, "w")
    task = asyncio.create_task(stored.run())
    await enough.wait()
    assert not task.done()
    task.cancel()
    assert [line["event"] for line in log] == ["the stream's history cannot be stored"]
    # What was committed before an outage is no pace of the time after it.
    assert recent.take(NOON, "w", 10, None).applied == 0
