"""Many rows for the dashboard: the changes of two days of a large platform, as lines to publish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

_DAYS = timedelta(days=2)
_TASK_S = 20
#: One agent takes three times as long since yesterday.
SLOWER = "agent-0007"


class Sizes(NamedTuple):
    """How many rows there are; of each task there is one execution."""

    agents: int
    builds: int
    tasks: int


#: What the dashboard is held to.
LARGE = Sizes(1_500, 3_000, 100_000)


def lines(sizes: Sizes, now: datetime) -> Iterator[bytes]:
    """The changes, one a line, of the two days before ``now``; the same for equal arguments."""
    for number in range(sizes.agents):
        agent = {
            "id": f"big-{number:04}",
            "name": f"agent-{number:04}",
            "role": f"role {number % 40}",
        }
        yield _line("agents", agent)
    for number in range(sizes.builds):
        yield _line("builds", _build(number, sizes, now))
    for number in range(sizes.tasks):
        task, execution = _task(number, sizes, now)
        yield _line("tasks", task)
        yield _line("executions", execution)


def _line(entity: str, document: dict[str, Any]) -> bytes:
    return json.dumps({"entity": entity, "op": "r", "after": document}).encode() + b"\n"


def _time(place: float, now: datetime) -> str:
    """The time at ``place`` of the two days, from 0 to 1."""
    return (now - _DAYS * (1 - place)).isoformat(timespec="milliseconds")


def _is_lost(build: int) -> bool:
    return build % 25 == 3


def _build(number: int, sizes: Sizes, now: datetime) -> dict[str, Any]:
    document = {
        "id": f"build-{number:05}",
        "prdId": f"prd-{number:05}",
        "prdName": f"Large {number}",
        "status": "completed",
        "startedAt": _time(number / sizes.builds, now),
        "completedAt": _time((number + 0.9) / sizes.builds, now),
    }
    if _is_lost(number):
        document |= {"status": "failed", "error": f"Task {number}: test timed out after 120 s"}
    return document


def _task(number: int, sizes: Sizes, now: datetime) -> tuple[dict[str, Any], dict[str, Any]]:
    build, position = divmod(number * sizes.builds, sizes.tasks)
    place = number / sizes.tasks
    is_last = position + sizes.builds >= sizes.tasks
    works = not (is_last and _is_lost(build))
    agent = f"agent-{number % sizes.agents:04}"
    slow = 3 if agent == SLOWER and place > 0.5 else 1
    task: dict[str, Any] = {
        "id": f"task-{number:06}",
        "buildId": f"build-{build:05}",
        "taskId": f"T{number:06}",
        "title": f"Task {number}",
        "agent": agent,
        "status": "done" if works else "failed",
        "attempts": 1,
        "phase": 1,
        "createdAt": _time(place, now),
    }
    if not works:
        task["error"] = "test timed out after 120 s"
    execution = {
        "id": f"execution-{number:06}",
        "taskId": task["id"],
        "agent": agent,
        "model": "local-7b",
        "gatesPassed": works,
        "duration": (500 + number * 7919 % (_TASK_S * 1000)) * slow,
        "timestamp": _time(place, now),
    }
    return task, execution
