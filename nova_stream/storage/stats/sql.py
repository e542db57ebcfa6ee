"""Statements of the readers, by name."""

from __future__ import annotations

from nova_stream.storage.places import Side

# -- statistics ----------------------------------------------------------------------------------

AGENT_STATS = """
SELECT agent_id, agent_name, role, total_tasks, completed_tasks, failed_tasks, success_rate,
    avg_duration, last_active, current_status, cached_at
FROM agent_stats_cache"""

_FORTH = """
ORDER BY last_active DESC NULLS LAST, agent_name COLLATE "C", {id} COLLATE "C" LIMIT $1"""
_BACK = """
ORDER BY last_active NULLS FIRST, agent_name COLLATE "C" DESC, {id} COLLATE "C" DESC LIMIT $1"""
#: Those on a side of the place ($2, $3, $4) of one of them.
_BESIDE = """
WHERE coalesce(last_active, '-infinity') {time} coalesce($2::text::timestamptz, '-infinity')
    OR coalesce(last_active, '-infinity') = coalesce($2::text::timestamptz, '-infinity')
        AND (agent_name COLLATE "C", {id} COLLATE "C") {name} ($3::text, $4::text)"""
#: How time and name compare to those of the place.
_SIDES: dict[Side, tuple[str, str]] = {
    "<": ("<", ">"),
    "<=": ("<", ">="),
    ">": (">", "<"),
    ">=": (">", "<="),
}


def _by_side(rows: str, id_: str) -> dict[Side, str]:
    return {
        side: rows
        + _BESIDE.format(time=time, name=name, id=id_)
        + (_BACK if time == ">" else _FORTH).format(id=id_)
        for side, (time, name) in _SIDES.items()
    }


AGENTS_STATS = AGENT_STATS + _FORTH.format(id="agent_id")
#: The same beside a place.
AGENTS_STATS_BESIDE = _by_side(AGENT_STATS, "agent_id")

AGENT_STATS_BY_NAME = f"""{AGENT_STATS}
WHERE agent_name = $1 ORDER BY agent_id COLLATE "C"
"""

# LIMIT 1, not EXISTS: a look into the index for each name, never a scan of all executions.
_UNREGISTERED = """
SELECT p.agent AS agent_name, sum(p.total_tasks)::bigint AS total_tasks,
    sum(p.completed_tasks)::bigint AS completed_tasks, sum(p.failed_tasks)::bigint AS failed_tasks,
    sum(p.running_tasks)::bigint AS running_tasks, sum(p.executions)::bigint AS executions,
    sum(p.duration_sum) AS duration_sum,
    (SELECT max(x.timestamp) FROM executions x WHERE x.agent = p.agent) AS last_active
FROM agent_stats_partials p
WHERE NOT EXISTS (SELECT FROM agents a WHERE a.name = p.agent AND a.deleted_at IS NULL)
    {condition}
GROUP BY p.agent
HAVING sum(p.total_tasks) <> 0
    OR (SELECT x.agent FROM executions x WHERE x.agent = p.agent LIMIT 1) IS NOT NULL"""

#: Names that tasks or executions give as their agent and no registered agent has.
UNREGISTERED = _UNREGISTERED.format(condition="")
# As AGENTS_STATS: all, and those beside a place.
_UNREGISTERED_ROWS = f"SELECT * FROM ({UNREGISTERED}) u"  # noqa: S608 - our own text
UNREGISTERED_PAGE = _UNREGISTERED_ROWS + _FORTH.format(id="''")
UNREGISTERED_BESIDE = _by_side(_UNREGISTERED_ROWS, "''")
UNREGISTERED_BY_NAME = _UNREGISTERED.format(condition="AND p.agent = $1")
COUNT_UNREGISTERED = f"SELECT count(*) FROM ({UNREGISTERED}) u"  # noqa: S608 - our own text

BUILD_STATS = """
SELECT total_builds, completed_builds, failed_builds, running_builds, success_rate,
    avg_duration_ms, last_build_time, cached_at
FROM build_stats_cache
"""

OVERVIEW = """
SELECT b.total_builds, b.completed_builds, b.failed_builds, b.success_rate, t.active_tasks,
    t.completed_tasks, b.last_build_time,
    (SELECT count(*) FROM agent_stats_cache) AS total_agents
FROM build_stats_cache b
CROSS JOIN (
    SELECT coalesce(sum(active_tasks), 0)::bigint AS active_tasks,
        coalesce(sum(completed_tasks), 0)::bigint AS completed_tasks
    FROM agent_stats_partials
) t
"""

# -- builds and activities, newest first -----------------------------------------------------------

BUILD_ROW = "SELECT id, prd_id, prd_name, status, started_at, completed_at, error FROM builds"
ACTIVITY_ROW = """
SELECT id, user_id, agent_name, event_type, task_id, details, timestamp
FROM agent_activity_feed"""


BUILD = f"{BUILD_ROW} WHERE id = $1 AND deleted_at IS NULL"
#: Of a failed task ``t`` the newest execution that failed, among its twenty newest: each error is
#: read from a document. A page's cost is bounded: of more than 2,000 executions, which come in no
#: order, it is not told which are the newest.
FAILED_EXECUTION = """
LEFT JOIN LATERAL (
    SELECT x.id AS failed_execution_id, x.error AS failed_execution_error
    FROM (
        SELECT w.id, w.timestamp FROM (
            SELECT e.id, e.timestamp, count(*) OVER () AS number FROM (
                SELECT id, timestamp FROM executions
                WHERE t.status = 'failed' AND task_id = t.id AND deleted_at IS NULL LIMIT 2001
            ) e
        ) w WHERE w.number <= 2000 ORDER BY w.timestamp DESC NULLS LAST, w.id DESC LIMIT 20
    ) newest JOIN executions x ON x.id = newest.id
    WHERE x.error <> ''
    ORDER BY newest.timestamp DESC NULLS LAST, newest.id DESC LIMIT 1
) failing ON true"""
#: Where a task stands among those of its build; phases that no double has are as good as others.
_PHASE = "coalesce(round(greatest(least(phase, 1e15), -1e15), 6)::float8, 'Infinity')"
_CREATED = "coalesce(created_at, 'infinity')"
#: $1 build; those behind the place ($2 phase, $3 time, $4 id) where there is an id; $5 how many.
TASKS_OF_BUILD = f"""
SELECT t.*, failing.* FROM (
    SELECT id, build_id, task_id, title, agent, status, dependencies, phase, attempts, created_at,
        output, error, nullif({_PHASE}, 'Infinity') AS place
    FROM tasks WHERE build_id = $1 AND deleted_at IS NULL
        AND ($4::text IS NULL
            OR ({_PHASE}, {_CREATED}, id COLLATE "C") > (
                coalesce($2::float8, 'Infinity'),
                coalesce($3::text::timestamptz, 'infinity'), $4::text))
    ORDER BY {_PHASE}, {_CREATED}, id COLLATE "C" LIMIT $5
) t {FAILED_EXECUTION}
ORDER BY {_PHASE}, {_CREATED}, id COLLATE "C"
"""  # noqa: S608 - our own text

# -- the stream's position -------------------------------------------------------------------------

#: With the ids that the topics have in Kafka, as far as the stream has recognised them.
LIVING_POSITIONS = """
SELECT s.topic, s.partition, s.next_offset, t.topic_id
FROM stream_positions s JOIN stream_topics t USING (topic)
"""
