"""``realtime:*``: the activity feed, and the builds that are at work."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from nova_stream.api.convex.errors import FunctionError
from nova_stream.api.convex.functions import Arguments, Functions, MutationCall, QueryCall, shown
from nova_stream.api.convex.functions import take as taken
from nova_stream.api.convex.validators import ANY, NUMBER, STRING, Id, OneOf, Optional
from nova_stream.api.convex.values import json_text
from nova_stream.events.change import Entity
from nova_stream.storage.convex import read as convex_reads

functions = Functions("realtime")

#: Times that documents can have begin later.
_LONGEST = timedelta(days=365_000)

_BRIDGE_EVENTS = OneOf(
    "build_started",
    "build_completed",
    "build_failed",
    "task_started",
    "task_completed",
    "task_failed",
    "agent_status_changed",
)


@functions.query("subscribeToActivity", {})
async def subscribe_to_activity(call: QueryCall, _args: Arguments) -> Any:
    """The 50 newest entries of the feed."""
    return [shown(row) for row in await convex_reads.activities(call.connection, 50)]


@functions.query("subscribeToBuilds", {})
async def subscribe_to_builds(call: QueryCall, _args: Arguments) -> Any:
    """Running and pending builds, newest start first."""
    return [shown(row) for row in await convex_reads.builds_at_work(call.connection)]


@functions.query("getAgentActivityHistory", {"agentName": STRING, "limit": Optional(NUMBER)})
async def get_agent_activity_history(call: QueryCall, args: Arguments) -> Any:
    """What the system has noted of an agent, newest first."""
    limit = taken(args.get("limit", 20.0))
    rows = await convex_reads.activities(
        call.connection, limit, user="system", agent=args["agentName"]
    )
    return [shown(row) for row in rows]


@functions.query("getRecentActivity", {"limit": Optional(NUMBER), "hours": Optional(NUMBER)})
async def get_recent_activity(call: QueryCall, args: Arguments) -> Any:
    """The feed of the last hours, newest first."""
    hours = args.get("hours", 24.0)
    if not math.isfinite(hours):
        raise FunctionError("Invalid time value", "RangeError")
    since = call.clock() - min(max(timedelta(0), _hours(hours)), _LONGEST)
    rows = await convex_reads.activities(
        call.connection, taken(args.get("limit", 50.0)), since=since
    )
    return [shown(row) for row in rows]


@functions.query("getBuildActivityTimeline", {"buildId": Id(Entity.BUILDS)})
async def get_build_activity_timeline(call: QueryCall, args: Arguments) -> Any:
    """The tasks of a build in the order of their creation, in short."""
    build = await convex_reads.by_id(call.connection, Entity.BUILDS, args["buildId"])
    if build is None:
        return []
    rows = await convex_reads.tasks_of_build(call.connection, build.id)
    entries = [
        {
            "taskId": row.id,
            "taskTitle": row.document.get("title"),
            **{
                name: row.document[name]
                for name in ("agent", "status", "createdAt", "phase")
                if name in row.document
            },
        }
        for row in rows
    ]
    return sorted(entries, key=lambda entry: str(entry.get("createdAt", "")))


@functions.mutation(
    "logActivity",
    {
        "agentName": STRING,
        "action": STRING,
        "details": STRING,
        "status": Optional(STRING),
        "taskId": Optional(STRING),
    },
)
async def log_activity(call: MutationCall, args: Arguments) -> Any:
    """Add an entry to the feed; ``action`` is kept as it is."""
    return call.log(args["agentName"], args["action"], args["details"], args.get("taskId"))


@functions.mutation(
    "logActivity",
    {
        "type": _BRIDGE_EVENTS,
        "buildId": Optional(STRING),
        "taskId": Optional(STRING),
        "agentId": Optional(STRING),
        "metadata": Optional(ANY),
        "timestamp": STRING,
    },
    marker="type",
)
async def log_event(call: MutationCall, args: Arguments) -> Any:
    """Add an event to the feed, as the bridge tells it."""
    metadata = args.get("metadata")
    details = "" if metadata is None else json_text(metadata)
    return call.log(
        args.get("agentId", "ATLAS"),
        args["type"],
        details,
        args.get("taskId"),
        timestamp=args["timestamp"],
        buildId=args.get("buildId"),
    )


def _hours(hours: float) -> timedelta:
    try:
        return timedelta(hours=hours)
    except OverflowError:
        return _LONGEST if hours > 0 else -_LONGEST
