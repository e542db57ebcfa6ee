"""The mutations of ``dashboard:*``.

createBuild and createTask have a second way to be called: the main app's bridge sends the state
of a build or task whenever it changes, without keeping the ids that it was given.
"""

from __future__ import annotations

from typing import Any

from nova_stream.api.convex.failures import FunctionError
from nova_stream.api.convex.functions import Arguments, Functions, MutationCall, found
from nova_stream.api.convex.validators import (
    BOOLEAN,
    NUMBER,
    STRING,
    Fields,
    Id,
    ListOf,
    OneOf,
    Optional,
    Validator,
)
from nova_stream.api.convex.values import number_text, stored, substring
from nova_stream.events.change import TASK_STATUSES, Entity
from nova_stream.storage import convex_reads
from nova_stream.storage.convex_reads import Stored

functions = Functions("dashboard")

_Fields = dict[str, Validator | Optional]

_BUILD, _TASK, _AGENT = Id(Entity.BUILDS), Id(Entity.TASKS), Id(Entity.AGENTS)
_BUILD_STATUS = OneOf("running", "completed", "failed")
_TASK_STATUS = OneOf(*TASK_STATUSES)
_CONFIG = Fields({name: Optional(NUMBER) for name in ("timeout", "retries", "parallelism")})

#: What a task of each status may become.
_TRANSITIONS = {
    "pending": ("ready", "running", "blocked", "failed"),
    "ready": ("running", "failed", "blocked"),
    "running": ("done", "failed"),
    "done": (),
    "failed": (),
    "blocked": ("pending", "ready", "failed"),
}
_EVENTS = {
    "done": "task_completed",
    "completed": "task_completed",
    "failed": "task_failed",
}
_PROMPT, _RESPONSE = 2000, 5000

_NEW_BUILD: _Fields = {
    "prdId": STRING,
    "prdName": STRING,
    "config": Optional(_CONFIG),
    "agentIds": Optional(ListOf(STRING)),
}
_BUILD_STATE: _Fields = {
    **_NEW_BUILD,
    "status": _BUILD_STATUS,
    "startedAt": STRING,
    "completedAt": Optional(STRING),
    "error": Optional(STRING),
}
_NEW_TASK: _Fields = {
    "buildId": _BUILD,
    "taskId": STRING,
    "title": STRING,
    "agent": STRING,
    "agentId": Optional(_AGENT),
    "phase": NUMBER,
    "description": Optional(STRING),
}
_TASK_STATE: _Fields = {
    **_NEW_TASK,
    "status": _TASK_STATUS,
    "dependencies": ListOf(STRING),
    "attempts": NUMBER,
    "createdAt": STRING,
    "output": Optional(STRING),
    "error": Optional(STRING),
}


@functions.mutation("createBuild", _NEW_BUILD)
async def create_build(call: MutationCall, args: Arguments) -> Any:
    """Make a pending build."""
    return _insert_build(
        call,
        {
            "prdId": args["prdId"],
            "prdName": args["prdName"],
            "status": "pending",
            "startedAt": call.now(),
        },
    )


@functions.mutation("createBuild", _BUILD_STATE, marker="startedAt")
async def log_build(call: MutationCall, args: Arguments) -> Any:
    """The state of a build, as the bridge logs it: of the PRD's build with this start, or a new
    one.
    """
    names = ("prdId", "prdName", "status", "startedAt", "completedAt", "error")
    state = {name: args.get(name) for name in names}
    await call.hold(f"prd:{args['prdId']}")
    async with call.reading() as connection:
        build = await convex_reads.build_of_start(connection, args["prdId"], args["startedAt"])
    if build is None:
        return _insert_build(call, state)
    build = await _held_build(call, build.id)
    call.patch(Entity.BUILDS, build, state)
    _log_build(call, args)
    return build.id


