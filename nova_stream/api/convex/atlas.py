"""``atlas:*``: what the orchestrator writes down of a build, named by its PRD, and reads of it.

startBuild, logTask and the second way of logExecution are what the main app's sync client calls;
its own backend does not have them.
"""

from __future__ import annotations

from typing import Any

from nova_stream.api.convex.functions import (
    Arguments,
    Functions,
    MutationCall,
    QueryCall,
    found,
    shown,
    take,
)
from nova_stream.api.convex.validators import BOOLEAN, NUMBER, STRING, Id, ListOf, OneOf, Optional
from nova_stream.api.convex.values import stored, stored_time, substring
from nova_stream.events.change import TASK_STATUSES, Entity
from nova_stream.storage.convex import read as convex_reads
from nova_stream.storage.convex.read import StoredDocument

functions = Functions("atlas")

_OUTPUT, _PROMPT, _RESPONSE = 500, 2000, 5000
_LEARNED = ("buildId", "taskId", "pattern", "insight", "code")


@functions.mutation("startBuild", {"prdId": STRING, "prdName": STRING, "startedAt": STRING})
async def start_build(call: MutationCall, args: Arguments) -> Any:
    """Begin the PRD's build, or begin it anew: here a PRD has one."""
    build = await _held_build_of(call, args["prdId"])
    if build is None:
        return {"buildId": call.insert(Entity.BUILDS, {**args, "status": "running"})}
    if build.document.get("startedAt") != stored_time(args["startedAt"]):
        again = {**args, "status": "running", "completedAt": None, "error": None}
        call.patch(Entity.BUILDS, build, again)
    return {"buildId": build.id}


@functions.mutation(
    "logTask",
    {
        "buildId": Id(Entity.BUILDS),
        "taskId": STRING,
        "title": STRING,
        "agent": STRING,
        "status": OneOf(*TASK_STATUSES),
        "dependencies": ListOf(STRING),
        "phase": NUMBER,
        "attempts": NUMBER,
        "createdAt": STRING,
        "output": Optional(STRING),
        "error": Optional(STRING),
    },
)
async def log_task(call: MutationCall, args: Arguments) -> Any:
    """The state of a task, whole; the task is made when its build does not have it yet."""
    await call.hold(f"builds:{args['buildId']}")
    async with call.reading() as connection:
        found(await convex_reads.by_id(connection, Entity.BUILDS, args["buildId"]), "Build")
        task = await convex_reads.task_of_build(connection, args["buildId"], args["taskId"])
    state = {
        **args,
        "phase": stored(args["phase"]),
        "attempts": stored(args["attempts"]),
        "output": args.get("output"),
        "error": args.get("error"),
    }
    if task is None:
        return {"taskDocId": call.insert(Entity.TASKS, state)}
    task = found(await call.held(Entity.TASKS, task.id), "Task")
    call.patch(Entity.TASKS, task, state)
    return {"taskDocId": task.id}


@functions.mutation(
    "logExecution",
    {
        "prdId": STRING,
        "prdName": STRING,
        "taskId": STRING,
        "taskTitle": STRING,
        "agent": STRING,
        "model": STRING,
        "phase": NUMBER,
        "prompt": STRING,
        "response": STRING,
        "gatesPassed": BOOLEAN,
        "duration": NUMBER,
        "timestamp": STRING,
        "error": Optional(STRING),
    },
)
async def log_execution(call: MutationCall, args: Arguments) -> Any:
    """Add an execution, with its task and its build where they are not known yet."""
    build = await _held_build_of(call, args["prdId"])
    build_id = build.id if build else call.insert(Entity.BUILDS, _build_of(args))
    task: StoredDocument | None = None
    if build is not None:
        async with call.reading() as connection:
            task = await convex_reads.task_of_build(connection, build.id, args["taskId"])
    task_id = await _write_task(call, build_id, task, args)
    call.insert(
        Entity.EXECUTIONS,
        {
            "taskId": task_id,
            "agent": args["agent"],
            "model": args["model"],
            "prompt": substring(args["prompt"], _PROMPT),
            "response": substring(args["response"], _RESPONSE),
            "gatesPassed": args["gatesPassed"],
            "duration": stored(args["duration"]),
            "timestamp": args["timestamp"],
            "error": args.get("error"),
        },
    )
    return {"buildId": build_id, "taskId": task_id}


