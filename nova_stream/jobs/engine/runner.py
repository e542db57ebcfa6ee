"""Runs one job once: attempts, time limit, heartbeat, outcome, one line of log."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import Any

import msgspec
from asyncpg.connection import LoggedQuery

from nova_stream.clock import Clock
from nova_stream.errors import LeaseLostError, SettingsError, UsageError
from nova_stream.jobs.engine.job import Job, JobContext
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.engine.run import Claim, Kind
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.faults import DATABASE_ERRORS, is_away, name_of
from nova_stream.storage.jobs.ledger import RunResult
from nova_stream.storage.jobs.rows import Outcome
from nova_stream.telemetry import get_logger
from nova_stream.tracing import mark_failed, spanning, tracer_of

_log = get_logger(__name__)

#: A run that does not stop when it is told to is left behind after this. Seconds.
_STOPPING_S = 5.0
#: For so long a run's end is offered to a ledger that is away. Seconds.
_OFFERED_S = 300.0
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 60.0
#: Trying again gives the same: somebody has to act, or another worker has the run.
_FINAL = (LeaseLostError, SettingsError, UsageError)


class RunEnd(msgspec.Struct, frozen=True):
    """How a run ended; ``recorded`` tells whether the ledger has it."""

    outcome: Outcome
    ended: RunResult
    recorded: bool


class _Stopwatch:
    """How long a run takes, and of it the statements of all its attempts, as this process waits
    for them; those of two sessions at one moment both count.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._queries = 0.0

    def add_query(self, statement: LoggedQuery) -> None:
        self._queries += statement.elapsed

    @property
    def duration_ms(self) -> float:
        return round((time.monotonic() - self._started) * 1000, 3)

    @property
    def query_ms(self) -> float:
        return round(self._queries * 1000, 3)