@functions.mutation(
    "updateBuildStatus",
    {"buildId": _BUILD, "status": _BUILD_STATUS, "error": Optional(STRING)},
)
async def update_build_status(call: MutationCall, args: Arguments) -> Any:
    """Give a build a status; it ends now when that is completed or failed."""
    build = await _held_build(call, args["buildId"])
    patch = {"status": args["status"]}
    if args["status"] != "running":
        patch["completedAt"] = call.now()
    if args.get("error"):
        patch["error"] = args["error"]
    call.patch(Entity.BUILDS, build, patch)
    _log_build(call, args)
    return build.id


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
    task = await _held_task(call, task.id)
    call.patch(Entity.TASKS, task, state)
    _log_task(call, task, args)
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
    task = await _held_task(call, args["taskId"])
    before = task.document["status"]
    if args["status"] not in _TRANSITIONS.get(before, ()):
        raise FunctionError(f"Invalid status transition from {before} to {args['status']}")
    patch = {"status": args["status"]}
    patch |= {name: args[name] for name in ("output", "error") if args.get(name)}
    call.patch(Entity.TASKS, task, patch)
    _log_task(call, task, args)
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


@functions.mutation(
    "updateAgentStatus",
    {
        "agentId": _AGENT,
        "status": Optional(OneOf("active", "idle", "suspended")),
        "currentTask": Optional(STRING),
        "currentTaskId": Optional(STRING),
        "idleMinutes": Optional(NUMBER),
    },
)
async def update_agent_status(call: MutationCall, args: Arguments) -> Any:
    """Note in an agent's document what it does; the agent is named by id, or by name as the
    bridge does.
    """
    async with call.reading() as connection:
        agent = await convex_reads.by_id(connection, Entity.AGENTS, args["agentId"])
        agent = agent or await convex_reads.agent_of_name(connection, args["agentId"])
    agent = found(agent, "Agent")
    await call.hold(f"agents:{agent.id}")
    async with call.reading() as connection:
        agent = found(await convex_reads.by_id(connection, Entity.AGENTS, agent.id), "Agent")
    current = args.get("currentTask", args.get("currentTaskId"))
    patch: Arguments = {"status": args["status"]} if args.get("status") else {}
    if current is not None:
        patch["currentTask"] = current
    if "idleMinutes" in args:
        patch["idleMinutes"] = stored(args["idleMinutes"])
    if patch:
        call.patch(Entity.AGENTS, agent, {**patch, "lastUpdated": call.now()})
    return agent.id


async def _named_build(call: MutationCall, name: str) -> Stored:
    async with call.reading() as connection:
        build = await convex_reads.by_id(connection, Entity.BUILDS, name)
        return found(build or await convex_reads.build_of_prd(connection, name), "Build")


async def _held_build(call: MutationCall, id_: str) -> Stored:
    await call.hold(f"builds:{id_}")
    async with call.reading() as connection:
        return found(await convex_reads.by_id(connection, Entity.BUILDS, id_), "Build")


async def _held_task(call: MutationCall, id_: str) -> Stored:
    await call.hold(f"tasks:{id_}")
    async with call.reading() as connection:
        return found(await convex_reads.by_id(connection, Entity.TASKS, id_), "Task")


def _insert_build(call: MutationCall, document: Arguments) -> str:
    id_ = call.insert(Entity.BUILDS, document)
    call.log("ATLAS", "task_started", f"Created new build: {document['prdName']}")
    return id_


def _insert_task(call: MutationCall, document: Arguments) -> str:
    id_ = call.insert(Entity.TASKS, document)
    details = f"Created task: {document['title']}"
    call.log(document["agent"], "task_started", details, document["taskId"])
    return id_


def _log_build(call: MutationCall, args: Arguments) -> None:
    event, details = _told("Build", args)
    call.log("ATLAS", event, details)


def _log_task(call: MutationCall, task: Stored, args: Arguments) -> None:
    event, details = _told("Task", args)
    call.log(task.document.get("agent", ""), event, details, task.document.get("taskId"))


def _told(what: str, args: Arguments) -> tuple[str, str]:
    status, error = args["status"], args.get("error")
    details = f"{what} {status}: {error}" if error else f"{what} {status}"
    return _EVENTS.get(status, "task_started"), details