@functions.mutation(
    "logExecution",
    {
        "buildId": Id(Entity.BUILDS),
        "taskId": STRING,
        "convexTaskId": Optional(Id(Entity.TASKS)),
        "model": STRING,
        "tokens": NUMBER,
        "duration": NUMBER,
        "timestamp": STRING,
    },
    marker="buildId",
)
async def log_tokens(call: MutationCall, args: Arguments) -> Any:
    """Add an execution to a task that logTask has made: it is the task's agent's, and says
    nothing of prompt and response.
    """
    async with call.reading() as connection:
        id_ = args.get("convexTaskId")
        task = await convex_reads.by_id(connection, Entity.TASKS, id_) if id_ else None
        if task is None:
            task = await convex_reads.task_of_build(connection, args["buildId"], args["taskId"])
    task = found(task, "Task")
    call.insert(
        Entity.EXECUTIONS,
        {
            "taskId": task.id,
            "agent": task.document.get("agent"),
            "model": args["model"],
            "prompt": "",
            "response": "",
            "gatesPassed": task.document.get("status") != "failed",
            "duration": stored(args["duration"]),
            "tokens": stored(args["tokens"]),
            "timestamp": args["timestamp"],
        },
    )
    return {"buildId": task.document.get("buildId"), "taskId": task.id}


@functions.mutation(
    "completeBuild",
    {
        "prdId": STRING,
        "status": OneOf("completed", "failed"),
        "completedAt": Optional(STRING),
        "error": Optional(STRING),
    },
)
async def complete_build(call: MutationCall, args: Arguments) -> Any:
    """End the PRD's build; nothing happens where there is none."""
    build = await _held_build_of(call, args["prdId"])
    if build is not None:
        end = {
            "status": args["status"],
            "completedAt": args.get("completedAt", call.now()),
            "error": args.get("error"),
        }
        call.patch(Entity.BUILDS, build, end)


@functions.mutation(
    "logLearning",
    {
        "prdId": STRING,
        "taskId": STRING,
        "agent": Optional(STRING),
        "pattern": STRING,
        "insight": STRING,
        "code": Optional(STRING),
        "createdAt": Optional(STRING),
    },
)
async def log_learning(call: MutationCall, args: Arguments) -> Any:
    """Note in the activity feed what was learned."""
    async with call.reading() as connection:
        build = await convex_reads.build_of_prd(connection, args["prdId"])
    call.log(
        args.get("agent", "ATLAS"),
        "playbook_updated",
        f"{args['insight']}: {args['pattern']}",
        args["taskId"],
        timestamp=args.get("createdAt", call.now()),
        prdId=args["prdId"],
        buildId=build.id if build else None,
        pattern=args["pattern"],
        insight=args["insight"],
        code=args.get("code"),
    )


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


def _build_of(args: Arguments) -> Arguments:
    return {
        "prdId": args["prdId"],
        "prdName": args["prdName"],
        "status": "running",
        "startedAt": args["timestamp"],
    }


async def _write_task(
    call: MutationCall, build_id: str, known: StoredDocument | None, args: Arguments
) -> str:
    passed = args["gatesPassed"]
    outcome = {
        "status": "done" if passed else "failed",
        "output": substring(args["response"], _OUTPUT) if passed else None,
        "error": args.get("error"),
    }
    if known is not None:
        task = found(await call.held(Entity.TASKS, known.id), "Task")
        attempts = task.document.get("attempts") or 0
        call.patch(Entity.TASKS, task, {**outcome, "attempts": attempts + 1})
        return task.id
    return call.insert(
        Entity.TASKS,
        {
            "buildId": build_id,
            "taskId": args["taskId"],
            "title": args["taskTitle"],
            "agent": args["agent"],
            "dependencies": [],
            "phase": stored(args["phase"]),
            "attempts": 1,
            "createdAt": args["timestamp"],
            **outcome,
        },
    )


async def _held_build_of(call: MutationCall, prd_id: str) -> StoredDocument | None:
    """The PRD's first build, held; None where there is none, and then nobody else makes it."""
    await call.hold(f"prd:{prd_id}")
    async with call.reading() as connection:
        build = await convex_reads.build_of_prd(connection, prd_id)
    if build is None:
        return None
    return await call.held(Entity.BUILDS, build.id)


def _learning(row: StoredDocument) -> Arguments:
    document = shown(row)
    learned = {name: document[name] for name in _LEARNED if name in document}
    system = {name: document[name] for name in ("_id", "_creationTime")}
    return {**system, **learned, "createdAt": document.get("timestamp")}
