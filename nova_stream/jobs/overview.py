"""The jobs as operators look at them: what the ledger has, beside what alerts go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from nova_stream.clock import isoformat
from nova_stream.jobs.alerting.alerts import (
    BASELINE,
    LOOKED_BACK,
    baseline,
    query_baseline,
    share_of_good,
)
from nova_stream.jobs.engine.cron import offset_of, parse, schedule_of
from nova_stream.jobs.engine.job import Job
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection
from nova_stream.storage.jobs.read import StoredJob, stored_jobs
from nova_stream.storage.jobs.rows import JobOverview


async def job_overviews(
    settings: Settings, jobs: Sequence[Job], connection: Connection, now: datetime
) -> list[JobOverview]:
    """Every job as the workers have it, or, before the first worker, as it would begin.

    Raises what asyncpg raises, SettingsError.
    """
    facts = max(settings.alert_runs, BASELINE + 1)
    known = await stored_jobs(connection, facts, now - LOOKED_BACK, now)
    return [_overview(settings, job, known, now) for job in jobs]


def _overview(
    settings: Settings, job: Job, known: Mapping[str, StoredJob], now: datetime
) -> JobOverview:
    stored = known.get(job.name)
    if stored is None:
        stored = StoredJob(
            job=job.name,
            schedule=schedule_of(settings, job).text,
            start_offset=offset_of(settings, job),
            paused_at=None,
            paused_reason=None,
            last_success_at=None,
            late=False,
            last_run=None,
            running=None,
            facts=[],
        )
    share = share_of_good(settings, stored.facts)
    offset = timedelta(seconds=stored.start_offset)
    return JobOverview(
        name=job.name,
        description=job.description,
        schedule=stored.schedule,
        paused=stored.paused_at is not None,
        paused_at=_time(stored.paused_at),
        paused_reason=stored.paused_reason,
        next_run=isoformat(parse(stored.schedule).next(now - offset) + offset),
        last_run=stored.last_run,
        running=stored.running,
        last_success_at=_time(stored.last_success_at),
        median_duration_ms=baseline(stored.facts),
        median_query_ms=query_baseline(stored.facts),
        success_rate=share.percent,
        runs=share.runs,
        undoable=job.undo is not None,
        late=stored.late,
    )


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else isoformat(instant)
