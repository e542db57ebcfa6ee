"""The statistics: the caches, their recount, what they are summed from, and their history."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Double,
    Index,
    Integer,
    Numeric,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, VIEW, ZERO, Base


class AgentFigures:
    """The figures of an agent."""

    agent_id: Mapped[str] = mapped_column(Text, primary_key=True)
    agent_name: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    total_tasks: Mapped[int] = mapped_column(BigInteger)
    completed_tasks: Mapped[int] = mapped_column(BigInteger)
    failed_tasks: Mapped[int] = mapped_column(BigInteger)
    success_rate: Mapped[float] = mapped_column(Double)
    avg_duration: Mapped[float] = mapped_column(Double)
    last_active: Mapped[datetime | None] = mapped_column(TIME)
    current_status: Mapped[str] = mapped_column(Text)


class BuildFigures:
    """The figures of all builds."""

    total_builds: Mapped[int] = mapped_column(BigInteger)
    completed_builds: Mapped[int] = mapped_column(BigInteger)
    failed_builds: Mapped[int] = mapped_column(BigInteger)
    running_builds: Mapped[int] = mapped_column(BigInteger)
    success_rate: Mapped[float] = mapped_column(Double)
    avg_duration_ms: Mapped[float] = mapped_column(Double)


class AgentStats(AgentFigures, Base):
    """The statistics of each registered agent, equal to a recount in every snapshot."""

    __tablename__ = "agent_stats_cache"
    cached_at: Mapped[datetime] = mapped_column(TIME)
    __table_args__ = (
        Index("agent_stats_cache_agent_name", "agent_name"),
        {"postgresql_with": {"fillfactor": 50}},
    )


class BuildStats(BuildFigures, Base):
    """The statistics of all builds: one row."""

    __tablename__ = "build_stats_cache"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    last_build_time: Mapped[datetime | None] = mapped_column(TIME)
    cached_at: Mapped[datetime] = mapped_column(TIME)
    __table_args__ = (
        CheckConstraint("id = 1", name="build_stats_cache_one_row"),
        {"postgresql_with": {"fillfactor": 50}},
    )


class AgentStatsRecount(AgentFigures, Base):
    """The same figures, counted from the rows at the moment of the query."""

    __tablename__ = "agent_stats_recount"
    __table_args__ = (VIEW,)


class BuildStatsRecount(BuildFigures, Base):
    """The builds' figures, counted from the rows at the moment of the query: one row."""

    __tablename__ = "build_stats_recount"
    total_builds: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last_build_time: Mapped[datetime | None] = mapped_column(TIME)
    __table_args__ = (VIEW,)


class AgentStatsPartial(Base):
    """What the records of one partition have added to an agent's figures.

    One alone may be negative and means nothing; the sum over an agent's rows is exact.
    """

    __tablename__ = "agent_stats_partials"
    agent: Mapped[str] = mapped_column(Text, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    total_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    completed_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    failed_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    running_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    active_tasks: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    executions: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    duration_sum: Mapped[Decimal] = mapped_column(Numeric, server_default=ZERO)
    __table_args__ = (
        Index("agent_stats_partials_position", "topic", "partition"),
        {"postgresql_with": {"fillfactor": 50}},
    )


class BuildStatsPartial(Base):
    """What the records of one partition have added to the builds' figures."""

    __tablename__ = "build_stats_partials"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    total_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    completed_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    failed_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    running_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    timed_builds: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    duration_sum_ms: Mapped[Decimal] = mapped_column(Numeric, server_default=ZERO)
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)


class BuildStatsHistory(BuildFigures, Base):
    """The builds' figures as refreshBuildStats found them, a row a run."""

    __tablename__ = "build_stats_history"
    taken_at: Mapped[datetime] = mapped_column(TIME, primary_key=True)
    drift: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[int] = mapped_column(BigInteger)
