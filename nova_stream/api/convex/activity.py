"""``activity:*``: the activity feed of a user."""

from __future__ import annotations

from typing import Any

from nova_stream.api.convex.functions import (
    Arguments,
    Functions,
    MutationCall,
    QueryCall,
    shown,
    take,
)
from nova_stream.api.convex.validators import NUMBER, STRING, OneOf, Optional
from nova_stream.storage.convex import read as convex_reads

functions = Functions("activity")

_EVENTS = OneOf(
    "task_started",
    "task_completed",
    "task_failed",
    "playbook_updated",
    "wisdom_promoted",
    "rehearsal_ran",
)


@functions.mutation(
    "recordAgentActivity",
    {
        "userId": STRING,
        "agentName": STRING,
        "eventType": _EVENTS,
        "taskId": Optional(STRING),
        "details": STRING,
    },
)
async def record_agent_activity(call: MutationCall, args: Arguments) -> Any:
    """Add an entry to a user's feed."""
    now = call.now()
    id_ = call.log(
        args["agentName"],
        args["eventType"],
        args["details"],
        args.get("taskId"),
        userId=args["userId"],
        timestamp=now,
    )
    return {"activityId": id_, "timestamp": now}


@functions.query("getAgentActivity", {"userId": STRING, "limit": Optional(NUMBER)})
async def get_agent_activity(call: QueryCall, args: Arguments) -> Any:
    """A user's feed, newest first."""
    limit = take(args.get("limit", 50.0))
    rows = await convex_reads.activities(call.connection, limit, user=args["userId"])
    return [shown(row) for row in rows]


@functions.query(
    "getAgentActivityByAgent",
    {"userId": STRING, "agentName": STRING, "limit": Optional(NUMBER)},
)
async def get_agent_activity_by_agent(call: QueryCall, args: Arguments) -> Any:
    """A user's feed of one agent, newest first."""
    rows = await convex_reads.activities(
        call.connection,
        take(args.get("limit", 50.0)),
        user=args["userId"],
        agent=args["agentName"],
    )
    return [shown(row) for row in rows]
