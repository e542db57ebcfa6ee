"""The statements behind the main app's functions, by name."""

from __future__ import annotations


def _select(table: str, time: str, doc: str = "doc::text") -> str:
    # Made from our own constants, never from input.
    return f"""
SELECT id, version, {doc} AS doc, coalesce({time}, changed_at) AS made_at
FROM {table}"""  # noqa: S608


_AGENTS = _select("agents", "created_at")
_BUILDS = _select("builds", "started_at")
_TASKS = _select("tasks", "created_at")
#: Of one whose document has gone into the archive, what the columns still say.
_EXECUTIONS = _select(
    "executions",
    "timestamp",
    """coalesce(doc, jsonb_build_object('id', id, 'taskId', task_id, 'agent', agent,
        'duration', duration, 'timestamp',
        to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))::text""",
)
_ACTIVITIES = _select("agent_activity_feed", "timestamp")

AGENT = f"{_AGENTS} WHERE id = $1 AND deleted_at IS NULL"
AGENT_OF_NAME = f"""{_AGENTS}
WHERE name = $1 AND deleted_at IS NULL ORDER BY id COLLATE "C" LIMIT 1"""

BUILD = f"{_BUILDS} WHERE id = $1 AND deleted_at IS NULL"
_OF_PRD = "left(doc ->> 'prdId', 256) = left($1, 256) AND doc ->> 'prdId' = $1"
#: The first one that was made for a PRD.
BUILD_OF_PRD = f"""{_BUILDS}
WHERE {_OF_PRD} AND deleted_at IS NULL
ORDER BY started_at NULLS LAST, id COLLATE "C" LIMIT 1"""
#: The one of a PRD whose document gives this text as its start.
BUILD_OF_START = f"""{_BUILDS}
WHERE {_OF_PRD} AND doc ->> 'startedAt' = $2 AND deleted_at IS NULL
ORDER BY id COLLATE "C" LIMIT 1"""
#: Newest start first, those before the place ($1, $2); $3 rows.
BUILDS = f"""{_BUILDS}
WHERE (started_at, id) < ($1::text::timestamptz, $2::text)
ORDER BY started_at DESC, id DESC LIMIT $3"""
BUILDS_AT_WORK = f"""{_BUILDS}
WHERE status IN ('running', 'pending')
ORDER BY started_at DESC NULLS LAST, id DESC LIMIT $1"""
PLACE_OF_BUILD = "SELECT started_at::text FROM builds WHERE id = $1"

TASK = f"{_TASKS} WHERE id = $1 AND deleted_at IS NULL"
#: In the order in which they were made; $2 rows.
TASKS_OF_BUILD = f"""{_TASKS}
WHERE build_id = $1 AND deleted_at IS NULL
ORDER BY created_at NULLS LAST, id COLLATE "C" LIMIT $2"""
TASK_OF_BUILD = f"""{_TASKS}
WHERE build_id = $1 AND doc ->> 'taskId' = $2 AND deleted_at IS NULL
ORDER BY created_at NULLS LAST, id COLLATE "C" LIMIT 1"""
#: Of the builds that are at work, the newest one's task of this name.
TASK_AT_WORK = f"""{_TASKS}
WHERE id = (
    SELECT t.id FROM builds b JOIN tasks t ON t.build_id = b.id
    WHERE b.status IN ('running', 'pending') AND t.doc ->> 'taskId' = $1 AND t.deleted_at IS NULL
    ORDER BY b.started_at DESC NULLS LAST, t.id COLLATE "C" LIMIT 1)"""  # noqa: S608 - our own text

EXECUTIONS_OF_AGENT = f"""{_EXECUTIONS}
WHERE agent = $1 AND timestamp IS NOT NULL AND deleted_at IS NULL
ORDER BY timestamp DESC LIMIT $2"""

_NEWEST = "ORDER BY timestamp DESC, id DESC LIMIT"
ACTIVITIES = f"{_ACTIVITIES} WHERE timestamp IS NOT NULL {_NEWEST} $1"
ACTIVITIES_SINCE = f"{_ACTIVITIES} WHERE timestamp >= $1::timestamptz {_NEWEST} $2"
ACTIVITIES_OF_USER = f"""{_ACTIVITIES}
WHERE timestamp IS NOT NULL AND doc ->> 'userId' = $1 {_NEWEST} $2"""
ACTIVITIES_OF_AGENT = f"""{_ACTIVITIES}
WHERE timestamp IS NOT NULL AND doc ->> 'userId' = $1 AND doc ->> 'agentName' = $2
{_NEWEST} $3"""
#: What was learned in the builds of a PRD, in its order; $2 rows.
LEARNINGS = f"""{_ACTIVITIES}
WHERE timestamp IS NOT NULL AND doc ->> 'eventType' = 'playbook_updated' AND doc ->> 'prdId' = $1
ORDER BY timestamp, id LIMIT $2"""

# -- one at a time with an entity ------------------------------------------------------------------

#: For as long as the session lives, or until it is given back.
TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
UNLOCK = "SELECT pg_advisory_unlock($1)"
