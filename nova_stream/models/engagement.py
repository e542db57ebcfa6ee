"""Engagement: who was active on which day, and the figures that summarizeEngagement makes of it."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Integer
from sqlalchemy.orm import Mapped, mapped_column

from nova_stream.models.base import Base


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
