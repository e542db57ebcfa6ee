"""The jobs as people ask for them: schedule, next slot, last run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from nova_stream.clock import Clock, isoformat, system_clock
from nova_stream.jobs.engine.cron import offset_of, parse, schedule_of
from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.settings import Settings
from nova_stream.storage.jobs.ledger import Listed


async def list_jobs(
    settings: Settings, jobs: Sequence[Job], clock: Clock = system_clock
) -> list[dict[str, Any]]:
    """Every job as the workers have it, or, before the first worker, as it would begin.

    Raises DatabaseUnavailableError, SchemaVersionError, SettingsError.
    """
    ledger = Ledger(settings, jobs, clock)
    try:
        await ledger.check()
        async with ledger.store() as store:
            known = {listed.job: listed for listed in await store.jobs()}
    finally:
        ledger.close()
    return [_shown(settings, job, known.get(job.name), clock()) for job in jobs]


def _shown(settings: Settings, job: Job, known: Listed | None, now: datetime) -> dict[str, Any]:
    schedule = schedule_of(settings, job) if known is None else parse(known.schedule)
    offset = timedelta(seconds=offset_of(settings, job) if known is None else known.start_offset)
    return {
        "name": job.name,
        "description": job.description,
        "schedule": schedule.text,
        "nextSlot": isoformat(schedule.next(now - offset)),
        "run": known.run if known else None,
        "lastRun": isoformat(known.last_run) if known and known.last_run else None,
        "outcome": known.outcome if known else None,
        "durationMs": known.duration_ms if known else None,
        "paused": bool(known and known.paused_at),
    }
