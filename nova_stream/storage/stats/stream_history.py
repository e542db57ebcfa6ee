"""How the stream has been doing, from the samples of its workers. All raise what asyncpg
raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from nova_stream.events.times import time_text
from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance.stream_samples import MEAN_LAG, SECONDS, slots_of
from nova_stream.storage.stats.buckets import Range, times_of
from nova_stream.storage.stats.histogram import FRESHNESS, SENT
from nova_stream.storage.stats.outlook import RECENT, Moment
from nova_stream.storage.stats.read import in_turns, shown
from nova_stream.storage.stats.rows import Time

#: $1, $2: the range; $3: where its buckets begin.
_BUCKETS = f"""
SELECT width_bucket(at, $3::timestamptz[]) AS bucket, sum(seconds) AS seconds,
    {MEAN_LAG} AS lag,
    max(lag_max) AS lag_max, sum(applied)::bigint AS applied, sum(flushes)::bigint AS flushes,
    max(freshness_ms_max) AS freshness_ms_max, {SENT.format("sum(freshness)")} AS freshness
FROM ({slots_of("stream_samples WHERE at >= $1 AND at < $2")}) s GROUP BY 1
"""  # noqa: S608 - our own text
#: $1, $2: from and to. What all workers did in each slot, and for how long they ran.
_MOMENTS = """
SELECT at, avg(lag) AS lag, sum(applied)::bigint AS applied, sum(seconds) AS worker_seconds,
    max(seconds) AS seconds
FROM stream_samples WHERE at >= $1 AND at < $2 AND worker <> '' GROUP BY at ORDER BY at
"""

_Lag = Annotated[
    float | None,
    msgspec.Meta(description="Records that waited to be applied; null where nobody looked."),
]
_Freshness = Annotated[
    float | None,
    msgspec.Meta(
        description="Milliseconds from a change to its commit that so many percent of the flushes "
        "did not exceed, within 5 %; of each the newest change counts. Null without any."
    ),
]


class StreamBucket(msgspec.Struct, rename="camel", kw_only=True):
    """How the stream did from ``start`` to before ``end``."""

    start: Time
    end: Time
    seconds: Annotated[
        float, msgspec.Meta(description="How long of it workers ran; 0: nothing is known of it.")
    ] = 0
    lag: Annotated[_Lag, msgspec.Meta(description="The mean.")] = None
    lag_max: Annotated[int | None, msgspec.Meta(description="The most records that waited.")] = None
    applied: Annotated[int, msgspec.Meta(description="Records that were applied.")] = 0
    applied_per_second: Annotated[
        float | None, msgspec.Meta(description="Of the seconds in which workers ran.")
    ] = None
    freshness_p50_ms: _Freshness = None
    freshness_p99_ms: _Freshness = None
    freshness_max_ms: Annotated[
        float | None, msgspec.Meta(description="The oldest of them, exactly.")
    ] = None


class StreamSeries(msgspec.Struct, rename="camel", kw_only=True):
    """The buckets of a range, oldest first."""

    from_: Time = msgspec.field(name="from")
    to: Annotated[Time, msgspec.Meta(description="The end, which is not in the range.")]
    bucket: str
    zone: str
    items: list[StreamBucket]


async def stream_series(
    connection: Connection, buckets: Sequence[Range], **names: str
) -> StreamSeries:
    """The stream in each of the buckets, which meet; ``names`` are those of their length and of the
    time zone.
    """
    asked = Range(buckets[0].start, buckets[-1].end)
    starts = [bucket.start for bucket in buckets]
    found = {r["bucket"]: r for r in await connection.fetch(_BUCKETS, *asked, starts)}

    edges = times_of(buckets)

    def made(number: int) -> StreamBucket:
        fields: dict[str, Any] = {**edges[number - 1]}
        if number in found:
            fields |= _figures(found[number])
        return StreamBucket(**fields)

    items = await in_turns(made, range(1, len(buckets) + 1))
    times = {"from_": time_text(asked.start), "to": time_text(asked.end)}
    return StreamSeries(items=items, **times, **names)


async def recent_moments(connection: Connection, now: datetime) -> list[Moment]:
    """What outlooks are made of: the last minutes, oldest first."""
    rows = await connection.fetch(_MOMENTS, now - RECENT, now + timedelta(seconds=SECONDS))
    return [Moment(**dict(row)) for row in rows]


def _figures(row: Any) -> dict[str, Any]:
    figures = {
        "seconds": shown(round(row["seconds"], 3)),
        "lag": None if row["lag"] is None else shown(round(row["lag"], 1)),
        "lag_max": row["lag_max"],
        "applied": row["applied"],
    }
    if row["seconds"]:
        figures["applied_per_second"] = shown(round(row["applied"] / row["seconds"], 1))
    if row["flushes"]:
        most = shown(round(row["freshness_ms_max"], 1))
        found = FRESHNESS.percentiles(row["freshness"], row["flushes"], (50, 99))
        p50, p99 = (min(most, shown(x)) for x in found)
        figures |= {"freshness_p50_ms": p50, "freshness_p99_ms": p99, "freshness_max_ms": most}
    return figures
