"""Every statement behind the explanation of an agent's figures, by name."""

from __future__ import annotations

# -- tasks -----------------------------------------------------------------------------------------

_CHANGE = "src_partition, src_offset, changed_at"

#: $1 agent. A tombstone names no agent.
COUNT_TASKS = """
SELECT count(*) AS tasks,
    count(*) FILTER (WHERE status = 'done') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'running') AS running,
    count(*) FILTER (WHERE status IN ('pending', 'ready', 'running')) AS active
FROM tasks WHERE agent = $1
"""

#: $1 agent.
ACTIVE_TASKS = """
SELECT coalesce(sum(active_tasks), 0)::bigint FROM agent_stats_partials WHERE agent = $1
"""

#: $1 agent, $2 statuses or null for all, $3 after this id, $4 how many. The agent's tasks come
#: first by their index: to walk all tasks by id until enough are found takes long where few are.
TASKS = f"""
WITH own AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE agent = $1 AND ($2::text[] IS NULL OR status = ANY ($2)) AND id > $3
)
SELECT id, status, task_id, title, build_id, created_at, {_CHANGE}
FROM (SELECT id FROM own ORDER BY id LIMIT $4) page JOIN tasks USING (id) ORDER BY id
"""  # noqa: S608 - our own text

#: $1 agent, $2 statuses or null for all.
LAST_TASK = f"""
SELECT id, {_CHANGE} FROM tasks WHERE agent = $1 AND ($2::text[] IS NULL OR status = ANY ($2))
ORDER BY changed_at DESC, src_offset DESC LIMIT 1
"""  # noqa: S608 - our own text

# -- executions ------------------------------------------------------------------------------------

_EXECUTION = f"SELECT id, duration, timestamp, task_id, {_CHANGE} FROM executions"  # noqa: S608

#: $1 agent.
COUNT_EXECUTIONS = """
SELECT count(duration) AS executions, coalesce(sum(duration), 0) AS duration_sum
FROM executions WHERE agent = $1
"""

#: $1 agent, $2 time and $3 id of the place, $4 how many: those that have a time, newest first.
EXECUTIONS = f"""{_EXECUTION}
WHERE agent = $1 AND duration IS NOT NULL AND (timestamp, id) < ($2::text::timestamptz, $3::text)
ORDER BY timestamp DESC, id DESC LIMIT $4
"""
#: $1 agent, $2 before this id (all when null), $3 how many: those without a time.
EXECUTIONS_WITHOUT_TIME = f"""{_EXECUTION}
WHERE agent = $1 AND duration IS NOT NULL AND timestamp IS NULL AND ($2::text IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""

#: $1 agent.
LAST_EXECUTION = f"""{_EXECUTION} WHERE agent = $1 AND duration IS NOT NULL
ORDER BY changed_at DESC, src_offset DESC LIMIT 1
"""

#: $1 agent.
NEWEST_TIME = "SELECT max(timestamp) FROM executions WHERE agent = $1"

#: $1 agent, $2 the time, $3 after this id, $4 how many.
NEWEST_EXECUTIONS = f"""{_EXECUTION}
WHERE agent = $1 AND timestamp = $2 AND id > $3 ORDER BY id LIMIT $4
"""

#: $1 agent, $2 the time.
LAST_NEWEST = f"""{_EXECUTION}
WHERE agent = $1 AND timestamp = $2 ORDER BY changed_at DESC, src_offset DESC LIMIT 1
"""
COUNT_NEWEST = "SELECT count(*) FROM executions WHERE agent = $1 AND timestamp = $2"

# -- agents ----------------------------------------------------------------------------------------

#: $1: the id.
AGENT = f"SELECT id, name, role, created_at, {_CHANGE} FROM agents WHERE id = $1"  # noqa: S608
