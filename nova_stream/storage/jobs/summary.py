"""What each job did in a range of time, summed up from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.jobs.ledger_sql import WENT_WELL
from nova_stream.storage.jobs.read import RUN_COLUMNS, run_of
from nova_stream.storage.jobs.rows import JobSummary
from nova_stream.storage.lists.statements import OpenRange

#: $1 and $2: the lines that were due from the one time on and before the other.
_SPAN = """
    scheduled_at >= coalesce($1::text::timestamptz, '-infinity')
    AND scheduled_at < coalesce($2::text::timestamptz, 'infinity')
"""
# Made from our own constants, never from input.
_OUTCOMES = f"""
SELECT job,
    count(*) FILTER (WHERE outcome IN {WENT_WELL}) AS good,
    count(*) FILTER (WHERE outcome IN ('failed', 'timed_out', 'missed')) AS bad,
    count(*) FILTER (WHERE outcome IN ('skipped_overlap', 'skipped_paused')) AS skipped,
    count(*) FILTER (WHERE outcome = 'dry_run') AS dry_runs,
    count(*) FILTER (WHERE outcome IS NULL) AS unended
FROM job_runs WHERE {_SPAN} GROUP BY job
"""  # noqa: S608
_COUNTS = f"""
SELECT job, e.key AS name, sum(e.value::bigint)::bigint AS sum
FROM job_runs CROSS JOIN LATERAL json_each_text(counts) e
WHERE {_SPAN} AND outcome IN {WENT_WELL} GROUP BY job, e.key
"""  # noqa: S608
_LAST = f"""
SELECT DISTINCT ON (job) {RUN_COLUMNS} FROM job_runs
WHERE {_SPAN} AND started_at IS NOT NULL ORDER BY job, scheduled_at DESC, id DESC
"""  # noqa: S608
_MISSING = "SELECT job, count(*) AS slots FROM missing_job_slots($1, $2) GROUP BY job"


class Watched(NamedTuple):
    """The times within which slots without a line are looked for."""

    since: datetime
    until: datetime


async def job_summaries(
    connection: Connection, jobs: Sequence[str], span: OpenRange, watched: Watched
) -> list[JobSummary]:
    """What each of ``jobs`` did of what was due within ``span``, in their order, then what others
    did that were jobs then. Raises what asyncpg raises; needs a connection that is in no
    transaction.
    """
    async with snapshot(connection):
        outcomes = {row["job"]: row for row in await connection.fetch(_OUTCOMES, *span)}
        counted = await connection.fetch(_COUNTS, *span)
        last = {row["job"]: run_of(row) for row in await connection.fetch(_LAST, *span)}
        missing = (
            await connection.fetch(_MISSING, *watched) if watched.since < watched.until else []
        )
    lacking = {row["job"]: row["slots"] for row in missing}
    names = [*jobs, *sorted(outcomes.keys() - set(jobs))]
    nothing = dict.fromkeys(("good", "bad", "skipped", "dry_runs", "unended"), 0)
    return [
        JobSummary(
            **{"job": name, **nothing, **dict(outcomes.get(name, {}))},
            missing=lacking.get(name, 0),
            counts={row["name"]: row["sum"] for row in counted if row["job"] == name},
            last_run=last.get(name),
        )
        for name in names
    ]
