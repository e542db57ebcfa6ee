"""Every statement of the jobs' work but for the archive's, by name.

Batches pick their rows along an index, then lock them in the order in which the flush locks
them, and leave alone what somebody else has locked: neither waits for the other.
"""

from __future__ import annotations

from nova_stream.storage.jobs.ledger_sql import LAST_SUCCESS
from nova_stream.storage.maintenance.engagement_sql import COUNTED_USER

# -- cleanupOldActivity ----------------------------------------------------------------------------

_ACTIVITY = (
    "id, timestamp, version_generation, version, version_minor, changed_at, src_partition, "
    "src_offset, doc"
)

#: Archives and deletes a batch. $1 cutoff, ($2, $3) the place where the batch before ended,
#: $4 rows, $5 the run. Gives how many were deleted and the new place. Rows are locked in the
#: order of their times, which is not the flush's: nothing here waits for a lock. Who was active is
#: noted with the deletion, for summarizeEngagement.
ARCHIVE_ACTIVITIES = f"""
WITH locked AS MATERIALIZED (
    SELECT a.ctid AS place, a.timestamp, a.id FROM agent_activity_feed a
    WHERE a.timestamp < $1 AND (a.timestamp, a.id) > ($2::text::timestamptz, $3::text)
        AND NOT EXISTS (
            SELECT FROM activity_archive x
            WHERE x.id = a.id AND x.kept_until IS NOT NULL AND x.kept_until > now())
    ORDER BY a.timestamp, a.id LIMIT $4 FOR UPDATE OF a SKIP LOCKED
), gone AS (
    DELETE FROM agent_activity_feed a WHERE a.ctid = ANY (ARRAY(SELECT place FROM locked))
    RETURNING {", ".join(f"a.{c}" for c in _ACTIVITY.split(", "))}
), archived AS (
    INSERT INTO activity_archive AS x ({_ACTIVITY}, run_id, archived_at)
    SELECT {_ACTIVITY}, $5, now() FROM gone
    ON CONFLICT (run_id, id) DO UPDATE SET
        timestamp = excluded.timestamp, version_generation = excluded.version_generation,
        version = excluded.version,
        version_minor = excluded.version_minor, changed_at = excluded.changed_at,
        src_partition = excluded.src_partition, src_offset = excluded.src_offset,
        doc = excluded.doc, archived_at = excluded.archived_at, restored_at = NULL,
        kept_until = NULL
), noted AS (
    INSERT INTO user_activity_cleaned (day, user_id)
    SELECT DISTINCT (timestamp AT TIME ZONE 'UTC')::date, doc ->> 'userId' FROM gone
    WHERE {COUNTED_USER.format("doc ->> 'userId'")}
)
SELECT (SELECT count(*) FROM gone) AS deleted, l.timestamp::text AS last_time, l.id AS last_id
FROM (SELECT timestamp, id FROM locked ORDER BY timestamp DESC, id DESC LIMIT 1) l
"""  # noqa: S608 - made from our own constants

#: Puts a batch of a run back ($1 run, $2 rows, $3 days for which it is left alone). A row that
#: came back by itself meanwhile wins unless it is older.
RESTORE_ACTIVITIES = "SELECT restored, seen FROM restore_activities($1, $2, $3)"

#: Whether a worker holds the run $1: it goes on deleting.
IS_AT_WORK = """
SELECT EXISTS (
    SELECT FROM job_runs WHERE id = $1 AND outcome IS NULL AND lease_until > clock_timestamp())
"""

HAS_ARCHIVED_ACTIVITIES = "SELECT EXISTS (SELECT FROM activity_archive WHERE run_id = $1)"

#: Forgets a batch of what can no longer be put back ($1 days, $2 rows). One row tells a run's age.
FORGET_ACTIVITIES = """
WITH RECURSIVE run (run_id, archived_at) AS (
    (SELECT run_id, archived_at FROM activity_archive ORDER BY run_id, id LIMIT 1)
    UNION ALL
    SELECT x.run_id, x.archived_at FROM run CROSS JOIN LATERAL (
        SELECT a.run_id, a.archived_at FROM activity_archive a
        WHERE a.run_id > run.run_id ORDER BY a.run_id, a.id LIMIT 1) x
)
DELETE FROM activity_archive WHERE ctid = ANY (ARRAY(
    SELECT a.ctid FROM activity_archive a
    WHERE a.run_id = ANY (ARRAY(
            SELECT run_id FROM run WHERE archived_at < now() - make_interval(days => $1)))
        AND a.archived_at < now() - make_interval(days => $1)
        AND (a.kept_until IS NULL OR a.kept_until < now())
    LIMIT $2 FOR UPDATE SKIP LOCKED))
"""

