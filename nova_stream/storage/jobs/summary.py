"""What each job did in a range of time, summed up from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.jobs.ledger_sql import WENT_WELL
from nova_stream.storage.jobs.read import ENDED, HOW, RUN_COLUMNS, run_of
from nova_stream.storage.jobs.rows import Ends, How, JobSummary, Run
from nova_stream.storage.jobs.sentences import did_together
from nova_stream.storage.lists.statements import OpenRange

#: $1 and $2: the lines that were due from the one time on and before the other.
_SPAN = """
    scheduled_at >= coalesce($1::text::timestamptz, '-infinity')
    AND scheduled_at < coalesce($2::text::timestamptz, 'infinity')
"""
# Made from our own constants, never from input.
_ENDS = f"""
SELECT job, how, ended, count(*) AS number
FROM (SELECT job, {HOW} AS how, {ENDED} AS ended FROM job_runs WHERE {_SPAN}) r
GROUP BY job, how, ended
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


#: How many runs ended in each way, by how they were started.
_EndsByHow = dict[How, dict[str, int]]


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
        ends: dict[str, _EndsByHow] = {}
        for row in await connection.fetch(_ENDS, *span):
            of_job = ends.setdefault(row["job"], {how: {} for how in How})
            of_job[How(row["how"])][row["ended"]] = row["number"]
        counted = await connection.fetch(_COUNTS, *span)
        last = {row["job"]: run_of(row) for row in await connection.fetch(_LAST, *span)}
        missing = (
            await connection.fetch(_MISSING, *watched) if watched.since < watched.until else []
        )
    lacking = {row["job"]: row["slots"] for row in missing}
    return [
        _summary(
            name,
            ends.get(name, {how: {} for how in How}),
            {row["name"]: row["sum"] for row in counted if row["job"] == name},
            last.get(name),
            lacking.get(name, 0),
        )
        for name in [*jobs, *sorted(ends.keys() - set(jobs))]
    ]


def _summary(
    job: str, ends: _EndsByHow, counts: dict[str, int], last: Run | None, missing: int
) -> JobSummary:
    by_how = {how.value: Ends(**numbers) for how, numbers in ends.items()}
    dry = by_how["dry_run"]
    every, meant = [*by_how.values()], [ends for ends in by_how.values() if ends is not dry]
    good = sum(ends.went_well for ends in meant)
    return JobSummary(
        job=job,
        **by_how,
        good=good,
        bad=sum(ends.went_wrong + ends.missed for ends in every),
        skipped=sum(ends.skipped for ends in every),
        dry_runs=dry.went_well,
        unended=sum(ends.running for ends in every),
        missing=missing,
        counts=counts,
        did=(did_together(job, counts) if good else None) or (last.did if last else None),
        last_run=last,
    )
