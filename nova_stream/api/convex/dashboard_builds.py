"""The mutations of ``dashboard:*`` that change builds and agents.

createBuild has a second way to be called: the main app's bridge sends the state of a build
whenever it changes, without keeping the id that it was given.
"""

from __future__ import annotations

from typing import Any

from nova_stream.api.convex.functions import Arguments, Functions, MutationCall, found
from nova_stream.api.convex.validators import (
    NUMBER,
    STRING,
    Fields,
    Id,
    ListOf,
    Members,
    OneOf,
    Optional,
)
from nova_stream.api.convex.values import stored, stored_time
from nova_stream.events.change import Entity
from nova_stream.storage.convex import read as convex_reads

functions = Functions("dashboard")

_BUILD_STATUS = OneOf("running", "completed", "failed")
_CONFIG = Fields({name: Optional(NUMBER) for name in ("timeout", "retries", "parallelism")})

_NEW_BUILD: Members = {
    "prdId": STRING,
    "prdName": STRING,
    "config": Optional(_CONFIG),
    "agentIds": Optional(ListOf(STRING)),
}
_BUILD_STATE: Members = {
    **_NEW_BUILD,
    "status": _BUILD_STATUS,
    "startedAt": STRING,
    "completedAt": Optional(STRING),
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
        start = stored_time(args["startedAt"])
        build = await convex_reads.build_of_start(connection, args["prdId"], start)
    if build is None:
        return _insert_build(call, state)
    build = found(await call.held(Entity.BUILDS, build.id), "Build")
    call.patch(Entity.BUILDS, build, state)
    call.log_status("ATLAS", "Build", args)
    return build.id


@functions.mutation(
    "updateBuildStatus",
    {"buildId": Id(Entity.BUILDS), "status": _BUILD_STATUS, "error": Optional(STRING)},
)
async def update_build_status(call: MutationCall, args: Arguments) -> Any:
    """Give a build a status; it ends now when that is completed or failed."""
    build = found(await call.held(Entity.BUILDS, args["buildId"]), "Build")
    patch = {"status": args["status"]}
    if args["status"] != "running":
        patch["completedAt"] = call.now()
    if args.get("error"):
        patch["error"] = args["error"]
    call.patch(Entity.BUILDS, build, patch)
    call.log_status("ATLAS", "Build", args)
    return build.id


@functions.mutation(
    "updateAgentStatus",
    {
        "agentId": Id(Entity.AGENTS),
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
    agent = found(await call.held(Entity.AGENTS, found(agent, "Agent").id), "Agent")
    current = args.get("currentTask", args.get("currentTaskId"))
    patch: Arguments = {"status": args["status"]} if args.get("status") else {}
    if current is not None:
        patch["currentTask"] = current
    if "idleMinutes" in args:
        patch["idleMinutes"] = stored(args["idleMinutes"])
    if patch:
        call.patch(Entity.AGENTS, agent, {**patch, "lastUpdated": call.now()})
    return agent.id


def _insert_build(call: MutationCall, document: Arguments) -> str:
    id_ = call.insert(Entity.BUILDS, document)
    call.log("ATLAS", "task_started", f"Created new build: {document['prdName']}")
    return id_
