"""``nova-stream status``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import typer

from nova_stream.cli.run_words import how_it_ended, words
from nova_stream.cli.start import prepare_quiet
from nova_stream.cli.tables import (
    Json,
    duration_text,
    print_fields,
    print_json,
    print_table,
    seconds_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nova_stream.settings import Settings
    from nova_stream.storage.jobs.rows import Alert, JobOverview
    from nova_stream.storage.stats.status import AuditRow, StreamStatus

#: Alerts that are shown.
_MOST = 100
#: What a server does that is not up.
_DOES = {
    "up": "up",
    "silent": "DOES NOT ANSWER",
    "refusing": "REFUSES CONNECTIONS",
    "unresolved": "its host's name is NOT KNOWN",
}


class _Status(NamedTuple):
    """The stream's state; jobs and alerts are None while Postgres is away."""

    stream: StreamStatus
    jobs: list[JobOverview] | None
    alerts: list[Alert] | None


def status(*, as_json: Json = False) -> int:
    """Show Kafka, Postgres, workers, lag, freshness, dead letters, jobs and open alerts.

    Exit status 1 while nothing is applied: Kafka or Postgres is away, or no worker runs. Times are
    UTC.
    """
    settings = prepare_quiet()
    found = asyncio.run(_look(settings))
    if as_json:
        print_json(found._asdict())
    else:
        print_fields(list(_lines(settings, found)))
        if found.jobs is not None:
            typer.echo()
            columns = ("job", "last run", "how", "ended", "took", "next run", "")
            print_table(columns, [_job(job) for job in found.jobs])
    stream = found.stream
    return 0 if stream.kafka_up and stream.database_up and stream.workers else 1


async def _look(settings: Settings) -> _Status:
    from nova_stream.api.database import Database
    from nova_stream.api.stream_watch import StreamWatch
    from nova_stream.clock import system_clock
    from nova_stream.jobs.overview import job_overviews
    from nova_stream.jobs.registry import JOBS
    from nova_stream.storage.jobs.read import alerts

    database = Database(settings, size=1)
    watch = StreamWatch(settings, database)
    try:
        stream = await watch.look()
        if not stream.database_up:
            return _Status(stream, None, None)
        async with database.look() as connection:
            jobs = await job_overviews(settings, JOBS, connection, system_clock())
            opened = (await alerts(connection, _MOST, is_open=True)).rows
        return _Status(stream, jobs, opened)
    finally:
        await watch.close()
        await database.close()


def _lines(settings: Settings, found: _Status) -> Iterator[tuple[str, str]]:
    from nova_stream.storage.database import describe

    stream = found.stream
    yield "Kafka", f"{_DOES[stream.kafka_state]}: {', '.join(settings.kafka_brokers)}"
    yield "Postgres", f"{_DOES[stream.database_state]}: {describe(settings)}"
    none = "none; start one with `nova-stream worker`"
    yield "Workers", none if stream.workers == 0 else _known(stream.workers)
    wait = " record waits" if stream.lag == 1 else " records wait"
    yield "Lag", _known(stream.lag) + ("" if stream.lag is None else wait)
    for topic in stream.topics or ():
        if topic.lag:
            among = f"{topic.partitions_waiting} of {topic.partitions} partitions"
            yield "", f"{topic.lag} in {topic.topic}, in {among}"
    if stream.outlook:
        yield "Outlook", stream.outlook.advice
    for held in stream.held_back or ():
        place = f"{held.topic}/{held.partition}"
        yield "Held back", f"up to {held.records} records of {place} by an open transaction"
    if found.alerts is None:
        return
    yield "Freshness", _freshness(stream)
    yield (
        "Applied",
        f"last at {stream.last_applied_at}" if stream.last_applied_at else "nothing yet",
    )
    agents = _audit(stream.last_audit, found.jobs, "computeAgentStats")
    builds = _audit(stream.last_build_audit, found.jobs, "refreshBuildStats")
    yield "Audits", f"agents {agents}; builds {builds}"
    letters = stream.open_dead_letters
    more = " open; nova-stream dead-letters list --state open" if letters else ""
    yield "Dead letters", "none open" if letters == 0 else _known(letters) + more
    yield "Alerts", f"{len(found.alerts)} open" if found.alerts else "none open"
    for alert in found.alerts:
        yield "", f"{alert.kind} {alert.subject} since {alert.began_at}: {alert.message}"


def _freshness(stream: StreamStatus) -> str:
    if stream.freshness_ms is None:
        return "not known: no change was applied lately that tells"
    found = duration_text(stream.freshness_ms)
    if stream.workers == 0:
        return f"old: {found} when a worker last applied a change"
    return f"{found} from a change to its figures"


def _known(value: object) -> str:
    return "not known" if value is None else str(value)


def _audit(audit: AuditRow | None, jobs: list[JobOverview] | None, job: str) -> str:
    """What the job found that compares all figures; before its first run, when that is due."""
    if audit is None:
        due = [f": {job} is due at {each.next_run}" for each in jobs or () if each.name == job]
        return f"not compared yet{''.join(due)}"
    return f"{'exact' if audit.drift == 0 else f'{audit.drift} FIGURES WRONG'} at {audit.at}"


def _job(job: JobOverview) -> tuple[object, ...]:
    run = job.running or job.last_run
    state = f"paused: {job.paused_reason or 'no reason given'}" if job.paused else ""
    return (
        job.name,
        (run.started_at or run.scheduled_at) if run else "never",
        words(run.how) if run else "-",
        how_it_ended(run) if run else "-",
        seconds_text(run.duration_ms if run else None),
        job.next_run,
        state or ("late" if job.late else ""),
    )
