"""What has been, for small plots. Each gives one state; all raise what asyncpg raises, and need a
connection that is in no transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from nova_stream.clock import EPOCH
from nova_stream.events.times import time_text
from nova_stream.stats.formulas import mean_duration
from nova_stream.storage import sql_history
from nova_stream.storage.read import Connection, shown
from nova_stream.storage.rows import Time

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
    drift: Annotated[int, msgspec.Meta(description="Figures that were not as counted.")]
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


async def agents_history(connection: Connection, span: Span) -> list[AgentHistory]:
    """What every registered agent did, by name."""
    *starts, end = span.starts()
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        names = [row["name"] for row in await connection.fetch(sql_history.AGENT_NAMES)]
        arguments = (span.start, end, span.length)
        executions = await connection.fetch(sql_history.EXECUTIONS, *arguments, names)
        ended = await connection.fetch(sql_history.ENDED_TASKS, *arguments)
    found = {name: {at: Bucket(start=time_text(at)) for at in starts} for name in names}
    for row in executions:
        bucket = found[row["name"]][row["start"]]
        bucket.executions = row["executions"]
        if row["timed"]:
            bucket.avg_duration = shown(mean_duration(row["duration_sum"], row["timed"]))
    for row in ended:
        if row["name"] in found:
            bucket = found[row["name"]][row["start"]]
            bucket.completed, bucket.failed = row["completed"], row["failed"]
    return [AgentHistory(name, list(buckets.values())) for name, buckets in found.items()]


async def builds_history(connection: Connection, since: datetime) -> list[BuildHistory]:
    """The builds' figures over time, oldest first."""
    rows = await connection.fetch(sql_history.BUILDS, since)
    return [BuildHistory(**{name: shown(value) for name, value in row.items()}) for row in rows]
