"""Examples for the OpenAPI document: jobs, alerts, dead letters, histories, the stream's state."""

from __future__ import annotations

from typing import Any

from nova_stream.api.openapi.examples import BUILD_STATS, ENDS

_BUILD_FIGURES = {
    name: value for name, value in BUILD_STATS.items() if name not in {"lastBuildTime", "cachedAt"}
}
RUN: dict[str, Any] = {
    "runId": 4711,
    "job": "computeAgentStats",
    "state": "ended",
    "how": "scheduled",
    "ended": "went_well",
    "outcome": "ok",
    "trigger": "schedule",
    "dryRun": False,
    "slot": "2026-02-20T12:00:00.000Z",
    "scheduledAt": "2026-02-20T12:00:00.000Z",
    "late": False,
    "at": "2026-02-20T12:00:00.004Z",
    "asOf": None,
    "startedAt": "2026-02-20T12:00:00.011Z",
    "endedAt": "2026-02-20T12:00:00.094Z",
    "durationMs": 83.2,
    "queryMs": 66.1,
    "worker": "worker-1:42:9f3c1a",
    "attempt": 1,
    "rows": 21,
    "counts": {"computed": 21},
    "result": {
        "computed": 21,
        "timestamp": "2026-02-20T12:00:00.004Z",
        "drift": 0,
        "driftByFigure": {},
        "differences": [],
    },
    "error": None,
    "did": "21 agents recounted, every figure was right",
}
_NONE = {"wentWell": 0, "wentWrong": 0, "skipped": 0, "missed": 0, "running": 0}
RUNS = {"items": [RUN], **ENDS}
JOB_SUMMARIES = {
    "items": [
        {
            "job": "computeAgentStats",
            "scheduled": {**_NONE, "wentWell": 286},
            "caughtUp": {**_NONE, "wentWell": 1},
            "byHand": {**_NONE, "wentWell": 1},
            "dryRun": _NONE,
            "good": 288,
            "bad": 0,
            "skipped": 0,
            "dryRuns": 0,
            "unended": 0,
            "missing": 0,
            "counts": {"computed": 6048, "drift": 0},
            "did": "Every figure was right",
            "lastRun": RUN,
        }
    ],
    "nextCursor": None,
}
RUN_REQUEST = {"at": "2026-02-20T12:00:00.000Z", "dryRun": True}
PAUSE_REQUEST = {"reason": "the archive is being moved"}
JOB: dict[str, Any] = {
    "name": "computeAgentStats",
    "description": "recounts the agents' figures, repairs what differs, confirms the cache",
    "schedule": "*/5 * * * *",
    "paused": False,
    "pausedAt": None,
    "pausedReason": None,
    "nextRun": "2026-02-20T12:05:00.000Z",
    "lastRun": RUN,
    "running": None,
    "lastSuccessAt": "2026-02-20T12:00:00.094Z",
    "medianDurationMs": 81.5,
    "medianQueryMs": 64.2,
    "successRate": 100.0,
    "runs": 20,
    "undoable": False,
    "late": False,
}
JOBS = {"items": [JOB], "nextCursor": None}
ENGAGEMENT: dict[str, Any] = {
    "days": [
        {
            "day": "2026-02-19",
            "dau": 412,
            "wau": 1630,
            "mau": 4275,
            "newUsers": 31,
            "returningUsers": 381,
            "returned": 12,
        }
    ],
    "retention": [{"cohortWeek": "2026-02-02", "week": 1, "users": 205, "retained": 118}],
    "churn": [
        {"month": "2026-01-01", "active": 4310, "activeBefore": 4188, "churned": 603, "rate": 14.4}
    ],
    "inactiveUsers": 142,
    "countedAt": "2026-02-20T02:00:00.000Z",
}
RESTORED = {"restored": 1200}
ALERT = {
    "id": 3,
    "kind": "slow",
    "subject": "computeAgentStats",
    "message": "the last run of computeAgentStats took 2.100 s, 25.9 times its usual 0.081 s",
    "value": 2100.0,
    "beganAt": "2026-02-20T12:00:02.000Z",
    "endedAt": None,
    "open": True,
    "acknowledgedAt": "2026-02-20T12:04:40.000Z",
    "acknowledgedBy": "night-shift",
}
ALERTS = {"items": [ALERT], **ENDS}
DEAD_LETTER: dict[str, Any] = {
    "id": 17,
    "state": "open",
    "topic": "nova.tasks",
    "partition": 3,
    "offset": 8105,
    "generation": 0,
    "key": "t-1",
    "reason": "bad_json",
    "detail": "the value is no JSON: unexpected end",
    "size": 1,
    "timestamp": "2026-02-20T11:59:58.100Z",
    "recordedAt": "2026-02-20T11:59:58.160Z",
    "attempts": 1,
    "keyBase64": "dC0x",
    "valueText": "{",
    "valueBase64": "ew==",
    "headers": [{"name": "ce_id", "value": "7", "valueBase64": "Nw=="}],
}
_WHOLE_ONLY = {"keyBase64", "valueText", "valueBase64", "headers"}
DEAD_LETTERS = {
    "items": [{name: x for name, x in DEAD_LETTER.items() if name not in _WHOLE_ONLY}],
    **ENDS,
}
EVENT = {
    "topic": "nova.tasks",
    "partition": 3,
    "offset": 8104,
    "changedAt": "2026-02-20T10:21:07.000Z",
    "entityId": "t00042",
}
EXPLANATION = {
    "agentName": "ANDROMEDA",
    "agentId": "agent-ANDROMEDA",
    "figure": "failedTasks",
    "value": 1,
    "formula": "The tasks given to this agent with status failed.",
    "rows": {"tasks": 71, "completed": 63, "failed": 1, "running": 1, "active": 4},
    "items": [
        {
            "kind": "task",
            "id": "t00042",
            "status": "failed",
            "taskId": "T003",
            "title": "Test the indigo",
            "buildId": "b0001",
            "createdAt": "2026-02-20T09:58:00.000Z",
            "event": EVENT,
        }
    ],
    "lastChange": EVENT,
    "nextCursor": None,
}
AGENT_HISTORY = {
    "items": [
        {
            "agentName": "ANDROMEDA",
            "buckets": [
                {
                    "start": "2026-02-20T12:00:00.000Z",
                    "completed": 3,
                    "failed": 0,
                    "executions": 4,
                    "avgDuration": 14481,
                }
            ],
        }
    ],
    "nextCursor": None,
}
BUILD_HISTORY = {
    "items": [
        {
            "takenAt": "2026-02-20T12:00:00.000Z",
            **_BUILD_FIGURES,
            "drift": 0,
            "runId": 4712,
        }
    ],
    "nextCursor": None,
}
STREAM_STATUS = {
    "databaseUp": True,
    "databaseState": "up",
    "kafkaUp": True,
    "kafkaState": "up",
    "lag": 12,
    "topics": [
        {"topic": "nova.tasks", "lag": 12, "partitions": 8, "partitionsWaiting": 1},
        {"topic": "nova.users", "lag": 0, "partitions": 8, "partitionsWaiting": 0},
    ],
    "partitions": 48,
    "throughput": 812.4,
    "freshnessMs": 41.0,
    "heldBack": [],
    "lastAppliedAt": "2026-02-20T12:00:03.120Z",
    "openDeadLetters": 0,
    "lastAudit": {"at": "2026-02-20T12:00:00.094Z", "drift": 0, "runId": 4711},
    "lastBuildAudit": {"at": "2026-02-20T12:00:00.120Z", "drift": 0, "runId": 4712},
    "workers": 2,
    "outlook": {
        "advice": "The workers keep up.",
        "trend": "steady",
        "lagPerSecond": 0,
        "appliedPerSecond": 812.4,
        "workerPerSecond": None,
        "caughtUpSeconds": None,
        "workersWanted": None,
    },
}
TRAIL = {
    "items": [
        {
            "id": 42,
            "at": "2026-02-20T12:00:00.000Z",
            "until": "2026-02-20T12:00:00.000Z",
            "requests": 1,
            "token": "ops",
            "address": "127.0.0.1",
            "action": "POST /api/v1/jobs/{name}/pause",
            "object": "computeAgentStats",
            "outcome": "done",
            "refused": False,
        }
    ],
    **ENDS,
}
CLIENT_SETTINGS = {"stallMinutes": 30}
TOKEN_RIGHTS = {
    "name": "ops",
    "scopes": ["stats", "admin"],
    "expiresAt": "2027-02-20T12:00:00.000Z",
}
