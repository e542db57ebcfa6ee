"""Ten seconds of a worker as a sample, and when it is taken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from nova_stream.errors import DatabaseUnavailableError
from nova_stream.settings import load_settings
from nova_stream.storage.maintenance.stream_samples import Sample
from nova_stream.storage.stats.histogram import FRESHNESS
from nova_stream.stream import samples
from nova_stream.stream.samples import Recent, Samples, slot_before, until_next
from tests.logs import captured
from tests.sent_numbers import sent

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
    found = FRESHNESS.percentiles(sent(sample.freshness), sample.flushes, (50, 99))
    assert found == pytest.approx([20, 1500], rel=0.05)
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


async def sampled(monkeypatch: pytest.MonkeyPatch, recent: Recent, *times: float) -> list[Sample]:
    """What a worker stores that is built at the first of ``times`` and looks at those between; it
    ends at the last.
    """
    now = iter(times[1:])
    found: list[Sample] = []
    clock = [times[0]]
    stopped = asyncio.Event()

    def due(_now: datetime) -> float:
        clock[0] = next(now)
        if clock[0] == times[-1]:
            stopped.set()
            return 60
        return 0

    async def insert(_connection: Any, sample: Sample) -> None:
        found.append(sample)

    nothing: Any = None
    stored = Samples(load_settings(), nothing, recent, lambda: after(clock[0]), "w")
    monkeypatch.setattr(samples, "connect", AsyncMock(return_value=Mock(is_closed=lambda: False)))
    monkeypatch.setattr(stored, "_lag", AsyncMock(return_value=None))
    monkeypatch.setattr(samples, "until_next", due)
    monkeypatch.setattr(samples, "insert", insert)
    task = asyncio.create_task(stored.run())
    await stopped.wait()
    task.cancel()
    await asyncio.wait({task})
    return found


async def test_a_stopped_process_and_a_changed_clock_are_no_hours_of_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = await sampled(monkeypatch, Recent(), 0, 10, 3610, 1810, 1820, 1825)
    assert [each.seconds for each in found] == [10, 20, 0, 10]


async def test_a_worker_that_is_built_anew_tells_of_the_time_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was applied then is in its first sample, which would tell of another pace."""
    recent = Recent()
    assert await sampled(monkeypatch, recent, 0, 9) == []
    recent.committed(900, 0.01)
    (found,) = await sampled(monkeypatch, recent, 69, 70, 75)
    assert (found.applied, found.seconds) == (900, 10)
