"""Examples for the OpenAPI document: statistics over time."""

from __future__ import annotations

from typing import Any

_RANGE = {"from": "2026-02-01T00:00:00.000Z", "to": "2026-02-08T00:00:00.000Z"}
_FIGURES: dict[str, Any] = {
    "completedTasks": 41,
    "failedTasks": 3,
    "successRate": 93.18,
    "throughput": 0.262,
    "executions": 57,
    "avgDuration": 14481,
    "p50Duration": 12200,
    "p95Duration": 31807,
    "p99Duration": 40112.5,
}
_BUILD_FIGURES: dict[str, Any] = {
    "completedBuilds": 22,
    "failedBuilds": 2,
    "successRate": 91.67,
    "throughput": 0.143,
    "avgDurationMs": 49661,
    "p50DurationMs": 47012,
    "p95DurationMs": 88240,
    "p99DurationMs": 90113,
}
_HOUR = {"start": "2026-02-01T00:00:00.000Z", "end": "2026-02-01T01:00:00.000Z"}
_AGENT = {
    **_FIGURES,
    "agentId": "agent-ANDROMEDA",
    "agentName": "ANDROMEDA",
    "role": "release",
    "registered": True,
}
_ERROR = {"percentileError": 0.01}
AGENTS = {
    **_RANGE,
    **_ERROR,
    "overall": _FIGURES,
    "items": [_AGENT],
    "nextCursor": None,
    "prevCursor": None,
}
AGENT = {**_RANGE, **_ERROR, **_AGENT}
_SIDES = {
    "executions": 214,
    "executionsBefore": 198,
    "p95": 7900,
    "p95Before": 4100,
    "change": 92.7,
    "few": False,
}
_DAY = {
    "beforeFrom": "2026-02-06T00:00:00.000Z",
    "from": "2026-02-07T00:00:00.000Z",
    "to": "2026-02-08T00:00:00.000Z",
    "percentileError": 0.01,
}
COMPARED = {**_DAY, **_SIDES}
COMPARISON = {
    **_DAY,
    "items": [
        {
            **_SIDES,
            "agentId": "agent-ANDROMEDA",
            "agentName": "ANDROMEDA",
            "role": "release",
            "registered": True,
        }
    ],
    "more": False,
}
BUILDS = {**_RANGE, **_BUILD_FIGURES}
AGENT_SERIES = {
    **_RANGE,
    "agentName": "ANDROMEDA",
    "bucket": "1h",
    "zone": "UTC",
    **_ERROR,
    "items": [{**_HOUR, **_FIGURES}],
}
BUILD_SERIES = {**_RANGE, "bucket": "1h", "zone": "UTC", "items": [{**_HOUR, **_BUILD_FIGURES}]}
STREAM_SERIES = {
    **_RANGE,
    "bucket": "1m",
    "zone": "UTC",
    "items": [
        {
            "start": "2026-02-01T00:00:00.000Z",
            "end": "2026-02-01T00:01:00.000Z",
            "seconds": 60,
            "lag": 1204.5,
            "lagMax": 4100,
            "applied": 48720,
            "appliedPerSecond": 812,
            "freshnessP50Ms": 38.6,
            "freshnessP99Ms": 164.2,
            "freshnessMaxMs": 203.4,
        }
    ],
}
