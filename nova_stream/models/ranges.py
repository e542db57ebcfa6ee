"""Views of what has been, to count in any range of time."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Double, Numeric, Text
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, VIEW, Base


class FinishedTask(Base):
    """A task that is ``done`` or ``failed``, and the time of the change that made it so."""

    __tablename__ = "finished_tasks"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    build_id: Mapped[str | None] = mapped_column(Text)
    agent_name: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[datetime] = mapped_column(TIME)
    __table_args__ = (VIEW,)


class FinishedBuild(Base):
    """A build that is ``completed`` or ``failed`` and has the time; ``duration_ms`` is of completed
    ones that have a start.
    """

    __tablename__ = "finished_builds"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    status: Mapped[str] = mapped_column(Text)
    finished_at: Mapped[datetime] = mapped_column(TIME)
    duration_ms: Mapped[Decimal | None] = mapped_column(Numeric)
    __table_args__ = (VIEW,)


class TimedExecution(Base):
    """An execution without its document; ``duration`` is in milliseconds."""

    __tablename__ = "timed_executions"
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    agent_name: Mapped[str] = mapped_column(Text)
    executed_at: Mapped[datetime] = mapped_column(TIME)
    duration: Mapped[Decimal | None] = mapped_column(Numeric)
    __table_args__ = (VIEW,)


class AgentStatsHourly(Base):
    """What a name did in an hour (UTC); hours without anything have no row."""

    __tablename__ = "agent_stats_hourly"
    agent_name: Mapped[str] = mapped_column(Text, primary_key=True)
    hour: Mapped[datetime] = mapped_column(TIME, primary_key=True)
    completed_tasks: Mapped[int] = mapped_column(BigInteger)
    failed_tasks: Mapped[int] = mapped_column(BigInteger)
    success_rate: Mapped[float | None] = mapped_column(Double)
    executions: Mapped[int] = mapped_column(BigInteger)
    avg_duration: Mapped[float | None] = mapped_column(Double)
    p50_duration: Mapped[Decimal | None] = mapped_column(Numeric)
    p95_duration: Mapped[Decimal | None] = mapped_column(Numeric)
    p99_duration: Mapped[Decimal | None] = mapped_column(Numeric)
    __table_args__ = (VIEW,)


class BuildStatsHourly(Base):
    """The builds that ended in an hour (UTC); hours without any have no row."""

    __tablename__ = "build_stats_hourly"
    hour: Mapped[datetime] = mapped_column(TIME, primary_key=True)
    completed_builds: Mapped[int] = mapped_column(BigInteger)
    failed_builds: Mapped[int] = mapped_column(BigInteger)
    success_rate: Mapped[float | None] = mapped_column(Double)
    avg_duration_ms: Mapped[float | None] = mapped_column(Double)
    p50_duration_ms: Mapped[Decimal | None] = mapped_column(Numeric)
    p95_duration_ms: Mapped[Decimal | None] = mapped_column(Numeric)
    p99_duration_ms: Mapped[Decimal | None] = mapped_column(Numeric)
    __table_args__ = (VIEW,)
