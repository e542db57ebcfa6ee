"""The mutations of ``dashboard:*`` that change tasks and add executions.

createTask has a second way to be called: the main app's bridge sends the state of a task whenever
it changes, and names its build and task by its own words.
"""

from __future__ import annotations

from typing import Any

from nova_stream.api.convex.errors import FunctionError
from nova_stream.api.convex.functions import Arguments, Functions, MutationCall, found
from nova_stream.api.convex.validators import (
    BOOLEAN,
    NUMBER,
    STRING,
    Id,
    ListOf,
    Members,
    OneOf,
    Optional,
)
from nova_stream.api.convex.values import number_text, stored, substring
from nova_stream.events.change import TASK_STATUSES, Entity
from nova_stream.storage.convex import read as convex_reads
from nova_stream.storage.convex.read import StoredDocument

functions = Functions("dashboard")

_BUILD, _TASK, _AGENT = Id(Entity.BUILDS), Id(Entity.TASKS), Id(Entity.AGENTS)
_TASK_STATUS = OneOf(*TASK_STATUSES)

#: What a task of each status may become.
_TRANSITIONS = {
    "pending": ("ready", "running", "blocked", "failed"),
    "ready": ("running", "failed", "blocked"),
    "running": ("done", "failed"),
    "done": (),
    "failed": (),
    "blocked": ("pending", "ready", "failed"),
}
_PROMPT, _RESPONSE = 2000, 5000

_NEW_TASK: Members = {
    "buildId": _BUILD,
    "taskId": STRING,
    "title": STRING,
    "agent": STRING,
    "agentId": Optional(_AGENT),
    "phase": NUMBER,
    "description": Optional(STRING),
}
_TASK_STATE: Members = {
    **_NEW_TASK,
    "status": _TASK_STATUS,
    "dependencies": ListOf(STRING),
    "attempts": NUMBER,
    "createdAt": STRING,
    "output": Optional(STRING),
    "error": Optional(STRING),
}


@functions.mutation("createTask", _NEW_TASK)
async def create_task(call: MutationCall, args: Arguments) -> Any:
    """Make a pending task, whose ``taskId`` its build must not have yet."""
    await call.hold(f"builds:{args['buildId']}")
    async with call.reading() as connection:
        found(await convex_reads.by_id(connection, Entity.BUILDS, args["buildId"]), "Build")
        if args["phase"] < 1:
            raise FunctionError("Phase must be >= 1")
        known = await convex_reads.task_of_build(connection, args["buildId"], args["taskId"])
    if known is not None:
        raise FunctionError("Task with this ID already exists in build")
    return _insert_task(
        call,
        {
            "buildId": args["buildId"],
            "taskId": args["taskId"],
            "title": args["title"],
            "agent": args["agent"],
            "status": "pending",
            "dependencies": [],
            "phase": stored(args["phase"]),
            "attempts": 0,
            "createdAt": call.now(),
        },
    )


@functions.mutation("createTask", _TASK_STATE, marker="status")
async def log_task(call: MutationCall, args: Arguments) -> Any:
    """The state of a task, as the bridge logs it; its build is named by id or by PRD."""
    build = await _named_build(call, args["buildId"])
    await call.hold(f"builds:{build.id}")
    async with call.reading() as connection:
        task = await convex_reads.task_of_build(connection, build.id, args["taskId"])
    names = ("taskId", "title", "agent", "status", "dependencies", "createdAt", "output", "error")
    state = {
        "buildId": build.id,
        **{name: args.get(name) for name in names},
        "phase": stored(args["phase"]),
        "attempts": stored(args["attempts"]),
    }
    if task is None:
        return _insert_task(call, state)
    task = found(await call.held(Entity.TASKS, task.id), "Task")
    call.patch(Entity.TASKS, task, state)
    call.log_status(task.document.get("agent", ""), "Task", args, args["taskId"])
    return task.id


@functions.mutation(
    "updateTaskStatus",
    {
        "taskId": _TASK,
        "status": _TASK_STATUS,
        "output": Optional(STRING),
        "error": Optional(STRING),
        "duration": Optional(NUMBER),
    },
)
async def update_task_status(call: MutationCall, args: Arguments) -> Any:
    """Give a task a status that may follow its present one."""
    task = found(await call.held(Entity.TASKS, args["taskId"]), "Task")
    before = task.document["status"]
    if args["status"] not in _TRANSITIONS.get(before, ()):
        raise FunctionError(f"Invalid status transition from {before} to {args['status']}")
    patch = {"status": args["status"]}
    patch |= {name: args[name] for name in ("output", "error") if args.get(name)}
    call.patch(Entity.TASKS, task, patch)
    call.log_status(task.document.get("agent", ""), "Task", args, task.document.get("taskId"))
    return task.id


@functions.mutation(
    "logExecution",
    {
        "taskId": _TASK,
        "agent": STRING,
        "agentId": Optional(_AGENT),
        "model": STRING,
        "prompt": STRING,
        "response": STRING,
        "gatesPassed": BOOLEAN,
        "duration": NUMBER,
        "input": Optional(STRING),
        "output": Optional(STRING),
        "tokensUsed": Optional(NUMBER),
        "timestamp": Optional(STRING),
        "error": Optional(STRING),
    },
)
async def log_execution(call: MutationCall, args: Arguments) -> Any:
    """Add an execution to a task, named by id or by the word that a build at work has for it."""
    async with call.reading() as connection:
        task = await convex_reads.by_id(connection, Entity.TASKS, args["taskId"])
        task = task or await convex_reads.task_at_work(connection, args["taskId"])
    task = found(task, "Task")
    if args["duration"] < 0:
        raise FunctionError("Duration must be >= 0")
    execution = {name: args.get(name) for name in ("agent", "model", "gatesPassed", "error")}
    id_ = call.insert(
        Entity.EXECUTIONS,
        {
            **execution,
            "taskId": task.id,
            "prompt": substring(args["prompt"], _PROMPT),
            "response": substring(args["response"], _RESPONSE),
            "duration": stored(args["duration"]),
            "timestamp": args.get("timestamp", call.now()),
        },
    )
    event, word = ("task_completed", "passed") if args["gatesPassed"] else ("task_failed", "failed")
    details = f"Execution {word} gates ({number_text(args['duration'])}ms)"
    call.log(args["agent"], event, details, task.document.get("taskId"))
    return id_


async def _named_build(call: MutationCall, name: str) -> StoredDocument:
    async with call.reading() as connection:
        build = await convex_reads.by_id(connection, Entity.BUILDS, name)
        return found(build or await convex_reads.build_of_prd(connection, name), "Build")


def _insert_task(call: MutationCall, document: Arguments) -> str:
    id_ = call.insert(Entity.TASKS, document)
    details = f"Created task: {document['title']}"
    call.log(document["agent"], "task_started", details, document["taskId"])
    return id_
