"""The ledger of jobs: settings, runs, expected slots in SQL, alerts."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# ``json`` keeps the order of a result's fields, which people read from left to right.
TABLES = (
    """
CREATE TABLE job_settings (
    job TEXT NOT NULL,
    schedule TEXT NOT NULL,
    minutes INTEGER[] NOT NULL,
    hours INTEGER[] NOT NULL,
    days INTEGER[] NOT NULL,
    months INTEGER[] NOT NULL,
    weekdays INTEGER[] NOT NULL,
    either_day BOOLEAN NOT NULL,
    start_offset DOUBLE PRECISION NOT NULL,
    late_after DOUBLE PRECISION NOT NULL,
    missed TEXT NOT NULL,
    timeout DOUBLE PRECISION NOT NULL,
    attempts INTEGER NOT NULL,
    active BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expected_from TIMESTAMP WITH TIME ZONE NOT NULL,
    accounted_to TIMESTAMP WITH TIME ZONE NOT NULL,
    paused_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (job),
    CONSTRAINT job_settings_missed_known CHECK (missed in ('latest', 'skip'))
)""",
    """
CREATE TABLE job_runs (
    id BIGSERIAL NOT NULL,
    job TEXT NOT NULL,
    slot TIMESTAMP WITH TIME ZONE,
    kind TEXT NOT NULL,
    outcome TEXT,
    scheduled_at TIMESTAMP WITH TIME ZONE NOT NULL,
    late BOOLEAN DEFAULT false NOT NULL,
    at TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    duration_ms DOUBLE PRECISION,
    worker TEXT,
    attempt INTEGER DEFAULT 0 NOT NULL,
    fence BIGINT DEFAULT 1 NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE,
    rows BIGINT,
    counts JSON,
    result JSON,
    error TEXT,
    PRIMARY KEY (id),
    CONSTRAINT job_runs_kind_known CHECK (kind in ('slot', 'manual', 'dry_run')),
    CONSTRAINT job_runs_slot_has_kind CHECK ((slot IS NOT NULL) = (kind = 'slot')),
    CONSTRAINT job_runs_outcome_known CHECK (outcome in (
        'ok', 'failed', 'timed_out', 'late', 'skipped_overlap', 'skipped_paused', 'missed',
        'manual', 'dry_run')),
    CONSTRAINT job_runs_running_has_lease CHECK (outcome IS NOT NULL OR lease_until IS NOT NULL)
)""",
    "CREATE UNIQUE INDEX job_runs_slot ON job_runs (job, slot)",
    "CREATE INDEX job_runs_history ON job_runs (job, scheduled_at)",
    "CREATE INDEX job_runs_running ON job_runs (job, lease_until) WHERE outcome IS NULL",
    "CREATE INDEX job_runs_ended_at ON job_runs (ended_at)",
    """
CREATE TABLE alerts (
    id BIGSERIAL NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL,
    value DOUBLE PRECISION,
    began_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id)
)""",
    "CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject) WHERE ended_at IS NULL",
    "CREATE INDEX alerts_ended_at ON alerts (ended_at)",
    """
CREATE TABLE alert_deliveries (
    id BIGSERIAL NOT NULL,
    alert_id BIGINT NOT NULL,
    event TEXT NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    next_try_at TIMESTAMP WITH TIME ZONE NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    error TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY (alert_id) REFERENCES alerts (id) ON DELETE CASCADE,
    CONSTRAINT alert_deliveries_event_known CHECK (event in ('begin', 'end'))
)""",
    "CREATE UNIQUE INDEX alert_deliveries_event ON alert_deliveries (alert_id, event)",
    """
CREATE INDEX alert_deliveries_open ON alert_deliveries (next_try_at) WHERE sent_at IS NULL
""",
)

# A schedule's slots after one instant up to another, from its fields as sets of numbers. All
# arithmetic is on timestamps without a zone, so a session's time zone changes nothing.
SLOTS = """
CREATE FUNCTION job_slots(
    minutes integer[], hours integer[], days integer[], months integer[], weekdays integer[],
    either_day boolean, after timestamptz, until timestamptz
) RETURNS SETOF timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 100 AS $$
    SELECT s.slot FROM (
        SELECT (d.day + make_interval(hours => h.hour, mins => m.minute)) AT TIME ZONE 'UTC' AS slot
        FROM generate_series(
            date_trunc('day', after AT TIME ZONE 'UTC'), until AT TIME ZONE 'UTC', interval '1 day'
        ) AS d (day)
        CROSS JOIN unnest(hours) AS h (hour) CROSS JOIN unnest(minutes) AS m (minute)
        WHERE extract(month FROM d.day)::int = ANY (months)
            AND CASE WHEN either_day
                THEN extract(day FROM d.day)::int = ANY (days)
                    OR extract(dow FROM d.day)::int = ANY (weekdays)
                ELSE extract(day FROM d.day)::int = ANY (days)
                    AND extract(dow FROM d.day)::int = ANY (weekdays)
                END
    ) s
    WHERE s.slot > after AND s.slot <= until
$$
"""

# Slots of active jobs that should have a row by ``until`` and have none, whoever is alive.
MISSING = """
CREATE FUNCTION missing_job_slots(since timestamptz, until timestamptz)
RETURNS TABLE (job text, slot timestamptz, scheduled_at timestamptz)
LANGUAGE sql STABLE AS $$
    SELECT j.job, s.slot, s.slot + make_interval(secs => j.start_offset)
    FROM job_settings j
    CROSS JOIN LATERAL job_slots(
        j.minutes, j.hours, j.days, j.months, j.weekdays, j.either_day,
        greatest(j.expected_from, since),
        least(until - make_interval(secs => j.start_offset + j.late_after), j.paused_at)
    ) AS s (slot)
    WHERE j.active
        AND NOT EXISTS (SELECT FROM job_runs r WHERE r.job = j.job AND r.slot = s.slot)
$$
"""

LATE = """
CREATE VIEW late_jobs AS
SELECT job, slot, scheduled_at, 'no run' AS reason, now() - scheduled_at AS overdue,
    NULL::bigint AS run, NULL::text AS worker
FROM missing_job_slots('-infinity', now())
UNION ALL
SELECT job, slot, scheduled_at, 'lease ran out', now() - lease_until, id, worker
FROM job_runs WHERE outcome IS NULL AND lease_until < now()
"""


def upgrade() -> None:
    for statement in (*TABLES, SLOTS, MISSING, LATE):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
