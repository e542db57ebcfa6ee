"""The queries of ``atlas:*``: what the orchestrator has written down."""

from __future__ import annotations

from typing import Any

from nova_stream.api.convex.functions import Arguments, Functions, QueryCall, shown, take
from nova_stream.api.convex.validators import NUMBER, STRING, Optional
from nova_stream.storage.convex import read as convex_reads
from nova_stream.storage.convex.read import StoredDocument

functions = Functions("atlas")

_LEARNED = ("buildId", "taskId", "pattern", "insight", "code")


@functions.query("getAgentExecutions", {"agent": STRING, "limit": Optional(NUMBER)})
async def get_agent_executions(call: QueryCall, args: Arguments) -> Any:
    """An agent's executions, newest first."""
    limit = take(args.get("limit", 10.0))
    rows = await convex_reads.executions_of_agent(call.connection, args["agent"], limit)
    return [shown(row) for row in rows]


@functions.query("getBuildStatus", {"prdId": STRING})
async def get_build_status(call: QueryCall, args: Arguments) -> Any:
    """The PRD's build with its tasks, counted; null where there is none."""
    build = await convex_reads.build_of_prd(call.connection, args["prdId"])
    if build is None:
        return None
    tasks = await convex_reads.tasks_of_build(call.connection, build.id)
    statuses = [task.document["status"] for task in tasks]
    return {
        "build": shown(build),
        "tasks": [shown(task) for task in tasks],
        "summary": {
            "total": len(statuses),
            "done": statuses.count("done"),
            "failed": statuses.count("failed"),
            "pending": statuses.count("pending") + statuses.count("ready"),
        },
    }


@functions.query("getLearnings", {"prdId": STRING})
async def get_learnings(call: QueryCall, args: Arguments) -> Any:
    """What was learned for a PRD, as long as the activity feed keeps it."""
    rows = await convex_reads.learnings(call.connection, args["prdId"])
    return [_learning(row) for row in rows]


def _learning(row: StoredDocument) -> Arguments:
    document = shown(row)
    learned = {name: document[name] for name in _LEARNED if name in document}
    system = {name: document[name] for name in ("_id", "_creationTime")}
    return {**system, **learned, "createdAt": document.get("timestamp")}
