"""What the readers give: rows as the contract writes them, in camelCase.

Times are text (``2026-02-20T12:00:00.000Z``), whole numbers are ints, so that JSON shows them
without ``.0``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from nova_stream.events.times import time_text

Time = Annotated[
    str,
    msgspec.Meta(
        description="UTC, millisecond precision.",
        extra_json_schema={"format": "date-time", "examples": ["2026-02-20T12:00:00.000Z"]},
    ),
]
_Percent = Annotated[float, msgspec.Meta(description="Percent, rounded to two decimals.")]
#: Why a task failed, where it does not say so itself.
FAILED_EXECUTION = (
    "Of a failed task the newest execution with an error; null where none of its twenty newest has "
    "one, where it has more than 2,000, or where the archive alone knows."
)
FAILED_EXECUTION_ERROR = "The error of that execution."
_Milliseconds = Annotated[float, msgspec.Meta(description="Milliseconds, rounded.")]


class AgentStats(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The figures of an agent, or of a name that no registered agent has (``registered`` false,
    ``agentId``, ``role`` and ``cachedAt`` null).
    """

    agent_id: str | None
    agent_name: str
    role: str | None
    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    success_rate: _Percent
    avg_duration: _Milliseconds
    last_active: Time | None
    current_status: Annotated[str, msgspec.Meta(description="active or idle")]
    cached_at: Time | None
    registered: bool = True


class NamedAgentStats(AgentStats, frozen=True, rename="camel", kw_only=True):
    """The figures of one name; ``otherAgentIds`` are further agents that have it, too."""

    other_agent_ids: list[str] = []


class BuildStats(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The figures of all builds."""

    total_builds: int
    completed_builds: int
    failed_builds: int
    running_builds: int
    success_rate: _Percent
    avg_duration_ms: _Milliseconds
    last_build_time: Time | None
    cached_at: Time


class Overview(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The figures of the whole platform."""

    total_builds: int
    completed_builds: int
    failed_builds: int
    success_rate: _Percent
    active_tasks: Annotated[int, msgspec.Meta(description="pending, ready or running")]
    completed_tasks: int
    last_build_time: Time | None
    total_agents: int


class Build(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A build."""

    id: str
    prd_id: str | None
    prd_name: str | None
    status: str
    started_at: Time | None
    completed_at: Time | None
    error: str | None


class Task(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A task of a build; ``agent`` is a name."""

    id: str
    build_id: str | None
    task_id: str | None
    title: str | None
    agent: str
    status: str
    dependencies: list[Any] | None
    phase: float | None
    attempts: float | None
    created_at: Time | None
    output: str | None
    error: str | None
    failed_execution_id: Annotated[str | None, msgspec.Meta(description=FAILED_EXECUTION)]
    failed_execution_error: Annotated[str | None, msgspec.Meta(description=FAILED_EXECUTION_ERROR)]


class BuildWithTasks(Build, frozen=True, rename="camel", kw_only=True):
    """A build with its tasks, by phase and creation; of many tasks a page."""

    tasks: list[Task]
    next_cursor: Annotated[
        str | None, msgspec.Meta(description="Cursor of its next tasks; null at the end.")
    ] = None


class Activity(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An entry of the activity feed."""

    id: str
    user_id: str | None
    agent_name: str | None
    event_type: str | None
    task_id: str | None
    details: str | None
    timestamp: Time | None


def times_as_text(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values, its times as they are written out."""
    return {
        name: time_text(value) if isinstance(value, datetime) else value
        for name, value in row.items()
    }
