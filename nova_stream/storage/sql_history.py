"""Every statement of the histories, by name: each follows an index on time."""

from __future__ import annotations

AGENT_NAMES = """
SELECT DISTINCT agent_name COLLATE "C" AS name FROM agent_stats_cache
WHERE agent_name COLLATE "C" > $1 ORDER BY 1 LIMIT $2
"""

#: $1 from, $2 until, $3 length of a bucket, $4 names.
EXECUTIONS = """
SELECT n.name, e.start, e.executions, e.timed, e.duration_sum
FROM unnest($4::text[]) AS n (name) CROSS JOIN LATERAL (
    SELECT date_bin($3::interval, x.timestamp, $1::timestamptz) AS start,
        count(*) AS executions, count(x.duration) AS timed, sum(x.duration) AS duration_sum
    FROM executions x
    WHERE x.agent = n.name AND x.timestamp >= $1 AND x.timestamp < $2::timestamptz
    GROUP BY 1
) e
"""

#: As EXECUTIONS. A stalled build's activity is the system's and no
#: agent's task.
ENDED_TASKS = """
SELECT v.agent_name AS name,
    date_bin($3::interval, v.timestamp, $1::timestamptz) AS start,
    count(*) FILTER (WHERE v.event_type = 'task_completed') AS completed,
    count(*) FILTER (WHERE v.event_type = 'task_failed') AS failed
FROM agent_activity_feed v
WHERE v.timestamp >= $1 AND v.timestamp < $2::timestamptz AND v.user_id IS DISTINCT FROM 'system'
    AND v.agent_name = ANY ($4::text[])
GROUP BY 1, 2
"""

#: $1 since; those after the place ($2, $3), at most $4. Times as they are told.
BUILDS = """
SELECT taken_at, total_builds, completed_builds, failed_builds, running_builds, success_rate,
    avg_duration_ms, drift, run_id
FROM build_stats_history
WHERE taken_at >= $1
    AND ($2::text IS NULL
        OR (date_trunc('milliseconds', taken_at), run_id) > ($2::text::timestamptz, $3::bigint))
ORDER BY date_trunc('milliseconds', taken_at), run_id LIMIT $4
"""
