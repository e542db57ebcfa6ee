"""The queries of ``dashboard:*``: builds, tasks and the figures."""

from __future__ import annotations

from typing import Any

import msgspec

from nova_stream.api.budget.budget import CALL, FIGURES_OF_ALL
from nova_stream.api.convex.functions import Arguments, Functions, QueryCall, shown, take
from nova_stream.api.convex.validators import NUMBER, STRING, Id, Optional
from nova_stream.errors import TooMuchError
from nova_stream.events.change import Entity
from nova_stream.storage.convex import read as convex_reads
from nova_stream.storage.stats import read
from nova_stream.storage.stats.rows import AgentStats

functions = Functions("dashboard")

_BUILD = Id(Entity.BUILDS)
_PAGE_S, _LARGEST_PAGE_S = 20.0, 100.0


@functions.query("listBuilds", {"cursor": Optional(STRING), "pageSize": Optional(NUMBER)})
async def list_builds(call: QueryCall, args: Arguments) -> Any:
    """Builds, newest start first; ``cursor`` is the id of the last one that is known."""
    size = min(args.get("pageSize", _PAGE_S), _LARGEST_PAGE_S)
    limit = take(size + 1)
    rows = await convex_reads.builds(call.connection, limit, args.get("cursor"))
    has_more = len(rows) > size
    page = rows[: max(limit - 1, 0)]
    return {
        "builds": [shown(row) for row in page],
        "nextCursor": page[-1].id if has_more and page else None,
        "hasMore": has_more,
    }


@functions.query("getBuild", {"buildId": _BUILD})
async def get_build(call: QueryCall, args: Arguments) -> Any:
    """A build with its tasks; null where there is none."""
    build = await convex_reads.by_id(call.connection, Entity.BUILDS, args["buildId"])
    if build is None:
        return None
    tasks = await convex_reads.tasks_of_build(call.connection, build.id)
    return {"build": shown(build), "tasks": [shown(task) for task in tasks]}


@functions.query("listTasks", {"buildId": _BUILD})
async def list_tasks(call: QueryCall, args: Arguments) -> Any:
    """The tasks of a build, by phase and creation."""
    rows = await convex_reads.tasks_of_build(call.connection, args["buildId"])
    tasks = [shown(row) for row in rows]
    tasks.sort(key=lambda task: str(task.get("createdAt", "")))
    return sorted(tasks, key=lambda task: task.get("phase") or 0)


@functions.query("getOverviewStats", {}, scope="stats", within=CALL)
async def get_overview_stats(call: QueryCall, _args: Arguments) -> Any:
    """The figures of the whole platform."""
    overview = await read.overview(call.connection)
    return msgspec.to_builtins(overview)


@functions.query("getAgentStats", {}, scope="stats", within=FIGURES_OF_ALL)
async def get_agent_stats(call: QueryCall, _args: Arguments) -> Any:
    """The figures of all agents, the last active first."""
    bounds = read.Bounds(FIGURES_OF_ALL.rows, FIGURES_OF_ALL.row_bytes)
    found = await read.agents_stats(call.connection, bounds)
    if found.next is not None:
        raise TooMuchError
    return [_figures(row) for row in found.rows]


def _figures(row: AgentStats) -> Arguments:
    found = {
        "agentId": row.agent_id,
        "name": row.agent_name,
        "role": row.role,
        "totalTasks": row.total_tasks,
        "successRate": row.success_rate,
        "avgDuration": row.avg_duration,
        "lastActive": row.last_active,
        "currentStatus": row.current_status,
        "completedTasks": row.completed_tasks,
        "failedTasks": row.failed_tasks,
    }
    # What an agent's document lacks is missing, as in the main app's own answer.
    return {name: value for name, value in found.items() if value is not None}
