"""Engagement: who was active on which day, and the figures that summarizeEngagement makes of it."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Boolean, Date, Double, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import TIME, VIEW, Base


class DayFigures:
    """The figures of a day, and of the 7 and 30 days that end with it."""

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    dau: Mapped[int] = mapped_column(BigInteger)
    wau: Mapped[int] = mapped_column(BigInteger)
    mau: Mapped[int] = mapped_column(BigInteger)
    new_users: Mapped[int] = mapped_column(BigInteger)
    returned: Mapped[int] = mapped_column(BigInteger)
    counted_at: Mapped[datetime] = mapped_column(TIME)


class CohortFigures:
    """Of the users who were new in a week, how many were active some weeks later."""

    cohort_week: Mapped[date] = mapped_column(Date, primary_key=True)
    week: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    users: Mapped[int] = mapped_column(BigInteger)
    retained: Mapped[int] = mapped_column(BigInteger)


class UserActivityDay(Base):
    """A registered user was active on this day (UTC): there was an activity of theirs.

    ``settled`` days no longer depend on the activities: they stay until the user is deleted or the
    retention takes them.
    """

    __tablename__ = "user_activity_daily"
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    settled: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    __table_args__ = (Index("user_activity_daily_user_id", "user_id", "day"),)


class EngagementDay(DayFigures, Base):
    """The figures of a day, and of the 7 and 30 days that end with it: a view."""

    __tablename__ = "engagement_daily"
    returning_users: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (VIEW,)


class EngagementRetention(CohortFigures, Base):
    """Of the ``users`` who were new in ``cohort_week``, how many were active ``week`` weeks later:
    a view.
    """

    __tablename__ = "engagement_retention"
    __table_args__ = (VIEW,)


class EngagementChurn(Base):
    """Of the users who were active in the month before (``active_before``), how many were not in
    ``month``; ``rate`` is in percent of them: a view.
    """

    __tablename__ = "engagement_churn"
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    active: Mapped[int] = mapped_column(BigInteger)
    churned: Mapped[int] = mapped_column(BigInteger)
    rate: Mapped[float] = mapped_column(Double)
    active_before: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (VIEW,)


class CleanedActivityDay(Base):
    """Somebody was active on a day whose activities cleanupOldActivity has taken away since the
    last run of summarizeEngagement.
    """

    __tablename__ = "user_activity_cleaned"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    user_id: Mapped[str] = mapped_column(Text)


class ArchivedActivityDay(Base):
    """A day that the retention took, kept to be put back; then left alone until ``kept_until``."""

    __tablename__ = "user_activity_archive"
    run_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    archived_at: Mapped[datetime] = mapped_column(TIME)
    kept_until: Mapped[datetime | None] = mapped_column(TIME)


class EngagementFloor(Base):
    """A run took days before ``floor``: figures that need them are not told."""

    __tablename__ = "engagement_floors"
    run_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    floor: Mapped[date] = mapped_column(Date)


class EngagementDayRow(DayFigures, Base):
    """What ``engagement_daily`` shows."""

    __tablename__ = "engagement_days"


class EngagementCohortRow(CohortFigures, Base):
    """What ``engagement_retention`` shows."""

    __tablename__ = "engagement_cohorts"


class EngagementMonthRow(Base):
    """What ``engagement_churn`` shows."""

    __tablename__ = "engagement_months"
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    active: Mapped[int] = mapped_column(BigInteger)
    active_before: Mapped[int] = mapped_column(BigInteger)
    churned: Mapped[int] = mapped_column(BigInteger)
