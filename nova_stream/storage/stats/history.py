"""What has been, for small plots. Each gives one state; all raise what asyncpg raises, and need a
connection that is in no transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

import msgspec

from nova_stream.clock import EPOCH
from nova_stream.events.times import time_text
from nova_stream.formulas import mean_duration
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.stats.read import read_row, shown
from nova_stream.storage.stats.rows import Time

_AGENT_NAMES = """
SELECT DISTINCT agent_name COLLATE "C" AS name FROM agent_stats_cache
WHERE $1::text IS NULL OR agent_name COLLATE "C" > $1 ORDER BY 1 LIMIT $2
"""

#: $1 from, $2 until, $3 length of a bucket, $4 names.
_EXECUTIONS = """
SELECT n.name, e.start, e.executions, e.timed, e.duration_sum
FROM unnest($4::text[]) AS n (name) CROSS JOIN LATERAL (
    SELECT date_bin($3::interval, x.timestamp, $1::timestamptz) AS start,
        count(*) AS executions, count(x.duration) AS timed, sum(x.duration) AS duration_sum
    FROM executions x
    WHERE x.agent = n.name AND x.timestamp >= $1 AND x.timestamp < $2::timestamptz
    GROUP BY 1
) e
"""

#: As _EXECUTIONS. A stalled build's activity is the system's and no agent's task.
ENDED_TASKS = """
SELECT v.agent_name AS name,
    date_bin($3::interval, v.timestamp, $1::timestamptz) AS start,
    count(*) FILTER (WHERE v.event_type = 'task_completed') AS completed,
    count(*) FILTER (WHERE v.event_type = 'task_failed') AS failed
FROM agent_activity_feed v
WHERE v.timestamp >= $1 AND v.timestamp < $2::timestamptz AND v.user_id IS DISTINCT FROM 'system'
    AND v.agent_name = ANY ($4::text[])
GROUP BY 1, 2
"""

#: $1 since; those after the place ($2, $3), at most $4. Times as they are told.
_BUILDS = """
SELECT taken_at, total_builds, completed_builds, failed_builds, running_builds, success_rate,
    avg_duration_ms, drift, run_id
FROM build_stats_history
WHERE taken_at >= $1
    AND ($2::text IS NULL
        OR (date_trunc('milliseconds', taken_at), run_id) > ($2::text::timestamptz, $3::bigint))
ORDER BY date_trunc('milliseconds', taken_at), run_id LIMIT $4
"""


_SECOND = timedelta(seconds=1)


class Bucket(msgspec.Struct, rename="camel", kw_only=True):
    """What an agent did from ``start`` to the next bucket's start."""

    start: Time
    completed: Annotated[int, msgspec.Meta(description="Activities task_completed.")] = 0
    failed: Annotated[int, msgspec.Meta(description="Activities task_failed.")] = 0
    executions: int = 0
    avg_duration: Annotated[
        float | None, msgspec.Meta(description="Milliseconds, rounded; null without executions.")
    ] = None


class AgentHistory(msgspec.Struct, frozen=True, rename="camel"):
    """The buckets of a registered agent's name, oldest first."""

    agent_name: str
    buckets: list[Bucket]


class BuildHistory(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The builds' figures as a run of refreshBuildStats found them."""

    taken_at: Time
    total_builds: int
    completed_builds: int
    failed_builds: int
    running_builds: int
    success_rate: float
    avg_duration_ms: float
    drift: Annotated[int, msgspec.Meta(description="Figures that differed from the recount.")]
    run_id: int


class RunPlace(NamedTuple):
    """Where a page of the builds' history ends: the time and number of the run."""

    time: str
    run_id: int


class Span(msgspec.Struct, frozen=True):
    """``number`` buckets of one ``length`` from ``start`` on."""

    start: datetime
    length: timedelta
    number: int

    @classmethod
    def until(cls, now: datetime, hours: int, number: int) -> Span:
        """The buckets up to the one that ``now`` falls into. They begin at multiples of their
        length, so that the same event stays in the same bucket while time goes on.
        """
        length = timedelta(hours=hours) // number // _SECOND * _SECOND
        last = EPOCH + (now - EPOCH) // length * length
        return cls(last - (number - 1) * length, length, number)

    def starts(self) -> list[datetime]:
        """Where each bucket begins, and where the last one ends."""
        return [self.start + number * self.length for number in range(self.number + 1)]


async def agents_history(
    connection: Connection, span: Span, rows: int, after: str | None = None
) -> tuple[list[AgentHistory], str | None]:
    """What every registered agent did, by name: those behind the name ``after``, with ``rows``
    buckets at most in all; and the name after which there are more.
    """
    *starts, end = span.starts()
    most = max(1, rows // span.number)
    async with snapshot(connection):
        names = [row["name"] for row in await connection.fetch(_AGENT_NAMES, after, most + 1)]
        more = len(names) > most
        names = names[:most]
        arguments = (span.start, end, span.length, names)
        executions = await connection.fetch(_EXECUTIONS, *arguments)
        ended = await connection.fetch(ENDED_TASKS, *arguments)
    texts = {at: time_text(at) for at in starts}
    found = {name: {at: Bucket(start=text) for at, text in texts.items()} for name in names}
    for row in executions:
        bucket = found[row["name"]][row["start"]]
        bucket.executions = row["executions"]
        if row["timed"]:
            bucket.avg_duration = shown(mean_duration(row["duration_sum"], row["timed"]))
    for row in ended:
        bucket = found[row["name"]][row["start"]]
        bucket.completed, bucket.failed = row["completed"], row["failed"]
    items = [AgentHistory(name, list(buckets.values())) for name, buckets in found.items()]
    return items, names[-1] if more else None


async def builds_history(
    connection: Connection, since: datetime, rows: int, after: RunPlace | None = None
) -> tuple[list[BuildHistory], RunPlace | None]:
    """The builds' figures over time, oldest first: at most ``rows`` behind the place ``after``, and
    the place after which there are more.
    """
    found = await connection.fetch(_BUILDS, since, *(after or (None, None)), rows + 1)
    items = [read_row(BuildHistory, row) for row in found[:rows]]
    more = len(found) > rows
    return items, RunPlace(items[-1].taken_at, items[-1].run_id) if more else None
