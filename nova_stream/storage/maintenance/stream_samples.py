"""Samples of the stream: stored by each worker every few seconds, made minutes after two days, and
deleted in the end.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from nova_stream.storage.database import LASTING_LATER, Connection, read_committed

#: How long a worker's sample is.
SECONDS = 10
#: How long samples stay as workers stored them.
KEPT = timedelta(days=2)
#: A fold takes so much of time in a statement.
_FOLDED = timedelta(hours=6)

#: What is there already of the same time stays and counts: clocks go back, and timers are late.
#: Of a minute that another worker's sample comes late for, no more than a minute has passed.
_ADDED = """
ON CONFLICT (at, worker) DO UPDATE SET
    seconds = greatest(s.seconds, least(s.seconds + excluded.seconds, 60)),
    lag = (coalesce(s.lag * s.lag_seconds, 0) + coalesce(excluded.lag * excluded.lag_seconds, 0))
        / nullif(s.lag_seconds + excluded.lag_seconds, 0),
    lag_seconds = s.lag_seconds + excluded.lag_seconds,
    lag_max = greatest(s.lag_max, excluded.lag_max),
    applied = s.applied + excluded.applied,
    flushes = s.flushes + excluded.flushes,
    freshness_ms_sum = s.freshness_ms_sum + excluded.freshness_ms_sum,
    freshness_ms_max = greatest(s.freshness_ms_max, excluded.freshness_ms_max),
    freshness = s.freshness + excluded.freshness
"""
_INTO = """
INSERT INTO stream_samples AS s (at, worker, seconds, lag, lag_seconds, lag_max, applied, flushes,
    freshness_ms_sum, freshness_ms_max, freshness)
"""
_INSERT = f"""{_INTO}
VALUES ($1, $2, $3::float8, $4::bigint, CASE WHEN $4::bigint IS NULL THEN 0 ELSE $3::float8 END,
    $4::bigint, $5, $6, $7, $8, $9)
{_ADDED}"""
_OLDEST = "SELECT min(at) FROM stream_samples WHERE worker <> '' AND at < $1"
#: The mean of a lag that was there for some seconds each.
MEAN_LAG = "sum(lag * lag_seconds) / nullif(sum(lag_seconds), 0)"


def slots_of(samples: str) -> str:
    """What all workers together saw and did in each slot; ``samples`` is a FROM clause's text."""
    return f"""
SELECT at, max(seconds) AS seconds, avg(lag) AS lag, max(lag_seconds) AS lag_seconds,
    max(lag_max) AS lag_max, sum(applied) AS applied, sum(flushes) AS flushes,
    sum(freshness_ms_sum) AS freshness_ms_sum, max(freshness_ms_max) AS freshness_ms_max,
    sum(freshness) AS freshness
FROM {samples} GROUP BY at"""  # noqa: S608 - our own text


#: $1, $2: from and to; whole minutes. What somebody else folds at the same time is gone for us.
_FOLD = f"""
WITH old AS (
    DELETE FROM stream_samples WHERE at >= $1 AND at < $2 AND worker <> '' RETURNING *
)
{_INTO}
SELECT date_trunc('minute', at, 'UTC'), '', sum(seconds), {MEAN_LAG}, sum(lag_seconds),
    max(lag_max), sum(applied), sum(flushes), sum(freshness_ms_sum), max(freshness_ms_max),
    sum(freshness)
FROM ({slots_of("old")}) slots GROUP BY 1
{_ADDED}"""  # noqa: S608 - our own text
_FORGET = "DELETE FROM stream_samples WHERE at < $1"


class Sample(NamedTuple):
    """What a worker saw and did in the ``seconds`` from ``at`` on; freshness in milliseconds."""

    at: datetime
    worker: str
    seconds: float
    lag: int | None
    applied: int
    flushes: int
    freshness_sum: float
    freshness_max: float | None
    freshness: Decimal


async def insert(connection: Connection, sample: Sample) -> None:
    """Store a sample, without waiting for the disk; raises what asyncpg raises."""
    async with read_committed(connection):
        await connection.execute(LASTING_LATER)
        await connection.execute(_INSERT, *sample)


async def fold(connection: Connection, now: datetime) -> None:
    """Make minutes of what is older than two days; several may do so at a time. Raises what asyncpg
    raises, and needs a connection that is in no transaction.
    """
    until = _minute(now - KEPT)
    while (oldest := await connection.fetchval(_OLDEST, until)) is not None:
        start = _minute(oldest)
        await connection.execute(_FOLD, start, min(until, start + _FOLDED))


async def forget(connection: Connection, before: datetime) -> int:
    """Delete what is older than ``before``; gives how many samples. Raises what asyncpg raises."""
    tag: str = await connection.execute(_FORGET, before)
    return int(tag.rpartition(" ")[2])


def _minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)
