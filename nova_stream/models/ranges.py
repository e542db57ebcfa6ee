"""Views of what has been, to count in any range of time."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import Base


class FinishedTask(Base):
    """A task that is ``done`` or ``failed``, and the time of the change that made it so."""

    __tablename__ = "finished_tasks"
    id: Mapped[str] = mapped_column(primary_key=True)
    build_id: Mapped[str | None]
    agent_name: Mapped[str]
    status: Mapped[str]
    finished_at: Mapped[datetime]


class FinishedBuild(Base):
    """A build that is ``completed`` or ``failed`` and has the time; ``duration_ms`` is of completed
    ones that have a start.
    """

    __tablename__ = "finished_builds"
    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    finished_at: Mapped[datetime]
    duration_ms: Mapped[Decimal | None]


class TimedExecution(Base):
    """An execution without its document; ``duration`` is in milliseconds."""

    __tablename__ = "timed_executions"
    id: Mapped[str] = mapped_column(primary_key=True)
    agent_name: Mapped[str]
    executed_at: Mapped[datetime]
    duration: Mapped[Decimal | None]


class AgentStatsHourly(Base):
    """What a name did in an hour (UTC); hours without anything have no row."""

    __tablename__ = "agent_stats_hourly"
    agent_name: Mapped[str] = mapped_column(primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    completed_tasks: Mapped[int]
    failed_tasks: Mapped[int]
    success_rate: Mapped[float | None]
    executions: Mapped[int]
    avg_duration: Mapped[float | None]
    p50_duration: Mapped[Decimal | None]
    p95_duration: Mapped[Decimal | None]
    p99_duration: Mapped[Decimal | None]


class BuildStatsHourly(Base):
    """The builds that ended in an hour (UTC); hours without any have no row."""

    __tablename__ = "build_stats_hourly"
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    completed_builds: Mapped[int]
    failed_builds: Mapped[int]
    success_rate: Mapped[float | None]
    avg_duration_ms: Mapped[float | None]
    p50_duration_ms: Mapped[Decimal | None]
    p95_duration_ms: Mapped[Decimal | None]
    p99_duration_ms: Mapped[Decimal | None]
