"""What has changed since an earlier look.

A look's marker is the oldest transaction that was under way then. What a row's ``xmin`` puts at the
marker or after may be new since; what is before was seen. In whatever order transactions commit,
nothing is missed; a row that is found twice is the same row twice.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.stats import sql
from nova_stream.storage.stats.read import in_turns, read_row, unregistered_row
from nova_stream.storage.stats.rows import Activity, AgentStats, Build, BuildStats, Overview

#: The state that is looked at: where the next look goes on, what counts as the future, and the
#: whole, which stays the same while nobody writes.
_SNAPSHOT = """
SELECT pg_snapshot_xmin(s)::text::bigint AS marker, pg_snapshot_xmax(s)::text::bigint AS next,
    s::text AS words
FROM pg_current_snapshot() s
"""


# ``xmin`` counts modulo 2^32, and is always before ``next``: $1 is the marker, $2 is ``next``.
def _since(table: str) -> str:
    return f"$2::bigint - (($2::bigint - {table}.xmin::text::bigint) & 4294967295) >= $1::bigint"


_AGENTS = f"""{sql.AGENT_STATS} c
WHERE {_since("c")} ORDER BY agent_name COLLATE "C", agent_id COLLATE "C"
"""
_COUNT_AGENTS = "SELECT count(*) FROM agent_stats_cache"
_AGENT_IDS = "SELECT agent_id FROM agent_stats_cache"

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
_BUILDS = f"""{sql.BUILD_ROW} WHERE id IN (
{_BRANCHES}
) AND deleted_at IS NULL
ORDER BY started_at NULLS FIRST, id
"""

#: Of the newest 25 activities, oldest first: what changed.
_ACTIVITIES = f"""{sql.ACTIVITY_ROW} WHERE id IN (
    SELECT id FROM (
        SELECT id, xmin FROM agent_activity_feed WHERE timestamp < 'infinity'
        ORDER BY timestamp DESC, id DESC LIMIT 25
    ) t WHERE {_since("t")}
) ORDER BY timestamp, id
"""  # noqa: S608


class Marker(NamedTuple):
    """A moment of the database: the oldest transaction under way, the next one's number, and all
    in Postgres' words, which stay the same while nobody writes.
    """

    oldest: int
    next: int
    words: str


class ChangedRows(NamedTuple):
    """What differs between two looks, as one state; rows that did not change may be among them.

    ``agent_ids`` are all that there are now, ``unregistered`` all names without an agent. Builds
    are of the newest and those under way, activities of the newest 25; both oldest first.
    """

    marker: Marker
    agents: list[AgentStats]
    agent_ids: set[str]
    unregistered: list[AgentStats]
    build_stats: BuildStats
    overview: Overview
    builds: list[Build]
    activities: list[Activity]


async def read(
    connection: Connection, since: Marker | None, known: Collection[str]
) -> ChangedRows | None:
    """What differs from the look that gave ``since`` (None = everything), or None where nobody
    has written since; ``known`` are the agents' ids as they were then.
    """
    async with snapshot(connection):
        seen: Any = await connection.fetchrow(_SNAPSHOT)
        marker = Marker(*seen)
        if marker == since:
            return None
        window = (0 if since is None else since.oldest, marker.next)
        agents = await connection.fetch(_AGENTS, *window)
        count = await connection.fetchval(_COUNT_AGENTS)
        ids = {row["agent_id"] for row in agents}.union(known)
        if count != len(ids):  # some of them are gone
            ids = {row["agent_id"] for row in await connection.fetch(_AGENT_IDS)}
        others = await connection.fetch(sql.UNREGISTERED)
        return ChangedRows(
            marker=marker,
            agents=await in_turns(partial(read_row, AgentStats), agents),
            agent_ids=ids,
            unregistered=await in_turns(partial(unregistered_row, AgentStats), others),
            build_stats=read_row(BuildStats, await connection.fetchrow(sql.BUILD_STATS)),
            overview=read_row(Overview, await connection.fetchrow(sql.OVERVIEW)),
            builds=[read_row(Build, row) for row in await connection.fetch(_BUILDS, *window)],
            activities=[
                read_row(Activity, row) for row in await connection.fetch(_ACTIVITIES, *window)
            ],
        )
