"""Samples of the stream: what is read of them, as they were stored and once they are minutes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from nova_stream.jobs.registry import JOBS
from nova_stream.jobs.timers import job_timers
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.maintenance.stream_samples import KEPT, Sample, fold, forget, insert
from nova_stream.storage.stats.buckets import Range, buckets_of
from nova_stream.storage.stats.histogram import FRESHNESS, histogram_of
from nova_stream.storage.stats.stream_history import StreamSeries, recent_moments, stream_series

pytestmark = pytest.mark.integration

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
TEN = timedelta(seconds=10)


@pytest.fixture
async def session(nova_settings: Settings) -> AsyncIterator[Connection]:
    connection = await connect(nova_settings, "test")
    yield connection
    await connection.close()


def sample(
    slot: int,
    *,
    worker: str = "w1",
    lag: int | None = 0,
    applied: int = 0,
    times: list[float] | None = None,
    seconds: float = 10,
) -> Sample:
    """The slot-th ten seconds after noon; ``times``: freshness in milliseconds."""
    given = times or []
    return Sample(
        at=NOON + slot * TEN,
        worker=worker,
        seconds=seconds,
        lag=lag,
        applied=applied,
        flushes=len(given),
        freshness_sum=sum(given),
        freshness_max=max(given, default=None),
        freshness=histogram_of(Counter(map(FRESHNESS.bin_of, given))),
    )


async def series(session: Connection, minutes: int = 4, bucket: Any = "1m") -> StreamSeries:
    asked = Range(NOON, NOON + timedelta(minutes=minutes))
    return await stream_series(session, buckets_of(asked, bucket, UTC), bucket=bucket, zone="UTC")


async def test_every_bucket_is_there_and_empty_where_no_worker_ran(session: Connection) -> None:
    for slot in (0, 1, 7):
        await insert(session, sample(slot, lag=10 * slot, applied=100, times=[20, 40]))
    found = (await series(session)).items
    assert [item.seconds for item in found] == [20, 10, 0, 0]
    assert [item.lag for item in found] == [5, 70, None, None]
    assert [item.lag_max for item in found] == [10, 70, None, None]
    assert [item.applied for item in found] == [200, 100, 0, 0]
    assert [item.applied_per_second for item in found] == [10, 10, None, None]
    assert [item.freshness_max_ms for item in found] == [40, 40, None, None]
    assert found[0].freshness_p50_ms == pytest.approx(20, rel=0.05)
    assert found[0].freshness_p99_ms == pytest.approx(40, rel=0.05)
    assert found[2].freshness_p50_ms is None


async def test_workers_apply_together_and_see_the_same_lag(session: Connection) -> None:
    for worker, lag in (("w1", 100), ("w2", 110), ("w3", None)):
        await insert(session, sample(0, worker=worker, lag=lag, applied=50, times=[10]))
    (found, *_) = (await series(session)).items
    assert (found.seconds, found.lag, found.lag_max) == (10, 105, 110)
    assert (found.applied, found.applied_per_second) == (150, 15)


async def test_samples_of_the_same_ten_seconds_add_up(session: Connection) -> None:
    """A process that was stopped looks late, and again for the same ten seconds; or a clock goes
    back.
    """
    for lag, applied, times, seconds in ((90, 50, [20.0], 6), (10, 7, [40.0], 2)):
        given = sample(0, lag=lag, applied=applied, times=times, seconds=seconds)
        await insert(session, given)
    await insert(session, sample(0, lag=None, applied=3, seconds=1))
    (found, *_) = (await series(session)).items
    assert (found.seconds, found.applied, found.freshness_max_ms) == (9, 60, 40)
    assert (found.lag, found.lag_max) == (70, 90)


async def test_what_comes_once_its_minute_is_folded_is_added(session: Connection) -> None:
    now = NOON + KEPT + timedelta(minutes=4)
    await insert(session, sample(0, lag=100, applied=50, times=[10]))
    await fold(session, now)
    await insert(session, sample(1, lag=40, applied=30, times=[30]))
    await fold(session, now)
    (found, *_) = (await series(session)).items
    assert (found.seconds, found.applied, found.freshness_max_ms) == (20, 80, 30)
    assert (found.lag, found.lag_max) == (70, 100)
    for slot in range(6):
        await insert(session, sample(slot, worker="w2", applied=10))
    await fold(session, now)
    (found, *_) = (await series(session)).items
    assert (found.seconds, found.applied) == (60, 140)


_SAMPLES = st.lists(
    st.builds(
        sample,
        st.integers(0, 23),
        worker=st.sampled_from(["w1", "w2"]),
        lag=st.none() | st.integers(0, 10**12),
        applied=st.integers(0, 10**6),
        times=st.lists(st.floats(0, 1e7), max_size=5),
        seconds=st.floats(1, 10),
    ),
    unique_by=lambda sample: (sample.at, sample.worker),
    max_size=20,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(found=_SAMPLES, bucket=st.sampled_from(["1m", "2m"]))
async def test_buckets_equal_a_recount_before_and_after_samples_are_minutes(
    session: Connection, found: list[Sample], bucket: str
) -> None:
    await session.execute("TRUNCATE stream_samples")
    for each in found:
        await insert(session, each)
    before = await series(session, bucket=bucket)
    for item in before.items:
        start, end = (datetime.fromisoformat(text) for text in (item.start, item.end))
        check(item, [each for each in found if start <= each.at < end])
    views = await session.fetch("SELECT * FROM stream_history ORDER BY minute")
    await fold(session, NOON + KEPT + timedelta(minutes=4))
    assert not await session.fetch("SELECT FROM stream_samples WHERE worker <> ''")
    after = await series(session, bucket=bucket)
    for one, other in zip(before.items, after.items, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        for field in one.__struct_fields__[2:]:
            a, b = getattr(one, field), getattr(other, field)
            assert a == (b if b is None else pytest.approx(b, rel=1e-6, abs=0.11)), field
    folded = await session.fetch("SELECT * FROM stream_history ORDER BY minute")
    assert len(views) == len(folded)
    for row, other_row in zip(views, folded, strict=True):
        assert row["minute"] == other_row["minute"]
        assert tuple(row)[1:] == pytest.approx(tuple(other_row)[1:])


def check(item: Any, found: list[Sample]) -> None:
    """The plainest way to count a bucket."""
    slots = [list(group) for _, group in groupby(sorted(found, key=lambda s: s.at), lambda s: s.at)]
    lengths = [max(each.seconds for each in slot) for slot in slots]
    assert item.seconds == pytest.approx(sum(lengths), abs=0.002)
    assert item.applied == sum(each.applied for each in found)
    if slots:
        assert item.applied_per_second == pytest.approx(item.applied / sum(lengths), abs=0.06)
    lags = [
        (sum(lag for lag, _ in known) / len(known), max(length for _, length in known))
        for slot in slots
        if (known := [(each.lag, each.seconds) for each in slot if each.lag is not None])
    ]
    weight = sum(length for _, length in lags)
    expected = sum(lag * length for lag, length in lags) / weight if lags else None
    assert item.lag == (None if expected is None else pytest.approx(expected, rel=1e-6, abs=0.06))
    assert item.lag_max == max((each.lag for each in found if each.lag is not None), default=None)
    times = [each.freshness_max for each in found if each.freshness_max is not None]
    most = max(times, default=None)
    assert item.freshness_max_ms == (None if most is None else pytest.approx(most, abs=0.06))


async def test_what_is_younger_than_two_days_stays_as_it_is(session: Connection) -> None:
    for slot in (0, 5, 6):
        await insert(session, sample(slot))
    await fold(session, NOON + KEPT + timedelta(seconds=70))
    rows = await session.fetch("SELECT at, worker, seconds FROM stream_samples ORDER BY at")
    assert [(row["at"], row["worker"], row["seconds"]) for row in rows] == [
        (NOON, "", 20),
        (NOON + 6 * TEN, "w1", 10),
    ]


async def test_several_may_fold_at_a_time(session: Connection, nova_settings: Settings) -> None:
    for slot in range(120):
        await insert(session, sample(slot, applied=1))
    others = [await connect(nova_settings, "test") for _ in range(4)]
    await asyncio.gather(*(fold(other, NOON + 2 * KEPT) for other in others))
    for other in others:
        await other.close()
    found = await series(session, minutes=20)
    assert [item.applied for item in found.items] == [6] * 20


async def test_a_worker_folds_and_forgets_once_an_hour(
    session: Connection, nova_settings: Settings
) -> None:
    for slot in (0, 6, 12):
        await insert(session, sample(slot))
    now = NOON + timedelta(days=90, seconds=60)
    timers = job_timers(nova_settings, JOBS, CollectorRegistry(), lambda: now)
    (timer,) = (timer for timer in timers if timer.name == "stream-history")
    await timer.work()
    rows = await session.fetch("SELECT at, worker FROM stream_samples ORDER BY at")
    assert [(row["at"], row["worker"]) for row in rows] == [
        (NOON + 6 * TEN, ""),
        (NOON + 12 * TEN, ""),
    ]
    assert await forget(session, now) == 2


async def test_an_outlook_is_made_of_what_workers_stored_of_late(session: Connection) -> None:
    await insert(session, sample(0, lag=5))  # more than two minutes before
    for worker in ("w1", "w2"):
        await insert(session, sample(12, worker=worker, lag=40, applied=300))
    await insert(session, sample(13, lag=None, applied=100, seconds=4))
    found = await recent_moments(session, NOON + timedelta(minutes=2, seconds=25))
    assert [
        (moment.at, moment.seconds, moment.lag, moment.applied, moment.worker_seconds)
        for moment in found
    ] == [(NOON + 12 * TEN, 10, 40, 600, 20), (NOON + 13 * TEN, 4, None, 100, 4)]