# -- checkStalledBuilds ----------------------------------------------------------------------------

#: Running builds that began before $1, a batch behind the place ($2, $3), $4 rows.
_STALLED = """
SELECT b.id, b.version, b.version_minor, b.version_generation, b.src_partition,
    b.doc::text AS doc, b.started_at
FROM builds b
WHERE b.status = 'running' AND b.started_at < $1
    AND (b.started_at, b.id) > ($2::text::timestamptz, $3::text) {activity}
ORDER BY b.started_at, b.id LIMIT $4
"""
_NO_ACTIVITY = """
    AND NOT EXISTS (
        SELECT FROM tasks t WHERE t.build_id = b.id AND t.changed_at >= $1)
    AND NOT EXISTS (
        SELECT FROM tasks t JOIN executions e ON e.task_id = t.id
        WHERE t.build_id = b.id AND e.timestamp >= $1)"""

#: By NOVA_STALL_BASIS.
STALLED_BUILDS = {
    "started": _STALLED.format(activity=""),
    "activity": _STALLED.format(activity=_NO_ACTIVITY),
}

#: How far what was published for builds ($1 ids, $2, $3 and $5 versions) and activities ($4 ids)
#: has been applied: by build whether our version stands, whether one at least as new does.
STALL_APPLIED = """
SELECT u.id,
    (b.version_generation, b.version, b.version_minor)
        = (u.version_generation, u.version, u.version_minor) AS ours,
    (b.version_generation, b.version, b.version_minor)
        >= (u.version_generation, u.version, u.version_minor)
        AND EXISTS (SELECT FROM agent_activity_feed a WHERE a.id = u.activity) AS applied
FROM unnest($1::text[], $2::bigint[], $3::int[], $4::text[], $5::int[])
    AS u (id, version, version_minor, activity, version_generation)
JOIN builds b ON b.id = u.id
"""

# -- markInactiveUsers -----------------------------------------------------------------------------

#: Notes a batch of users who were last active before $1, behind the place ($2, $3), $4 rows; $5
#: the time, $6 the run. Who is on the list already only gets a newer ``since``.
MARK_INACTIVE = """
WITH candidate AS MATERIALIZED (
    SELECT id, last_active_at FROM user_profiles
    WHERE last_active_at < $1 AND (last_active_at, id) > ($2::text::timestamptz, $3::text)
    ORDER BY last_active_at, id LIMIT $4
), unknown AS MATERIALIZED (
    SELECT c.id FROM candidate c WHERE NOT EXISTS (
        SELECT FROM inactive_users i WHERE i.id = c.id AND i.since = c.last_active_at)
), marked AS (
    INSERT INTO inactive_users AS i (id, user_id, since, marked_at, run_id)
    SELECT u.id, u.user_id, u.last_active_at, $5::timestamptz, $6::bigint FROM user_profiles u
    WHERE u.id = ANY (ARRAY(SELECT id FROM unknown)) AND u.last_active_at < $1
    ORDER BY u.id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, since = excluded.since
    RETURNING old.id IS NULL AS is_new, new.id AS id, new.user_id AS user_id, new.since AS since
), told AS (
    INSERT INTO inactivity_events
        (ce_id, event, profile_id, user_id, last_active_at, occurred_at, run_id)
    SELECT 'inactive:' || (extract(epoch FROM since) * 1000)::bigint || ':' || id, 'inactive', id,
        user_id, since, $5, $6
    FROM marked WHERE is_new ORDER BY id COLLATE "C"
    ON CONFLICT (ce_id) DO NOTHING
)
SELECT (SELECT count(*) FROM marked WHERE is_new) AS marked,
    (SELECT count(*) FROM candidate) AS seen, l.last_active_at::text AS last_time, l.id AS last_id
FROM (
    SELECT last_active_at, id FROM candidate ORDER BY last_active_at DESC, id DESC LIMIT 1
) l
"""

