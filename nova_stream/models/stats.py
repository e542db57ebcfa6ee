"""The statistics: the caches, their recount, what they are summed from, and their history."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import Base


class AgentFigures:
    """The figures of an agent."""

    agent_id: Mapped[str] = mapped_column(primary_key=True)
    agent_name: Mapped[str]
    role: Mapped[str | None]
    total_tasks: Mapped[int]
    completed_tasks: Mapped[int]
    failed_tasks: Mapped[int]
    success_rate: Mapped[float]
    avg_duration: Mapped[float]
    last_active: Mapped[datetime | None]
    current_status: Mapped[str]


class BuildFigures:
    """The figures of all builds."""

    total_builds: Mapped[int]
    completed_builds: Mapped[int]
    failed_builds: Mapped[int]
    running_builds: Mapped[int]
    success_rate: Mapped[float]
    avg_duration_ms: Mapped[float]


class AgentStats(AgentFigures, Base):
    """The statistics of each registered agent, equal to a recount in every snapshot."""

    __tablename__ = "agent_stats_cache"
    cached_at: Mapped[datetime]


class BuildStats(BuildFigures, Base):
    """The statistics of all builds: one row."""

    __tablename__ = "build_stats_cache"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    last_build_time: Mapped[datetime | None]
    cached_at: Mapped[datetime]


class AgentStatsRecount(AgentFigures, Base):
    """The same figures, counted from the rows at the moment of the query."""

    __tablename__ = "agent_stats_recount"


class BuildStatsRecount(BuildFigures, Base):
    """The builds' figures, counted from the rows at the moment of the query: one row."""

    __tablename__ = "build_stats_recount"
    total_builds: Mapped[int] = mapped_column(primary_key=True)
    last_build_time: Mapped[datetime | None]


class AgentStatsPartial(Base):
    """What the records of one partition have added to an agent's figures.

    One alone may be negative and means nothing; the sum over an agent's rows is exact.
    """

    __tablename__ = "agent_stats_partials"
    agent: Mapped[str] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    total_tasks: Mapped[int]
    completed_tasks: Mapped[int]
    failed_tasks: Mapped[int]
    running_tasks: Mapped[int]
    active_tasks: Mapped[int]
    executions: Mapped[int]
    duration_sum: Mapped[Decimal]


class BuildStatsPartial(Base):
    """What the records of one partition have added to the builds' figures."""

    __tablename__ = "build_stats_partials"
    topic: Mapped[str] = mapped_column(primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    total_builds: Mapped[int]
    completed_builds: Mapped[int]
    failed_builds: Mapped[int]
    running_builds: Mapped[int]
    timed_builds: Mapped[int]
    duration_sum_ms: Mapped[Decimal]


class BuildStatsHistory(BuildFigures, Base):
    """The builds' figures as refreshBuildStats found them, a row a run."""

    __tablename__ = "build_stats_history"
    taken_at: Mapped[datetime] = mapped_column(primary_key=True)
    drift: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[int]
