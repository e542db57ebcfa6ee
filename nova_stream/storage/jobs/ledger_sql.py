"""Statements of the ledger of jobs, by name.

Leases are measured by the server's clock, so that all workers agree on them whatever their own
clocks say; slots, starts and ends follow the scheduler's clock, which is passed in.
"""

from __future__ import annotations

#: The outcomes of runs that went well.
WENT_WELL = "('ok', 'late', 'manual')"

# -- jobs ------------------------------------------------------------------------------------------

#: $1 jobs. What a scheduler looks at each time: cheap while nothing is due.
LOOK = """
SELECT j.job, j.schedule, j.start_offset, j.late_after, j.missed, j.accounted_to, j.paused_at,
    j.active, EXISTS (
        SELECT FROM job_runs r
        WHERE r.job = j.job AND r.outcome IS NULL AND r.lease_until < clock_timestamp()
    ) AS orphaned
FROM job_settings j WHERE j.job = ANY($1::text[])
"""

#: $1 job. All who account for a job's slots do so one after another.
LOCK_JOB = """
SELECT job, schedule, start_offset, late_after, missed, accounted_to, paused_at, active
FROM job_settings WHERE job = $1 FOR UPDATE
"""

#: $1 job, $2 schedule, $3-$7 sets of numbers, $8 either_day, $9 start_offset, $10 late_after,
#: $11 missed, $12 timeout, $13 attempts, $14 now: no slot before it is demanded.
INSERT_JOB = """
INSERT INTO job_settings (job, schedule, minutes, hours, days, months, weekdays, either_day,
    start_offset, late_after, missed, timeout, attempts, active,
    created_at, expected_from, accounted_to)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, true, $14, $14, $14)
ON CONFLICT DO NOTHING
"""

#: As INSERT_JOB; $14 is the instant from which slots are expected anew, null to leave that.
UPDATE_JOB = """
UPDATE job_settings SET schedule = $2, minutes = $3, hours = $4, days = $5, months = $6,
    weekdays = $7, either_day = $8, start_offset = $9, late_after = $10, missed = $11,
    timeout = $12, attempts = $13, active = true,
    expected_from = coalesce($14, expected_from),
    accounted_to = greatest(accounted_to, $14)
WHERE job = $1
"""

#: $1: the jobs that there are; others are demanded no longer.
RETIRE_JOBS = "UPDATE job_settings SET active = false WHERE active AND job <> ALL($1::text[])"

#: $1 job, $2 instant, $3 why, null to leave that.
PAUSE = """
UPDATE job_settings SET paused_at = coalesce(paused_at, $2),
    paused_reason = coalesce($3, paused_reason)
WHERE job = $1
"""
#: $1 job, and an instant for the second.
RESUME = "UPDATE job_settings SET paused_at = NULL, paused_reason = NULL WHERE job = $1"
ACCOUNTED = "UPDATE job_settings SET accounted_to = greatest(accounted_to, $2) WHERE job = $1"

# -- slots -----------------------------------------------------------------------------------------

#: $1 job, $2 after, $3 until, $4 now, $5 worker: a line for every slot that nobody will run.
ACCOUNT = """
WITH closed AS (
    INSERT INTO job_runs (job, slot, kind, outcome, scheduled_at, ended_at, worker)
    SELECT j.job, s.slot, 'slot',
        CASE WHEN s.slot + make_interval(secs => j.start_offset + j.late_after) >= j.paused_at
            THEN 'skipped_paused' ELSE 'missed' END,
        s.slot + make_interval(secs => j.start_offset), $4::timestamptz, $5::text
    FROM job_settings j CROSS JOIN LATERAL job_slots(
        j.minutes, j.hours, j.days, j.months, j.weekdays, j.either_day,
        $2::timestamptz, $3::timestamptz
    ) AS s (slot)
    WHERE j.job = $1
    ORDER BY s.slot
    ON CONFLICT DO NOTHING RETURNING outcome
)
SELECT outcome, count(*) AS number FROM closed GROUP BY outcome
"""

#: $1 job. Those whose lease ran out are settled before this is asked.
IS_RUNNING = """
SELECT EXISTS (SELECT FROM job_runs WHERE job = $1 AND outcome IS NULL AND kind = 'slot')
"""

