"""The operators' reads of jobs, runs and alerts. All raise what asyncpg raises, and need a
connection that is in no transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec

from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.jobs.alerts import AlertStore, RunFacts
from nova_stream.storage.jobs.ledger_sql import LAST_SUCCESS
from nova_stream.storage.jobs.rows import (
    ALERT_COLUMNS,
    Alert,
    AlertKind,
    Ended,
    How,
    Outcome,
    Run,
    alert_of,
)
from nova_stream.storage.jobs.sentences import did
from nova_stream.storage.lists.lines import LinePlace, Lines, read_lines, words
from nova_stream.storage.lists.statements import OpenRange
from nova_stream.storage.places import Cursor, FoundPage
from nova_stream.storage.stats.rows import times_as_text

#: How a line was started, and how it ended: ``How`` and ``Ended`` of what is stored.
HOW = """CASE kind WHEN 'manual' THEN 'by_hand' WHEN 'dry_run' THEN 'dry_run'
    ELSE CASE WHEN late THEN 'caught_up' ELSE 'scheduled' END END"""
ENDED = """CASE WHEN outcome IS NULL THEN 'running' WHEN outcome = 'missed' THEN 'missed'
    WHEN outcome IN ('skipped_overlap', 'skipped_paused') THEN 'skipped'
    WHEN outcome IN ('failed', 'timed_out') THEN 'went_wrong' ELSE 'went_well' END"""

#: What ``run_of`` reads.
RUN_COLUMNS = f"""
    id, job, slot, kind, outcome, scheduled_at, late, at, started_at, ended_at, duration_ms,
    query_ms, worker, attempt, rows, counts, result, error, {HOW} AS how, {ENDED} AS ended
"""
#: A run that was told no time takes that of the call or of its start, which are nearer than this.
_AT_ONCE = timedelta(minutes=1)
_ANY_OF = "ANY (string_to_array({value}, ','))"

#: $1 since, $2 now: slots between them that have no line make a job late, and so does a run that
#: nobody has held for longer than a slot may be late.
_JOBS = f"""
SELECT j.job, j.schedule, j.start_offset, j.paused_at, j.paused_reason,
    {LAST_SUCCESS} AS last_success_at,
    m.job IS NOT NULL OR EXISTS (
        SELECT FROM job_runs r WHERE r.job = j.job AND r.outcome IS NULL
            AND r.lease_until < $2::timestamptz - make_interval(secs => j.late_after)
    ) AS late
FROM job_settings j
LEFT JOIN (SELECT DISTINCT job FROM missing_job_slots($1::timestamptz, $2::timestamptz)) m
    ON m.job = j.job
WHERE j.active
"""  # noqa: S608 - our own text


def _newest(condition: str, order: str) -> str:
    # Made from our own constants, never from input.
    return f"""
SELECT r.* FROM job_settings j CROSS JOIN LATERAL (
    SELECT {RUN_COLUMNS} FROM job_runs WHERE job = j.job AND {condition}
    ORDER BY {order} LIMIT 1
) r
WHERE j.active"""  # noqa: S608


#: Each job's newest run that began and ended, and its newest that has not ended; one that has
#: begun goes before one that is only asked for.
_LAST_RUNS = _newest("outcome IS NOT NULL AND started_at IS NOT NULL", "scheduled_at DESC, id DESC")
_OPEN_RUNS = _newest("outcome IS NULL", "started_at DESC NULLS LAST, id DESC")

_RUNS = Lines(
    f"SELECT {RUN_COLUMNS} FROM job_runs",  # noqa: S608 - our own text
    "scheduled_at",
    {
        "job": "job = {value}",
        "outcome": f"outcome = {_ANY_OF}",
        "how": f"({HOW}) = {_ANY_OF}",
        "ended": f"({ENDED}) = {_ANY_OF}",
    },
    {"scheduled_at": "timestamptz", "id": "bigint"},
)
#: Those of all jobs that have any: a step of the index for each.
_ALL_RUNS = _RUNS._replace(
    parts="""
