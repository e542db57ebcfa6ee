"""The figures: caches, their recount, what they are summed from, and their history; ranges of time;
engagement.
"""

from __future__ import annotations

from datetime import date, datetime
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
    running_tasks: Mapped[int]
    executions: Mapped[int]
    duration_sum: Mapped[Decimal]


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


class UserActivityDay(Base):
    """A registered user was active on this day (UTC): there was an activity of theirs.

    ``settled`` days no longer depend on the activities: they stay until the user is deleted or the
    retention takes them.
    """

    __tablename__ = "user_activity_daily"
    day: Mapped[date] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    settled: Mapped[bool]


class EngagementDay(Base):
    """The figures of a day, and of the 7 and 30 days that end with it: a view."""

    __tablename__ = "engagement_daily"
    day: Mapped[date] = mapped_column(primary_key=True)
    dau: Mapped[int]
    wau: Mapped[int]
    mau: Mapped[int]
    new_users: Mapped[int]
    returned: Mapped[int]
    counted_at: Mapped[datetime]
    returning_users: Mapped[int]


class EngagementRetention(Base):
    """Of the ``users`` who were new in ``cohort_week``, how many were active ``week`` weeks later:
    a view.
    """

    __tablename__ = "engagement_retention"
    cohort_week: Mapped[date] = mapped_column(primary_key=True)
    week: Mapped[int] = mapped_column(Integer, primary_key=True)
    users: Mapped[int]
    retained: Mapped[int]


class EngagementChurn(Base):
    """Of the users who were active in the month before (``active_before``), how many were not in
    ``month``; ``rate`` is in percent of them: a view.
    """

    __tablename__ = "engagement_churn"
    month: Mapped[date] = mapped_column(primary_key=True)
    active: Mapped[int]
    churned: Mapped[int]
    rate: Mapped[float]
    active_before: Mapped[int]
