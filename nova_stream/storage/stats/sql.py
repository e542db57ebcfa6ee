"""Every statement of the readers, by name."""

from __future__ import annotations

# -- audit ---------------------------------------------------------------------------------------

#: A recount of millions of rows may take longer than a session of the stream may hold a
#: transaction; a reader's snapshot holds no lock of the stream.
NO_TIME_LIMIT = "SET transaction_timeout = 0"

COUNT_AGENTS = "SELECT count(*) FROM agents WHERE deleted_at IS NULL"

AGENT_FIGURES = (
    "agent_name",
    "role",
    "total_tasks",
    "completed_tasks",
    "failed_tasks",
    "success_rate",
    "avg_duration",
    "last_active",
    "current_status",
)
BUILD_FIGURES = (
    "total_builds",
    "completed_builds",
    "failed_builds",
    "running_builds",
    "success_rate",
    "avg_duration_ms",
    "last_build_time",
)


def _row(alias: str, figures: tuple[str, ...]) -> str:
    return f"({', '.join(f'{alias}.{figure}' for figure in figures)})"


def _differing(row: str, join: str, figures: tuple[str, ...]) -> str:
    # Made from our own constants, never from input.
    return f"""
SELECT {row} AS row, to_jsonb(c)::text AS cache, to_jsonb(r)::text AS recount
FROM {join}
WHERE {_row("c", figures)} IS DISTINCT FROM {_row("r", figures)}
ORDER BY 1"""  # noqa: S608


#: Rows whose cache is not the recount, each side as JSON (null where it has no row).
AGENT_DIFFERENCES = _differing(
    "coalesce(c.agent_id, r.agent_id)",
    "agent_stats_cache c FULL JOIN agent_stats_recount r ON r.agent_id = c.agent_id",
    AGENT_FIGURES,
)
BUILD_DIFFERENCES = _differing(
    "'builds'",
    "(SELECT 1 AS one, * FROM build_stats_recount) r "
    "FULL JOIN (SELECT 1 AS one, * FROM build_stats_cache) c ON c.one = r.one",
    BUILD_FIGURES,
)

# -- statistics ----------------------------------------------------------------------------------

AGENT_STATS = """
SELECT agent_id, agent_name, role, total_tasks, completed_tasks, failed_tasks, success_rate,
    avg_duration, last_active, current_status, cached_at
FROM agent_stats_cache"""

AGENTS_STATS = f"""{AGENT_STATS}
ORDER BY last_active DESC NULLS LAST, agent_name COLLATE "C", agent_id COLLATE "C" LIMIT $1
"""
#: Those that come after the place ($2, $3, $4) of one of them.
AGENTS_STATS_AFTER = f"""{AGENT_STATS}
WHERE coalesce(last_active, '-infinity') < coalesce($2::text::timestamptz, '-infinity')
    OR coalesce(last_active, '-infinity') = coalesce($2::text::timestamptz, '-infinity')
        AND (agent_name COLLATE "C", agent_id COLLATE "C") > ($3::text, $4::text)
ORDER BY last_active DESC NULLS LAST, agent_name COLLATE "C", agent_id COLLATE "C" LIMIT $1
"""

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
# As AGENTS_STATS: all, and those after a place.
UNREGISTERED_PAGE = f"""SELECT * FROM ({UNREGISTERED}) u
ORDER BY last_active DESC NULLS LAST, agent_name COLLATE "C" LIMIT $1"""  # noqa: S608 - our own text
UNREGISTERED_AFTER = f"""SELECT * FROM ({UNREGISTERED}) u
WHERE coalesce(last_active, '-infinity') < coalesce($2::text::timestamptz, '-infinity')
    OR coalesce(last_active, '-infinity') = coalesce($2::text::timestamptz, '-infinity')
        AND (agent_name COLLATE "C", '') > ($3::text, $4::text)
ORDER BY last_active DESC NULLS LAST, agent_name COLLATE "C" LIMIT $1"""  # noqa: S608 - our own text
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


def _timed(select: str, time: str, condition: str = "") -> str:
    """A page of rows that have a time: those before ($1, $2), at most $3."""
    return f"""{select}
WHERE ({time}, id) < ($1::text::timestamptz, $2::text) {condition}
ORDER BY {time} DESC, id DESC LIMIT $3"""


def _untimed(select: str, time: str, condition: str = "") -> str:
    """A page of rows without a time: those before id $1 (all when null), at most $2."""
    return f"""{select}
WHERE {time} IS NULL AND deleted_at IS NULL AND ($1::text IS NULL OR id < $1) {condition}
ORDER BY id DESC LIMIT $2"""


#: (timed, untimed): a list is read in two parts, so that both follow an index.
BUILDS = (_timed(BUILD_ROW, "started_at"), _untimed(BUILD_ROW, "started_at"))
BUILDS_OF_STATUS = (
    _timed(BUILD_ROW, "started_at", "AND status = $4"),
    _untimed(BUILD_ROW, "started_at", "AND status = $3"),
)
ACTIVITIES = (_timed(ACTIVITY_ROW, "timestamp"), _untimed(ACTIVITY_ROW, "timestamp"))

BUILD = f"{BUILD_ROW} WHERE id = $1 AND deleted_at IS NULL"
TASKS_OF_BUILD = """
SELECT id, build_id, task_id, title, agent, status, dependencies, phase, attempts, created_at,
    output, error
FROM tasks WHERE build_id = $1 AND deleted_at IS NULL
    AND ($2::text IS NULL
        OR (coalesce(phase, 'Infinity'), coalesce(created_at, 'infinity'), id COLLATE "C") > (
            SELECT coalesce(t.phase, 'Infinity'), coalesce(t.created_at, 'infinity'),
                t.id COLLATE "C"
            FROM tasks t WHERE t.id = $2))
ORDER BY phase NULLS LAST, created_at NULLS LAST, id COLLATE "C" LIMIT $3
"""

# -- the stream's position -------------------------------------------------------------------------

POSITIONS = """
SELECT topic, partition, generation, next_offset FROM stream_positions ORDER BY topic, partition
"""
#: With the ids that the topics have in Kafka, as far as the stream has recognised them.
LIVING_POSITIONS = """
SELECT s.topic, s.partition, s.next_offset, t.topic_id
FROM stream_positions s JOIN stream_topics t USING (topic)
"""
