"""Jobs that do what a test wants, a clock that a test sets, and a look at the ledger."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from prometheus_client import CollectorRegistry

from nova_stream.jobs.engine.job import Job, JobContext, MissedSlots, Policy, RunOnce
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.engine.scheduler import Scheduler
from nova_stream.settings import Settings
from nova_stream.storage.database import connect

NOON = datetime(2026, 2, 20, 12, 0, tzinfo=UTC)


class Done(msgspec.Struct, rename="camel"):
    """A stub's result."""

    handled: int
    timestamp: str = ""


class FakeClock:
    """Says the time that it was set to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class Stub:
    """A job's work: takes ``seconds``, or waits for ``gate``; counts how often it began."""

    def __init__(self, seconds: float = 0.0, errors: int = 0) -> None:
        self.seconds = seconds
        self.errors = errors
        self.contexts: list[JobContext] = []
        self.ended = 0
        self.gate: asyncio.Event | None = None
        self.began = asyncio.Event()

    async def __call__(self, context: JobContext) -> Done:
        self.contexts.append(context)
        self.began.set()
        if self.errors > 0:
            self.errors -= 1
            raise RuntimeError("as the test wanted")
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(self.seconds)
        self.ended += 1
        return Done(handled=7, timestamp=context.now.isoformat())


def job(
    work: RunOnce,
    name: str = "stub",
    schedule: str = "* * * * *",
    **policy: Any,
) -> Job:
    fields: dict[str, Any] = {"timeout": 30.0, "first_pause": 0.01, **policy}
    return Job(name, schedule, "what a test wants", Policy(**fields), work)


SKIP = MissedSlots.SKIP


def scheduler(settings: Settings, jobs: list[Job], clock: FakeClock, name: str = "w1") -> Scheduler:
    return Scheduler(settings, jobs, clock, JobMetrics(CollectorRegistry()), name, look_every=0)


async def runs(settings: Settings, job_name: str = "stub") -> list[asyncpg.Record]:
    return await query(
        settings, "SELECT * FROM job_runs WHERE job = $1 ORDER BY slot NULLS LAST, id", job_name
    )


async def outcomes(settings: Settings, job_name: str = "stub") -> list[str | None]:
    return [row["outcome"] for row in await runs(settings, job_name)]


async def tally(settings: Settings) -> Counter[str]:
    return Counter(row["outcome"] for row in await runs(settings))


async def query(settings: Settings, statement: str, *values: Any) -> list[asyncpg.Record]:
    connection = await connect(settings, "test")
    try:
        return list(await connection.fetch(statement, *values))
    finally:
        await connection.close()
