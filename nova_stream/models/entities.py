"""The six entities: a row each, with its version and its document."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Computed,
    Index,
    Integer,
    Numeric,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nova_stream.models.base import DELETED, TIME, ZERO, Base


def _read(expression: str, type_: Any = Text) -> Any:
    """A column that is read from ``doc`` and costs nothing to write (PostgreSQL 18)."""
    return mapped_column(type_, Computed(expression, persisted=False))


def _untimed(table: str, time: str) -> Index:
    """Of living rows those without a time, which come last in the lists."""
    return Index(
        f"{table}_untimed", "id", postgresql_where=text(f"{time} IS NULL AND deleted_at IS NULL")
    )


def _those(join: str, **order: Any) -> Any:
    """Rows that name this one, or that it names. Nothing but the names ties them together."""
    return relationship(primaryjoin=join, viewonly=True, **order)


class EntityRow:
    """What every entity's row has: its version, where it came from, its document.

    A deleted entity keeps its row as a tombstone (``deleted_at`` set, typed columns and ``doc``
    null), so that an older change that arrives late cannot bring it back. ``version_generation``
    counts the sources that versions of lsns came from: it ranks before ``version``.
    """

    id: Mapped[str] = mapped_column(Text, primary_key=True, sort_order=-1)
    version: Mapped[int] = mapped_column(BigInteger, sort_order=1)
    version_minor: Mapped[int] = mapped_column(Integer, sort_order=1)
    changed_at: Mapped[datetime] = mapped_column(TIME, sort_order=1)
    deleted_at: Mapped[datetime | None] = mapped_column(TIME, sort_order=1)
    src_partition: Mapped[int] = mapped_column(Integer, sort_order=1)
    src_offset: Mapped[int] = mapped_column(BigInteger, sort_order=1)
    version_generation: Mapped[int] = mapped_column(Integer, server_default=ZERO, sort_order=1)
    doc: Mapped[dict[str, Any] | None] = mapped_column(JSONB, sort_order=1)


class Agent(EntityRow, Base):
    """A registered agent."""

    __tablename__ = "agents"
    name: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(TIME)
    role: Mapped[str | None] = _read("doc ->> 'role'")
    domain: Mapped[str | None] = _read("doc ->> 'domain'")
    model: Mapped[str | None] = _read("doc ->> 'model'")
    __table_args__ = (Index("agents_name", "name"),)


class Build(EntityRow, Base):
    """A build of a product requirement document."""

    __tablename__ = "builds"
    status: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime | None] = mapped_column(TIME)
    completed_at: Mapped[datetime | None] = mapped_column(TIME)
    prd_id: Mapped[str | None] = _read("doc ->> 'prdId'")
    prd_name: Mapped[str | None] = _read("doc ->> 'prdName'")
    error: Mapped[str | None] = _read("doc ->> 'error'")
    tasks: Mapped[list[Task]] = _those(
        "Build.id == foreign(Task.build_id)", order_by="Task.created_at"
    )
    __table_args__ = (
        Index("builds_completed_at", "completed_at"),
        Index("builds_status_started_at", "status", "started_at"),
        Index("builds_started_at", "started_at", "id"),
        _untimed("builds", "started_at"),
        Index("builds_tombstones", "id", postgresql_where=DELETED),
        Index("builds_prd_id", text("left(doc ->> 'prdId', 256)")),
    )


class Task(EntityRow, Base):
    """A task of a build; counts for the agent that it names.

    ``done_at`` or ``failed_at`` is the time of the change that gave it that status, null while it
    has another. ``build`` may be a deleted build's row, ``executions`` are all that name the task.
    """

    __tablename__ = "tasks"
    build_id: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime | None] = mapped_column(TIME)
    done_at: Mapped[datetime | None] = mapped_column(TIME, sort_order=2)
    failed_at: Mapped[datetime | None] = mapped_column(TIME, sort_order=2)
    task_id: Mapped[str | None] = _read("doc ->> 'taskId'")
    title: Mapped[str | None] = _read("doc ->> 'title'")
    dependencies: Mapped[list[Any] | None] = _read("doc -> 'dependencies'", JSONB)
    phase: Mapped[Decimal | None] = _read("(doc ->> 'phase')::numeric", Numeric)
    attempts: Mapped[Decimal | None] = _read("(doc ->> 'attempts')::numeric", Numeric)
    output: Mapped[str | None] = _read("doc ->> 'output'")
    error: Mapped[str | None] = _read("doc ->> 'error'")
    build: Mapped[Build | None] = _those("foreign(Task.build_id) == Build.id")
    executions: Mapped[list[Execution]] = _those(
        "Task.id == foreign(Execution.task_id)", order_by="Execution.timestamp"
    )
    __table_args__ = (
        Index("tasks_build_id", "build_id"),
        Index("tasks_agent", "agent"),
        Index("tasks_done", "agent", "done_at", postgresql_where=text("done_at IS NOT NULL")),
        Index("tasks_failed", "agent", "failed_at", postgresql_where=text("failed_at IS NOT NULL")),
        Index("tasks_created_at", "created_at", "id"),
        _untimed("tasks", "created_at"),
        Index("tasks_tombstones", "id", postgresql_where=DELETED),
        {"postgresql_with": {"fillfactor": 80}},
    )


class Execution(EntityRow, Base):
    """One run of a task by an agent; ``duration`` is in milliseconds.

    A row without ``doc`` that is no tombstone is archived: the document lies in the object
    ``archive_object`` since ``archived_at``. A newer version brings a document and leaves the two
    as they are; they mean nothing then.
    """

    __tablename__ = "executions"
    task_id: Mapped[str | None] = mapped_column(Text)
    agent: Mapped[str | None] = mapped_column(Text)
    duration: Mapped[Decimal | None] = mapped_column(Numeric)
    timestamp: Mapped[datetime | None] = mapped_column(TIME)
    model: Mapped[str | None] = _read("doc ->> 'model'")
    prompt: Mapped[str | None] = _read("doc ->> 'prompt'")
    response: Mapped[str | None] = _read("doc ->> 'response'")
    gates_passed: Mapped[bool | None] = _read("(doc ->> 'gatesPassed')::boolean", Boolean)
    error: Mapped[str | None] = _read("doc ->> 'error'")
    archived_at: Mapped[datetime | None] = mapped_column(TIME, sort_order=2)
    archive_object: Mapped[int | None] = mapped_column(BigInteger, sort_order=2)
    task: Mapped[Task | None] = _those("foreign(Execution.task_id) == Task.id")
    __table_args__ = (
        Index("executions_agent_timestamp", "agent", "timestamp", postgresql_include=["duration"]),
        Index("executions_task_id", "task_id"),
        Index("executions_to_compact", "timestamp", "id", postgresql_where=text("doc IS NOT NULL")),
        Index(
            "executions_archived",
            "timestamp",
            "id",
            postgresql_where=text("doc IS NULL AND deleted_at IS NULL"),
        ),
        _untimed("executions", "timestamp"),
        Index("executions_tombstones", "id", postgresql_where=DELETED),
    )


class Activity(EntityRow, Base):
    """An entry of a user's activity feed."""

    __tablename__ = "agent_activity_feed"
    timestamp: Mapped[datetime | None] = mapped_column(TIME)
    user_id: Mapped[str | None] = _read("doc ->> 'userId'")
    agent_name: Mapped[str | None] = _read("doc ->> 'agentName'")
    event_type: Mapped[str | None] = _read("doc ->> 'eventType'")
    task_id: Mapped[str | None] = _read("doc ->> 'taskId'")
    details: Mapped[str | None] = _read("doc ->> 'details'")
    __table_args__ = (
        Index("agent_activity_feed_timestamp", "timestamp", "id"),
        _untimed("agent_activity_feed", "timestamp"),
        Index("agent_activity_feed_tombstones", "id", postgresql_where=DELETED),
    )


class User(EntityRow, Base):
    """A user's profile."""

    __tablename__ = "user_profiles"
    created_at: Mapped[datetime | None] = mapped_column(TIME)
    last_active_at: Mapped[datetime | None] = mapped_column(TIME)
    user_id: Mapped[str | None] = _read("doc ->> 'userId'")
    email: Mapped[str | None] = _read("doc ->> 'email'")
    tier: Mapped[str | None] = _read("doc ->> 'tier'")
    global_wisdom_opt_in: Mapped[bool | None] = _read(
        "(doc ->> 'globalWisdomOptIn')::boolean", Boolean
    )
    __table_args__ = (
        Index("user_profiles_last_active_at", "last_active_at", "id"),
        _untimed("user_profiles", "last_active_at"),
        Index("user_profiles_tombstones", "id", postgresql_where=DELETED),
    )
