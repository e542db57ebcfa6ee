"""Asks which slots are due and starts their runs; called by a timer four times a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from nova_stream.clock import Clock
from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.engine.run import Claim
from nova_stream.jobs.engine.runner import Runner
from nova_stream.settings import Settings
from nova_stream.storage.faults import DATABASE_ERRORS, is_away, name_of
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: How often the clock is read: slots start within a second of their time. Seconds.
EVERY = 0.25
#: How often the ledger is asked while no slot is due: for runs to take over. Seconds.
LOOK_EVERY = 1.0


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
        look_every: float = LOOK_EVERY,
    ) -> None:
        self.ledger = Ledger(settings, jobs, clock, worker)
        self._jobs = {job.name: job for job in jobs}
        self._clock = clock
        self._metrics = metrics
        self._runner = Runner(settings, self.ledger, clock, metrics)
        self._runs: set[asyncio.Task[object]] = set()
        self._look_every = look_every
        self._looked_at = -LOOK_EVERY
        self._quiet: tuple[datetime, datetime] | None = None
        self._registered = False
        self._trouble: str | None = None

    async def tick(self) -> None:
        """Settle what is due at the clock's time and start the runs that are this worker's.

        While Postgres is away nothing happens, and what became due meanwhile is settled, by each
        job's policy, when it is back.
        """
        try:
            await self._tick()
        except DATABASE_ERRORS as error:
            self._metrics.ledger_up.set(0)
            what = "is away" if is_away(error) else "cannot be used"
            if self._trouble != what:
                _log.error(
                    f"the ledger of jobs {what}",
                    error=name_of(error),
                    then="due slots are settled when it is back",
                )
            self._trouble = what
        else:
            self._metrics.ledger_up.set(1)
            if self._trouble:
                _log.info("the ledger of jobs answers again")
            self._trouble = None

    async def _tick(self) -> None:
        now = self._clock()
        if self._is_quiet(now):
            return
        look = await self.ledger.look(now) if self._registered else None
        if look is None:
            await self.ledger.register()
            self._registered = True
            look = await self.ledger.look(now)
        if look is None:
            return
        claims: list[Claim] = []
        try:
            for name in look.due:
                claims += await self._settle(name, now)
        finally:
            # All slots of one instant are settled before the first run takes the processor.
            for claim in claims:
                self._start(claim)
        self._looked_at = time.monotonic()
        self._quiet = (now, look.next_due)

    def _is_quiet(self, now: datetime) -> bool:
        """Whether the last look, a moment ago, said that nothing is due yet."""
        if self._quiet is None or time.monotonic() - self._looked_at >= self._look_every:
            return False
        since, until = self._quiet
        return since <= now < until

    async def _settle(self, name: str, now: datetime) -> list[Claim]:
        settled = await self.ledger.settle(name, now)
        for outcome, number in settled.closed.items():
            self._metrics.runs.labels(name, outcome.value).inc(number)
            _log.warning("slots without a run", job=name, outcome=outcome.value, number=number)
        return settled.claims

    def _start(self, claim: Claim) -> None:
        run = asyncio.create_task(
            self._runner.run(self._jobs[claim.job], claim), name=f"{claim.job} {claim.held.id}"
        )
        self._runs.add(run)
        run.add_done_callback(self._ended)

    def _ended(self, run: asyncio.Task[object]) -> None:
        self._runs.discard(run)
        if not run.cancelled() and run.exception() is not None:
            _log.error("a run was cut off", run=run.get_name(), exc_info=run.exception())

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
