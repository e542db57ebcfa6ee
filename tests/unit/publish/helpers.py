"""Documents to publish, and a clock that stands still."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
NOON_MS = 1771588800000

TASK: dict[str, Any] = {
    "id": "t-1",
    "buildId": "b-1",
    "taskId": "T001",
    "title": "Test the indigo",
    "agent": "ATLAS",
    "status": "done",
    "dependencies": [],
    "phase": 1,
    "attempts": 1,
    "createdAt": "2026-02-20T12:00:00.000Z",
}
AGENT: dict[str, Any] = {
    "id": "agent-ATLAS",
    "name": "ATLAS",
    "role": "documentation",
    "createdAt": "2026-02-20T12:00:00.000Z",
}


def noon() -> datetime:
    return NOON
