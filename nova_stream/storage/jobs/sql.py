"""Every statement of the operators' readers of jobs, by name."""

from __future__ import annotations

_RUN = """id, job, slot, kind, outcome, scheduled_at, late, at, started_at, ended_at, duration_ms,
    worker, attempt, rows, counts, result, error"""

#: $1 since, $2 now: slots between them that have no line make a job late, and so does a run that
#: nobody has held for longer than a slot may be late.
JOBS = """
SELECT j.job, j.schedule, j.start_offset, j.paused_at, j.paused_reason, (
        SELECT r.ended_at FROM job_runs r
        WHERE r.job = j.job AND r.outcome IN ('ok', 'late', 'manual')
        ORDER BY r.scheduled_at DESC LIMIT 1
    ) AS last_success_at,
    m.job IS NOT NULL OR EXISTS (
        SELECT FROM job_runs r WHERE r.job = j.job AND r.outcome IS NULL
            AND r.lease_until < $2::timestamptz - make_interval(secs => j.late_after)
    ) AS late
FROM job_settings j
LEFT JOIN (SELECT DISTINCT job FROM missing_job_slots($1::timestamptz, $2::timestamptz)) m
    ON m.job = j.job
WHERE j.active
"""


def _newest(condition: str, order: str) -> str:
    # Made from our own constants, never from input.
    return f"""
SELECT r.* FROM job_settings j CROSS JOIN LATERAL (
    SELECT {_RUN} FROM job_runs WHERE job = j.job AND {condition}
    ORDER BY {order} LIMIT 1
) r
WHERE j.active"""  # noqa: S608


#: Each job's newest run that began and ended, and its newest that has not ended; one that has
#: begun goes before one that is only asked for.
LAST_RUNS = _newest("outcome IS NOT NULL AND started_at IS NOT NULL", "scheduled_at DESC, id DESC")
OPEN_RUNS = _newest("outcome IS NULL", "started_at DESC NULLS LAST, id DESC")

_PAGE = f"""
SELECT {_RUN} FROM job_runs
WHERE job = $1 AND (scheduled_at, id) < ($2::text::timestamptz, $3::bigint) {{condition}}
ORDER BY scheduled_at DESC, id DESC LIMIT $4
"""  # noqa: S608 - our own text

#: $1 job, $2 time and $3 id of the place, $4 how many; $5 outcome.
RUNS = _PAGE.format(condition="")
RUNS_OF_OUTCOME = _PAGE.format(condition="AND outcome = $5")

#: $1 job, $2 run.
RUN = f"SELECT {_RUN} FROM job_runs WHERE job = $1 AND id = $2"  # noqa: S608 - our own text

#: $1: alerts before this id; $2: only open ones, only ended ones, or null for all; $3 how many.
ALERTS = """
SELECT id, kind, subject, message, value, began_at, ended_at, ended_at IS NULL AS open
FROM alerts WHERE id < $1 AND ($2::boolean IS NULL OR (ended_at IS NULL) = $2)
ORDER BY id DESC LIMIT $3
"""
