"""Asks which slots are due and starts their runs; called by a timer twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg

from nova_stream.clock import Clock
from nova_stream.errors import DatabaseUnavailableError
from nova_stream.jobs.job_metrics import JobMetrics
from nova_stream.jobs.ledger import Claim, Ledger
from nova_stream.jobs.model import Job
from nova_stream.jobs.runner import Runner
from nova_stream.settings import Settings
from nova_stream.storage.database import UNAVAILABLE
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: How often slots are asked for: they start within a second of their time. Seconds.
EVERY = 0.5


class Scheduler:
    """One worker's part in running the jobs; any number of them share the work.

    Raises SettingsError when a schedule cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        jobs: Sequence[Job],
        clock: Clock,
        metrics: JobMetrics,
        worker: str | None = None,
    ) -> None:
        self.ledger = Ledger(settings, jobs, clock, worker)
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock
        self._metrics = metrics
        self._runner = Runner(settings, self.ledger, clock, metrics)
        self._runs: set[asyncio.Task[object]] = set()
        self._registered = False
        self._away = False

    async def tick(self) -> None:
        """Settle what is due at the clock's time and start the runs that are this worker's.

        While Postgres is away nothing happens, and what became due meanwhile is settled, by each
        job's policy, when it is back.
        """
        try:
            await self._tick()
        except (*UNAVAILABLE, DatabaseUnavailableError, asyncpg.PostgresError) as error:
            self._metrics.ledger_up.set(0)
            if not self._away:
                _log.error("the ledger of jobs is away", error=type(error).__name__,
                           then="what is due is settled when it is back")  # fmt: skip
            self._away = True
        else:
            self._metrics.ledger_up.set(1)
            if self._away:
                _log.info("the ledger of jobs answers again")
            self._away = False

    async def _tick(self) -> None:
        now = self._clock()
        due = await self.ledger.due(now) if self._registered else None
        if due is None:
            await self.ledger.register()
            self._registered = True
            due = await self.ledger.due(now) or []
        for name in due:
            settled = await self.ledger.settle(name, now)
            for outcome, number in settled.closed.items():
                self._metrics.runs.labels(name, outcome.value).inc(number)
                _log.warning("slots without a run", job=name, outcome=outcome.value, number=number)
            for claim in settled.claims:
                self._start(claim)

    def _start(self, claim: Claim) -> None:
        run = asyncio.create_task(
            self._runner.run(self._jobs[claim.job], claim), name=f"{claim.job} {claim.held.id}"
        )
        self._runs.add(run)
        run.add_done_callback(self._ended)

    def _ended(self, run: asyncio.Task[object]) -> None:
        self._runs.discard(run)
        if not run.cancelled() and run.exception() is not None:
            _log.error("a run broke off", run=run.get_name(), exc_info=run.exception())

    async def drain(self) -> None:
        """Wait until the runs that are under way have ended."""
        while self._runs:
            await asyncio.wait(set(self._runs))

    async def close(self) -> None:
        """End: runs that are under way are given back, for another worker to take at once."""
        for run in self._runs:
            run.cancel()
        await self.drain()
        self.ledger.close()