#: $1 job, $2 slot, $3 scheduled_at, $4 late, $5 now, $6 worker, $7 lease in seconds.
OPEN_SLOT = """
INSERT INTO job_runs (job, slot, kind, scheduled_at, late, at, worker, lease_until)
VALUES ($1, $2, 'slot', $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7))
ON CONFLICT DO NOTHING RETURNING id, fence
"""

#: $1 job, $2 slot, $3 scheduled_at, $4 now, $5 worker.
SKIP_OVERLAP = """
INSERT INTO job_runs (job, slot, kind, outcome, scheduled_at, ended_at, worker)
VALUES ($1, $2, 'slot', 'skipped_overlap', $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING id
"""

# -- runs ------------------------------------------------------------------------------------------

#: $1 job, $2 kind, $3 now, $4 at, $5 worker, $6 lease in seconds. Without a worker and with a
#: lease of nothing, the first worker that looks takes it.
OPEN_MANUAL = """
INSERT INTO job_runs (job, kind, scheduled_at, at, worker, lease_until)
VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))
RETURNING id, fence
"""

#: $1 job.
ORPHANS = """
SELECT id, slot, kind, scheduled_at, late, at AS as_of, worker, attempt, fence
FROM job_runs WHERE job = $1 AND outcome IS NULL AND lease_until < clock_timestamp()
ORDER BY id FOR UPDATE
"""

#: $1 run, $2 worker, $3 lease in seconds, $4 at, $5 late.
TAKE = """
UPDATE job_runs SET fence = fence + 1, worker = $2, at = $4, late = $5,
    lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = $1 RETURNING fence
"""

#: $1 run, $2 now, $3 error.
GIVE_UP = """
UPDATE job_runs SET outcome = 'failed', ended_at = $2, error = $3, lease_until = NULL
WHERE id = $1 AND outcome IS NULL
"""

#: $1 run, $2 fence, $3 lease in seconds. No row: the lease was lost.
EXTEND = """
UPDATE job_runs SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = $1 AND fence = $2 AND outcome IS NULL RETURNING id
"""

#: $1 run, $2 fence, $3 lease in seconds, $4 now.
BEGIN_ATTEMPT = """
UPDATE job_runs SET attempt = attempt + 1, started_at = coalesce(started_at, $4),
    lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE id = $1 AND fence = $2 AND outcome IS NULL RETURNING attempt
"""

#: $1 run, $2 fence, $3 outcome, $4 now, $5 duration_ms, $6 rows, $7 counts, $8 result, $9 error,
#: $10 query_ms.
FINISH = """
UPDATE job_runs SET outcome = $3, ended_at = $4, duration_ms = $5, rows = $6, counts = $7::json,
    result = $8::json, error = $9, query_ms = $10, lease_until = NULL
WHERE id = $1 AND fence = $2 AND outcome IS NULL RETURNING id
"""

#: $1 run, $2 fence: any worker may take it at once.
RELEASE = """
UPDATE job_runs SET lease_until = clock_timestamp() - interval '1 millisecond'
WHERE id = $1 AND fence = $2 AND outcome IS NULL
"""

#: $1 run, $2 fence.
HOLDS = "SELECT EXISTS (SELECT FROM job_runs WHERE id = $1 AND fence = $2 AND outcome IS NULL)"

#: $1 the start of the application name of a run's sessions, $2 the one name that may stay.
END_SESSIONS = """
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 2000)) FROM pg_stat_activity
WHERE starts_with(application_name, $1) AND application_name <> $2
    AND usename = current_user AND datname = current_database() AND pid <> pg_backend_pid()
"""

# -- history ---------------------------------------------------------------------------------------

#: When a job ``j`` last ended well. A run that somebody asked for may end after slots that were due
#: later, so that the newest by their times are looked at.
LAST_SUCCESS = f"""(
    SELECT max(w.ended_at) FROM (
        SELECT r.ended_at FROM job_runs r
        WHERE r.job = j.job AND r.outcome IN {WENT_WELL}
        ORDER BY r.scheduled_at DESC LIMIT 20
    ) w
)"""  # noqa: S608 - made from our own constants

#: $1 cut, $2 how many at most.
PRUNE = """
DELETE FROM job_runs WHERE id IN (
    SELECT id FROM job_runs WHERE ended_at < $1 ORDER BY ended_at LIMIT $2
)
"""
#: $1 cut: slots before it are no longer demanded, since their lines are gone.
EXPECT_FROM = "UPDATE job_settings SET expected_from = $1 WHERE expected_from < $1"
