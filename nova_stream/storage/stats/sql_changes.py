"""Statements that find what has changed since an earlier look, by name.

A look's marker is the oldest transaction that was under way then. What a row's ``xmin`` puts at the
marker or after may be new since; what is before was seen. In whatever order transactions commit,
nothing is missed; a row that is found twice is the same row twice.
"""

from __future__ import annotations

from nova_stream.storage.stats import sql as sql_read

#: The state that is looked at: where the next look goes on, what counts as the future, and the
#: whole, which stays the same while nobody writes.
SNAPSHOT = """
SELECT pg_snapshot_xmin(s)::text::bigint AS marker, pg_snapshot_xmax(s)::text::bigint AS next,
    s::text AS words
FROM pg_current_snapshot() s
"""


# ``xmin`` counts modulo 2^32, and is always before ``next``: $1 is the marker, $2 is ``next``.
def _since(table: str) -> str:
    return f"$2::bigint - (($2::bigint - {table}.xmin::text::bigint) & 4294967295) >= $1::bigint"


AGENTS = f"""{sql_read.AGENT_STATS} c
WHERE {_since("c")} ORDER BY agent_name COLLATE "C", agent_id COLLATE "C"
"""
COUNT_AGENTS = "SELECT count(*) FROM agent_stats_cache"
AGENT_IDS = "SELECT agent_id FROM agent_stats_cache"

_WATCHED = (
    "started_at < 'infinity' ORDER BY started_at DESC, id DESC",
    "completed_at < 'infinity' ORDER BY completed_at DESC",
    "status = 'running' ORDER BY started_at DESC",
    "status = 'pending' ORDER BY started_at DESC",
)
# Made from our own constants, never from input.
_BRANCHES = "\n    UNION\n".join(
    f"""    (SELECT id FROM (SELECT id, xmin FROM builds WHERE {which} LIMIT 40) t
        WHERE {_since("t")})"""  # noqa: S608
    for which in _WATCHED
)
#: Of the newest builds and those that are under way, oldest first: what changed.
BUILDS = f"""{sql_read.BUILD_ROW} WHERE id IN (
{_BRANCHES}
) AND deleted_at IS NULL
ORDER BY started_at NULLS FIRST, id
"""

#: Of the newest 25 activities, oldest first: what changed.
ACTIVITIES = f"""{sql_read.ACTIVITY_ROW} WHERE id IN (
    SELECT id FROM (
        SELECT id, xmin FROM agent_activity_feed WHERE timestamp < 'infinity'
        ORDER BY timestamp DESC, id DESC LIMIT 25
    ) t WHERE {_since("t")}
) ORDER BY timestamp, id
"""  # noqa: S608