#: Takes off the list who is no longer inactive by the cutoff $1, or no more there, in a batch
#: behind the id $2, $3 rows; $4 the time, $5 the run. Told is only who was active since.
UNMARK_INACTIVE = """
WITH candidate AS MATERIALIZED (
    SELECT id FROM inactive_users WHERE id > $2 ORDER BY id LIMIT $3
), turned AS MATERIALIZED (
    SELECT i.id, u.user_id, u.last_active_at
    FROM inactive_users i LEFT JOIN user_profiles u ON u.id = i.id
    WHERE i.id = ANY (ARRAY(SELECT id FROM candidate))
        AND (u.last_active_at IS NULL OR u.last_active_at >= $1)
    ORDER BY i.id COLLATE "C" FOR UPDATE OF i SKIP LOCKED
), gone AS (
    DELETE FROM inactive_users i USING turned t WHERE i.id = t.id
    RETURNING i.id, t.user_id, t.last_active_at, t.last_active_at > i.since AS active
), told AS (
    INSERT INTO inactivity_events
        (ce_id, event, profile_id, user_id, last_active_at, occurred_at, run_id)
    SELECT 'active:' || (extract(epoch FROM last_active_at) * 1000)::bigint || ':' || id, 'active',
        id, user_id, last_active_at, $4::timestamptz, $5::bigint
    FROM gone WHERE active ORDER BY id COLLATE "C"
    ON CONFLICT (ce_id) DO NOTHING
)
SELECT (SELECT count(*) FROM gone WHERE active) AS reactivated,
    (SELECT count(*) FROM candidate) AS seen, (SELECT max(id) FROM candidate) AS last
"""

OPEN_INACTIVITY_EVENTS = """
SELECT id, ce_id, event, profile_id, user_id, last_active_at, occurred_at
FROM inactivity_events WHERE sent_at IS NULL ORDER BY id LIMIT $1
"""
CLOSE_INACTIVITY_EVENTS = """
UPDATE inactivity_events SET sent_at = now() WHERE id = ANY($1::bigint[])
"""
FORGET_INACTIVITY_EVENTS = """
DELETE FROM inactivity_events WHERE id IN (
    SELECT id FROM inactivity_events
    WHERE sent_at < now() - make_interval(days => $1) ORDER BY id LIMIT $2)
"""

# -- healthCheck -----------------------------------------------------------------------------------

_SIZES = {
    "build_table_size": "builds",
    "task_table_size": "tasks",
    "execution_table_size": "executions",
    "activity_table_size": "agent_activity_feed",
    "user_table_size": "user_profiles",
}


def _size(table: str) -> str:
    """All rows by whatever index is smallest, less the tombstones, which have one of their own."""
    return (
        f"(SELECT count(*) FROM {table})"  # noqa: S608 - our own names
        f" - (SELECT count(*) FROM {table} WHERE deleted_at IS NOT NULL)"
    )


TABLE_SIZES = "SELECT " + ", ".join(f"{_size(table)} AS {name}" for name, table in _SIZES.items())


def _slope(field: str) -> str:
    return (
        f"CASE WHEN max(x) - min(x) >= 86400 THEN regr_slope((result ->> '{field}')::float8, x)"
        " * 86400 END"
    )


#: How many rows a table gains a day, as the runs of job $1 in the 7 days before $2 found it: the
#: slope of a straight line through all of them. Null while they cover less than one day.
GROWTH = f"""
SELECT {_slope("taskTableSize")} AS task_table_size,
    {_slope("activityTableSize")} AS activity_table_size
FROM (
    SELECT result, extract(epoch FROM scheduled_at - $2::timestamptz)::float8 AS x FROM job_runs
    WHERE job = $1 AND scheduled_at > $2::timestamptz - interval '7 days' AND scheduled_at <= $2
        AND outcome IN ('ok', 'late') AND result ->> 'taskTableSize' IS NOT NULL
) r
"""  # noqa: S608 - our own names

#: Seconds since each job last ended well, by the database's clock.
LAST_RUNS = f"""
SELECT j.job, extract(epoch FROM now() - {LAST_SUCCESS})::float8 AS age
FROM unnest($1::text[]) WITH ORDINALITY AS j (job, place) ORDER BY j.place
"""  # noqa: S608 - our own text
