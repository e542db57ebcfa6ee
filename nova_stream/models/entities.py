"""The six entities: a row each, with its version and its document."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column, relationship

from nova_stream.models.base import Base


def _those(join: str, **order: Any) -> Any:
    """Rows that name this one, or that it names. Nothing but the names ties them together."""
    return relationship(primaryjoin=join, viewonly=True, **order)


class EntityRow:
    """What every entity's row has: its version, where it came from, its document.

    A deleted entity keeps its row as a tombstone (``deleted_at`` set, typed columns and ``doc``
    null), so that an older change that arrives late cannot bring it back. ``version_generation``
    counts the sources that versions of lsns came from: it ranks before ``version``.
    """

    id: Mapped[str] = mapped_column(primary_key=True, sort_order=-1)
    version: Mapped[int] = mapped_column(sort_order=1)
    version_minor: Mapped[int] = mapped_column(Integer, sort_order=1)
    changed_at: Mapped[datetime] = mapped_column(sort_order=1)
    deleted_at: Mapped[datetime | None] = mapped_column(sort_order=1)
    src_partition: Mapped[int] = mapped_column(Integer, sort_order=1)
    src_offset: Mapped[int] = mapped_column(sort_order=1)
    version_generation: Mapped[int] = mapped_column(Integer, sort_order=1)
    doc: Mapped[dict[str, Any] | None] = mapped_column(sort_order=1)


class Agent(EntityRow, Base):
    """A registered agent."""

    __tablename__ = "agents"
    name: Mapped[str | None]
    created_at: Mapped[datetime | None]
    role: Mapped[str | None]
    domain: Mapped[str | None]
    model: Mapped[str | None]


class Build(EntityRow, Base):
    """A build of a product requirement document."""

    __tablename__ = "builds"
    status: Mapped[str | None]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    prd_id: Mapped[str | None]
    prd_name: Mapped[str | None]
    error: Mapped[str | None]
    tasks: Mapped[list[Task]] = _those(
        "Build.id == foreign(Task.build_id)", order_by="Task.created_at"
    )


class Task(EntityRow, Base):
    """A task of a build; counts for the agent that it names.

    ``done_at`` or ``failed_at`` is the time of the change that gave it that status, null while it
    has another. ``build`` may be a deleted build's row, ``executions`` are all that name the task.
    """

    __tablename__ = "tasks"
    build_id: Mapped[str | None]
    agent: Mapped[str | None]
    status: Mapped[str | None]
    created_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None] = mapped_column(sort_order=2)
    failed_at: Mapped[datetime | None] = mapped_column(sort_order=2)
    task_id: Mapped[str | None]
    title: Mapped[str | None]
    dependencies: Mapped[list[Any] | None]
    phase: Mapped[Decimal | None]
    attempts: Mapped[Decimal | None]
    output: Mapped[str | None]
    error: Mapped[str | None]
    build: Mapped[Build | None] = _those("foreign(Task.build_id) == Build.id")
    executions: Mapped[list[Execution]] = _those(
        "Task.id == foreign(Execution.task_id)", order_by="Execution.timestamp"
    )


class Execution(EntityRow, Base):
    """One run of a task by an agent; ``duration`` is in milliseconds.

    A row without ``doc`` that is no tombstone is archived: the document lies in the object
    ``archive_object`` since ``archived_at``. A newer version brings a document and leaves the two
    as they are; they mean nothing then.
    """

    __tablename__ = "executions"
    task_id: Mapped[str | None]
    agent: Mapped[str | None]
    duration: Mapped[Decimal | None]
    timestamp: Mapped[datetime | None]
    model: Mapped[str | None]
    prompt: Mapped[str | None]
    response: Mapped[str | None]
    gates_passed: Mapped[bool | None]
    error: Mapped[str | None]
    archived_at: Mapped[datetime | None] = mapped_column(sort_order=2)
    archive_object: Mapped[int | None] = mapped_column(sort_order=2)
    task: Mapped[Task | None] = _those("foreign(Execution.task_id) == Task.id")


class Activity(EntityRow, Base):
    """An entry of a user's activity feed."""

    __tablename__ = "agent_activity_feed"
    timestamp: Mapped[datetime | None]
    user_id: Mapped[str | None]
    agent_name: Mapped[str | None]
    event_type: Mapped[str | None]
    task_id: Mapped[str | None]
    details: Mapped[str | None]


class User(EntityRow, Base):
    """A user's profile."""

    __tablename__ = "user_profiles"
    created_at: Mapped[datetime | None]
    last_active_at: Mapped[datetime | None]
    user_id: Mapped[str | None]
    email: Mapped[str | None]
    tier: Mapped[str | None]
    global_wisdom_opt_in: Mapped[bool | None]
