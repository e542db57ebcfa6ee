"""Examples for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from nova_stream.api.openapi.examples_over_time import COMPARED

AGENT: dict[str, Any] = {
    "agentId": "agent-ANDROMEDA",
    "agentName": "ANDROMEDA",
    "role": "release",
    "totalTasks": 71,
    "completedTasks": 63,
    "failedTasks": 3,
    "successRate": 88.73,
    "avgDuration": 14481,
    "lastActive": "2026-02-20T10:29:33.330Z",
    "currentStatus": "active",
    "cachedAt": "2026-02-20T12:00:00.000Z",
    "registered": True,
}
AGENTS = {"items": [AGENT], "nextCursor": None, "prevCursor": None}
NAMED_AGENT = {**AGENT, "otherAgentIds": []}
BUILD_STATS = {
    "totalBuilds": 500,
    "completedBuilds": 388,
    "failedBuilds": 77,
    "runningBuilds": 35,
    "successRate": 77.6,
    "avgDurationMs": 49661,
    "lastBuildTime": "2026-02-20T04:24:20.112Z",
    "cachedAt": "2026-02-20T12:00:00.000Z",
}
OVERVIEW = {
    "totalBuilds": 500,
    "completedBuilds": 388,
    "failedBuilds": 77,
    "successRate": 77.6,
    "activeTasks": 159,
    "completedTasks": 2601,
    "lastBuildTime": "2026-02-20T04:24:20.112Z",
    "totalAgents": 21,
}
BUILD: dict[str, Any] = {
    "id": "b0001",
    "prdId": "prd-144",
    "prdName": "Lumen meadow 1",
    "status": "completed",
    "startedAt": "2025-11-12T20:02:32.341Z",
    "completedAt": "2025-11-12T20:03:25.733Z",
    "error": None,
}
BUILDS = {
    "items": [BUILD],
    "nextCursor": "WyJidWlsZHMiLCIiLFsiMjAyNS0xMS0xMlQyMDowMjozMi4zNDFaIiwiYjAwMDEiLCI8Il1d",
    "prevCursor": None,
}
ENDS: dict[str, Any] = {"nextCursor": None, "prevCursor": None}
TASK: dict[str, Any] = {
    "id": "t00001",
    "buildId": "b0001",
    "taskId": "T001",
    "agent": "ATLAS",
    "status": "done",
    "phase": 0,
    "attempts": 1,
    "createdAt": "2025-11-12T20:02:32.341Z",
    "changedAt": "2025-11-12T20:03:01.120Z",
    "title": "Test the indigo",
    "error": None,
    "failedExecutionId": None,
    "failedExecutionError": None,
}
TASKS = {"items": [TASK], **ENDS}
BUILD_WITH_TASKS = {
    **BUILD,
    "tasks": [
        {**{k: v for k, v in TASK.items() if k != "changedAt"}, "dependencies": [], "output": "ok"}
    ],
}
EXECUTION: dict[str, Any] = {
    "id": "e00001",
    "taskId": "t00001",
    "agent": "ATLAS",
    "duration": 14481,
    "timestamp": "2025-11-12T20:03:01.100Z",
    "archived": False,
    "model": "claude-sonnet",
    "gatesPassed": True,
    "status": "succeeded",
    "error": None,
}
EXECUTIONS = {"items": [EXECUTION], **ENDS}
SLOWEST = {**COMPARED, "minDuration": 4101, "slower": 43, "items": [EXECUTION]}
TASK_WITH_EXECUTIONS = {
    **TASK,
    "dependencies": [],
    "output": "ok",
    "executions": [EXECUTION],
    **ENDS,
}
WHOLE_EXECUTION = {
    **EXECUTION,
    "buildId": "b0001",
    "archivedAt": None,
    "prompt": "Test the indigo.",
    "response": "All 12 tests pass.",
    "note": None,
}
USER: dict[str, Any] = {
    "id": "u0185",
    "userId": "user-0185",
    "tier": "pro",
    "globalWisdomOptIn": True,
    "createdAt": "2025-03-01T08:00:00.000Z",
    "lastActiveAt": "2026-02-08T12:07:13.736Z",
    "email": "user-0185@example.com",
}
USERS = {"items": [USER], **ENDS}
FOUND = {
    "groups": [
        {
            "kind": "builds",
            "items": [
                {
                    "id": "b0001",
                    "match": "exact",
                    "name": "Lumen meadow 1",
                    "status": "completed",
                    "agent": None,
                    "time": "2025-11-12T20:02:32.341Z",
                }
            ],
            "more": False,
        }
    ]
}
ACTIVITIES: dict[str, Any] = {
    "items": [
        {
            "id": "a00001",
            "userId": "user-0185",
            "agentName": "ATLAS",
            "eventType": "task_completed",
            "taskId": None,
            "details": "aurora cinder",
            "timestamp": "2026-02-08T12:07:13.736Z",
        }
    ],
    **ENDS,
}
TASK_DONE: dict[str, Any] = {
    "entity": "tasks",
    "op": "u",
    "after": {"id": "t-1", "buildId": "b-1", "agent": "MARS", "status": "done"},
}
EVENTS: dict[str, Any] = {
    "one": {"summary": "One change", "value": TASK_DONE},
    "several": {
        "summary": "Several changes, with the main app's own versions",
        "value": [
            {"entity": "agents", "op": "c", "seq": 1, "after": {"id": "a-1", "name": "MARS"}},
            {**TASK_DONE, "seq": 2, "ts_ms": 1771588800000},
            {"entity": "builds", "op": "d", "seq": 3, "before": {"id": "b-9"}},
        ],
    },
}
ACCEPTED = {"accepted": 3, "token": "AXsibm92YS50YXNrcyI6eyIzIjo0Mn19"}
LIVE = {"status": "live"}
READY = {
    "checks": {"database": "ok", "schema": "ok", "kafka": "ok"},
    "unregisteredAgents": 0,
    "status": "ready",
}
PROBLEM = {
    "type": "urn:nova-stream:unknown-agent",
    "title": "Not Found",
    "status": 404,
    "detail": "No registered agent has this name.",
}

#: Calls of the main app's functions, by kind.
CONVEX_CALLS = {
    "query": {"path": "dashboard:listBuilds", "args": {"pageSize": 5}, "format": "json"},
    "mutation": {
        "path": "atlas:startBuild",
        "args": {
            "prdId": "prd-1",
            "prdName": "Checkout",
            "startedAt": "2026-02-20T12:00:00.000Z",
        },
    },
}
_STARTED = {"buildId": "1fs0007h9vqhj6yxwbnr3ecz8d5t2k4m"}
CONVEX_ANSWER = {"value": _STARTED, "result": _STARTED, "status": "success", "success": True}
_REFUSED = "Invalid status transition from done to running"
CONVEX_REFUSAL = {
    "errorMessage": f"[Request ID: 4be1c2a09d7f3e58] Server Error\nUncaught Error: {_REFUSED}",
    "error": _REFUSED,
    "status": "error",
    "success": False,
}
CONVEX_FAILURE = {
    "code": "BadJsonBody",
    "message": "The request body has no object `args`",
}
LIVE_EVENTS: dict[str, Any] = {
    "agent": AGENT,
    "agent-gone": {"agentName": "MARS", "agentId": "agent-MARS", "registered": True},
    "builds": BUILD_STATS,
    "overview": OVERVIEW,
    "build": BUILD,
    "activity": ACTIVITIES["items"][0],
    "snapshot": {},
    "state": {"connected": False, "databaseState": "silent"},
    "reset": {},
}