class _Resources:
    """The sessions and the publisher that a run has open, closed when it ends."""

    def __init__(
        self, settings: Settings, ledger: Ledger, claim: Claim | None, watch: _Stopwatch
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._claim = claim
        self._watch = watch
        self._sessions: list[Connection] = []
        self._publisher: ChangePublisher | None = None

    async def connect(self) -> Connection:
        if self._claim is None:
            session = await connect(self._settings, "job")
        else:
            session = await self._ledger.open_session(self._claim)
        self._sessions.append(session)
        session.add_query_logger(self._watch.add_query)
        return session

    async def publisher(self) -> ChangePublisher:
        if self._publisher is None:
            publisher = ChangePublisher(self._settings, source_name="jobs")
            await publisher.start()
            self._publisher = publisher
        return self._publisher

    async def fence(self) -> None:
        if self._claim is not None:
            await self._ledger.extend(self._claim)

    async def close(self) -> None:
        for session in self._sessions:
            session.terminate()  # what is not committed is rolled back
        if self._publisher is not None:
            with contextlib.suppress(Exception):
                await self._publisher.close()


class Runner:
    """Makes the runs that a ledger handed out."""

    def __init__(
        self, settings: Settings, ledger: Ledger, clock: Clock, metrics: JobMetrics
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics
        self._tracer = tracer_of(settings)

    async def run(self, job: Job, claim: Claim) -> RunEnd | None:
        """Make the run and close its line; None when another worker took it meanwhile.

        Cancelled, it gives the slot back for another worker to take up at once.
        """
        if self._tracer is None:
            return await self._run(job, claim)
        attributes = {
            "nova.job.name": job.name,
            "nova.job.run": claim.held.id,
            "nova.job.kind": claim.kind.value,
        }
        with spanning(self._tracer, f"job {job.name}", "INTERNAL", attributes) as span:
            finished = await self._run(job, claim)
            if finished is not None:
                span.set_attribute("nova.job.outcome", finished.outcome.value)
                if finished.outcome is not claim.success:
                    mark_failed(span)
            return finished

    async def _run(self, job: Job, claim: Claim) -> RunEnd | None:
        watch = _Stopwatch()
        work = asyncio.create_task(self._attempts(job, claim, watch))
        beat = asyncio.create_task(self._hold(claim))
        self._metrics.running.labels(job.name).inc()
        try:
            await asyncio.wait(
                {work, beat}, timeout=job.policy.timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if beat.done() and not work.done():
                await _stop(work)
                self._log_lost(job, claim)
                return None
            outcome, ended = await self._judge(job, claim, work, watch)
            return await self._close(job, claim, outcome, ended)
        except asyncio.CancelledError:
            await _stop(work)
            await self._give_back(job, claim, watch)
            raise
        finally:
            self._metrics.running.labels(job.name).dec()
            beat.cancel()

    async def run_unrecorded(self, job: Job, claim: Claim) -> RunEnd:
        """Make a run that the ledger cannot have, because it is away; one attempt."""
        watch = _Stopwatch()
        resources = _Resources(self._settings, self._ledger, None, watch)
        work = asyncio.create_task(self._once(job, claim, resources, run_id=None))
        await asyncio.wait({work}, timeout=job.policy.timeout)
        outcome, ended = await self._judge(job, claim, work, watch)
        self._report(job, claim, outcome, ended)
        return RunEnd(outcome, ended, recorded=False)

    async def _attempts(self, job: Job, claim: Claim, watch: _Stopwatch) -> msgspec.Struct:
        for attempt in range(1, job.policy.attempts + 1):
            resources = _Resources(self._settings, self._ledger, claim, watch)
            run_id = None if claim.kind is Kind.DRY_RUN else claim.held.id
            try:
                await self._ledger.begin_attempt(claim)
                return await self._once(job, claim, resources, run_id=run_id)
            except _FINAL:
                raise
            except Exception as error:
                if attempt == job.policy.attempts:
                    raise
                pause = min(job.policy.first_pause * 2 ** (attempt - 1), _LONGEST_PAUSE_S)
                pause *= random.uniform(0.5, 1.5)  # noqa: S311 - so that not all come at once
                _log.warning(
                    "a job's attempt failed",
                    job=job.name,
                    run=claim.held.id,
                    attempt=attempt,
                    error=name_of(error),
                    pause=round(pause, 3),
                )
                await asyncio.sleep(pause)
        raise AssertionError("a policy has at least one attempt")

    async def _once(
        self, job: Job, claim: Claim, resources: _Resources, *, run_id: int | None
    ) -> msgspec.Struct:
        context = JobContext(
            settings=self._settings,
            now=claim.as_of,
            dry_run=claim.kind is Kind.DRY_RUN,
            run_id=run_id,
            connect=resources.connect,
            publisher=resources.publisher,
            fence=resources.fence,
        )
        try:
            return await job.run_once(context)
        finally:
            await resources.close()

    async def _hold(self, claim: Claim) -> None:
        """Extend the lease until it is lost; a ledger that is away is asked again."""
        while True:
            await asyncio.sleep(self._ledger.lease / 3)
            try:
                await self._ledger.extend(claim)
            except LeaseLostError:
                return
            except Exception as error:
                _log.warning(
                    "a lease could not be extended",
                    job=claim.job,
                    run=claim.held.id,
                    error=name_of(error),
                )

    async def _judge(
        self,
        job: Job,
        claim: Claim,
        work: asyncio.Task[msgspec.Struct],
        watch: _Stopwatch,
    ) -> tuple[Outcome, RunResult]:
        result: bytes | None = None
        error: str | None = None
        if not work.done():
            await _stop(work)
            outcome = Outcome.TIMED_OUT
            error = f"not done after {job.policy.timeout:g} s"
        elif work.cancelled():
            outcome = Outcome.FAILED
            error = "CancelledError: the job cancelled itself"
        elif (raised := work.exception()) is not None:
            outcome = Outcome.FAILED
            error = f"{type(raised).__name__}: {raised}".replace("\0", "")
        else:
            outcome = claim.success
            result = msgspec.json.encode(work.result())
        counts = _counts(result)
        return outcome, RunResult(
            outcome=outcome.value,
            at=self._clock(),
            duration_ms=watch.duration_ms,
            rows=next(iter(counts.values()), None),
            counts=counts or None,
            result=result,
            error=error,
            query_ms=watch.query_ms,
        )

    async def _close(
        self, job: Job, claim: Claim, outcome: Outcome, ended: RunResult
    ) -> RunEnd | None:
        """Close the line, also when the ledger comes back only after a while."""
        deadline = time.monotonic() + _OFFERED_S
        while True:
            try:
                await self._ledger.finish(claim, ended)
            except LeaseLostError:
                self._log_lost(job, claim)
                return None
            except DATABASE_ERRORS as error:
                if not is_away(error) or time.monotonic() > deadline:
                    _log.error(
                        "a run's end could not be recorded",
                        job=job.name,
                        run=claim.held.id,
                        error=name_of(error),
                    )
                    return RunEnd(outcome, ended, recorded=False)
                await asyncio.sleep(_PAUSE_S)
            else:
                self._report(job, claim, outcome, ended)
                return RunEnd(outcome, ended, recorded=True)

    async def _give_back(self, job: Job, claim: Claim, watch: _Stopwatch) -> None:
        """The process ends: a slot goes to another worker, a run by hand is over."""
        with contextlib.suppress(Exception):
            if claim.kind is Kind.SLOT:
                await self._ledger.release(claim)
                return
            ended = RunResult(
                outcome=Outcome.FAILED.value,
                at=self._clock(),
                duration_ms=watch.duration_ms,
                rows=None,
                counts=None,
                result=None,
                error="interrupted",
                query_ms=watch.query_ms,
            )
            await self._ledger.finish(claim, ended)
            self._report(job, claim, Outcome.FAILED, ended)

    def _report(self, job: Job, claim: Claim, outcome: Outcome, ended: RunResult) -> None:
        """One line, with numbers only: an error's words may hold what belongs to somebody."""
        self._metrics.runs.labels(job.name, outcome.value).inc()
        self._metrics.seconds.labels(job.name).observe(ended.duration_ms / 1000)
        good = outcome is claim.success
        if good:
            self._metrics.last_success.labels(job.name).set(ended.at.timestamp())
            self._metrics.rows.labels(job.name).inc(ended.rows or 0)
        say = _log.info if good else _log.error
        say(
            "job",
            job=job.name,
            run=claim.held.id,
            outcome=outcome.value,
            slot=None if claim.slot is None else claim.slot.isoformat(),
            duration_ms=ended.duration_ms,
            query_ms=ended.query_ms,
            **(ended.counts or {}),
            error=None if ended.error is None else ended.error.split(":")[0],
        )

    def _log_lost(self, job: Job, claim: Claim) -> None:
        _log.warning(
            "a run was taken by another worker",
            job=job.name,
            run=claim.held.id,
            fence=claim.held.fence,
        )


async def _stop(work: asyncio.Task[Any]) -> None:
    """Cancel, and wait a little: what does not stop is left behind without its sessions."""
    work.cancel()
    await asyncio.wait({work}, timeout=_STOPPING_S)


def _counts(result: bytes | None) -> dict[str, int]:
    """The whole numbers of a result, in its order: the first is what the job handled."""
    fields = msgspec.json.decode(result) if result is not None else {}
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
