"""Running a job in this process: because somebody asked for it, or for a slot of before."""

from __future__ import annotations

from datetime import datetime

from prometheus_client import CollectorRegistry

from nova_stream.clock import system_clock
from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.jobs.engine.metrics import JobMetrics
from nova_stream.jobs.engine.run import Claim, Kind
from nova_stream.jobs.engine.runner import RunEnd, Runner
from nova_stream.settings import Settings
from nova_stream.storage.faults import DATABASE_ERRORS, is_away
from nova_stream.storage.jobs.ledger import HeldRun


async def run_manually(
    settings: Settings, job: Job, *, dry_run: bool, as_of: datetime | None
) -> RunEnd | None:
    """Run ``job`` once, now; ``as_of`` is the time that it is to believe in.

    None when another process took the run because this one had stopped for too long. Raises
    DatabaseUnavailableError while Postgres is away, unless the job can run without a ledger, and
    SchemaVersionError.
    """
    ledger, runner = _tools(settings, job)
    try:
        try:
            await ledger.check()
            claim = await ledger.open_manual(job.name, as_of=as_of, dry_run=dry_run)
        except DATABASE_ERRORS as error:
            if not (job.without_ledger and is_away(error)):
                raise
            return await runner.run_unrecorded(job, _unrecorded(job, as_of, dry_run=dry_run))
        return await runner.run(job, claim)
    finally:
        ledger.close()


async def run_earlier(settings: Settings, job: Job, slot: datetime) -> RunEnd | None:
    """Catch up a slot from before the job was known here, as of now.

    None where the slot has its line already, or another process took the run. Raises what
    ``run_manually`` does.
    """
    ledger, runner = _tools(settings, job)
    try:
        await ledger.check()
        claim = await ledger.open_earlier(job.name, slot)
        return None if claim is None else await runner.run(job, claim)
    finally:
        ledger.close()


def _tools(settings: Settings, job: Job) -> tuple[Ledger, Runner]:
    ledger = Ledger(settings, [job], system_clock)
    return ledger, Runner(settings, ledger, system_clock, JobMetrics(CollectorRegistry()))


def _unrecorded(job: Job, as_of: datetime | None, *, dry_run: bool) -> Claim:
    kind = Kind.DRY_RUN if dry_run else Kind.MANUAL
    return Claim(job.name, HeldRun(0, 0), kind, None, as_of or system_clock())
