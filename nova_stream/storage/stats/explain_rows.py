"""An agent's figure and what it is made of, in camelCase as ``rows.py`` has it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from nova_stream.storage.stats.rows import Time

Figure = Literal[
    "totalTasks",
    "completedTasks",
    "failedTasks",
    "activeTasks",
    "successRate",
    "avgDuration",
    "lastActive",
    "currentStatus",
]


class Event(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The record in Kafka that brought a row to what it is."""

    topic: str
    partition: int
    offset: int
    changed_at: Annotated[Time, msgspec.Meta(description="The time of the change.")]
    entity_id: str


class TaskItem(
    msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag="task", tag_field="kind"
):
    """A task that a figure counts."""

    id: str
    status: str | None
    task_id: str | None
    title: str | None
    build_id: str | None
    created_at: Time | None
    event: Event


class ExecutionItem(
    msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag="execution", tag_field="kind"
):
    """An execution that a figure counts; ``duration`` in milliseconds."""

    id: str
    duration: float | None
    timestamp: Time | None
    task_id: str | None
    event: Event


class AgentItem(
    msgspec.Struct, frozen=True, rename="camel", kw_only=True, tag="agent", tag_field="kind"
):
    """The agent itself, where nothing else says when it was last active."""

    id: str
    name: str | None
    role: str | None
    created_at: Time | None
    event: Event


Item: TypeAlias = TaskItem | ExecutionItem | AgentItem


class Explanation(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A figure of an agent: its value, a page of the rows that it is made of, and the newest
    event of those that decide it, null where there is none.
    """

    agent_name: str
    agent_id: str | None
    figure: Figure
    value: Annotated[
        Any,
        msgspec.Meta(
            description="The value in the statistics.",
            extra_json_schema={"type": ["number", "string", "null"]},
        ),
    ]
    formula: Annotated[str, msgspec.Meta(description="How the rows make the value.")]
    rows: Annotated[
        dict[str, float],
        msgspec.Meta(description="What the formula works with, counted from the rows."),
    ]
    items: list[Item]
    last_change: Event | None
    next_cursor: str | None = None