WITH RECURSIVE jobs (part) AS (
    SELECT min(job) FROM job_runs
    UNION ALL
    SELECT (SELECT min(job) FROM job_runs WHERE job > part) FROM jobs WHERE part IS NOT NULL
)
SELECT part FROM jobs WHERE part IS NOT NULL""",
    part="job",
)

#: $1 job, $2 run.
_RUN = f"SELECT {RUN_COLUMNS} FROM job_runs WHERE job = $1 AND id = $2"  # noqa: S608 - our own text

_ALERTS = Lines(
    f"SELECT {ALERT_COLUMNS} FROM alerts",  # noqa: S608 - our own text
    "began_at",
    {
        "is_open": "(ended_at IS NULL) = {value}",
        "kind": "kind = {value}",
        "q": words("subject", "message"),
    },
)


class StoredJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the ledger has it, with its newest runs; ``facts`` are the newest that ended."""

    job: str
    schedule: str
    start_offset: float
    paused_at: datetime | None
    paused_reason: str | None
    last_success_at: datetime | None
    late: bool
    last_run: Run | None
    running: Run | None
    facts: list[RunFacts]


async def stored_jobs(
    connection: Connection, facts: int, since: datetime, now: datetime
) -> dict[str, StoredJob]:
    """All active jobs by name, each with up to ``facts`` of its newest ended runs; slots without
    a line are looked for from ``since`` on.
    """
    async with snapshot(connection):
        jobs = await connection.fetch(_JOBS, since, now)
        last = _by_job(await connection.fetch(_LAST_RUNS))
        running = _by_job(await connection.fetch(_OPEN_RUNS))
        found = await AlertStore(connection).runs(facts)
    return {
        row["job"]: StoredJob(
            **row,
            last_run=last.get(row["job"]),
            running=running.get(row["job"]),
            facts=[run for run in found if run.job == row["job"]],
        )
        for row in jobs
    }


async def runs(
    connection: Connection,
    job: str | None,
    limit: int,
    cursor: Cursor[LinePlace] | None = None,
    span: OpenRange | None = None,
    *,
    how: str | None = None,
    ended: str | None = None,
    outcome: str | None = None,
) -> FoundPage[Run, LinePlace]:
    """A page of a job's runs and slots, or of all jobs', newest first; ``span`` is of the times
    they were due, ``how``, ``ended`` and ``outcome`` are one or several, separated by commas.
    """
    lines = _ALL_RUNS if job is None else _RUNS
    given = {"job": job, "how": how, "ended": ended, "outcome": outcome}
    found = await read_lines(connection, lines, limit, cursor, span, **given)
    return found.of(run_of)


async def job_of_run(connection: Connection, id_: int) -> str | None:
    """The job that a run is one of; None when the ledger has no run of this number."""
    return await connection.fetchval("SELECT job FROM job_runs WHERE id = $1", id_)  # type: ignore[no-any-return]


async def run(connection: Connection, job: str, id_: int) -> Run | None:
    """A job's run; None when it has none of this number."""
    row = await connection.fetchrow(_RUN, job, id_)
    return None if row is None else run_of(row)


async def alerts(
    connection: Connection,
    limit: int,
    cursor: Cursor[LinePlace] | None = None,
    span: OpenRange | None = None,
    *,
    is_open: bool | None = None,
    kind: AlertKind | None = None,
    q: str | None = None,
) -> FoundPage[Alert, LinePlace]:
    """A page of alerts, newest first: all, or only those that are (not) open, of a kind, with a
    text; ``span`` is of their begin.
    """
    given = {"is_open": is_open, "kind": kind, "q": q}
    found = await read_lines(connection, _ALERTS, limit, cursor, span, **given)
    return found.of(alert_of)


def _by_job(rows: list[asyncpg.Record]) -> dict[str, Run]:
    return {row["job"]: run_of(row) for row in rows}


def run_of(row: asyncpg.Record) -> Run:
    """A run from a row with ``RUN_COLUMNS``."""
    fields = times_as_text(dict(row))
    for name in ("counts", "result"):
        if fields[name] is not None:
            fields[name] = msgspec.json.decode(fields[name])
    kind = fields.pop("kind")
    if fields["outcome"] is not None:
        fields["outcome"] = Outcome(fields["outcome"])
    fields["how"], fields["ended"] = How(fields["how"]), Ended(fields["ended"])
    return Run(
        run_id=fields.pop("id"),
        state=_state(row),
        trigger="schedule" if kind == "slot" else "manual",
        as_of=fields["at"] if kind != "slot" and _as_of_another_time(row) else None,
        dry_run=kind == "dry_run",
        did=did(row["job"], row["outcome"], fields["result"], dry_run=kind == "dry_run"),
        **fields,
    )


def _as_of_another_time(row: asyncpg.Record) -> bool:
    # A run that was told no time works as of when it began.
    began = row["started_at"] or row["scheduled_at"]
    return row["at"] is not None and abs(row["at"] - began) > _AT_ONCE


def _state(row: asyncpg.Record) -> Any:
    if row["outcome"] is not None:
        return "ended"
    return "pending" if row["started_at"] is None else "running"
