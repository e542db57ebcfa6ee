"""Engagement counted anew from days and users, in the plainest way: what tests hold the job to.

Nothing here is incremental, and every rule of docs/engagement.md is one line.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

from nova_stream.formulas import success_rate

_DAY = timedelta(days=1)


class Visit(NamedTuple):
    """A user was active on a day."""

    day: date
    user_id: str


class DayFigures(NamedTuple):
    """A row of ``engagement_daily``."""

    day: date
    dau: int
    wau: int
    mau: int
    new_users: int
    returned: int
    returning_users: int


class CohortFigures(NamedTuple):
    """A row of ``engagement_retention``."""

    cohort_week: date
    week: int
    users: int
    retained: int


class MonthFigures(NamedTuple):
    """A row of ``engagement_churn``."""

    month: date
    active: int
    churned: int
    rate: float
    active_before: int


class Engagement(NamedTuple):
    """All figures, in order."""

    days: list[DayFigures]
    cohorts: list[CohortFigures]
    months: list[MonthFigures]


def recount_engagement(visits: Iterable[Visit], today: date) -> Engagement:
    """The figures of all days, weeks and months before ``today``."""
    past = {visit for visit in visits if visit.day < today}
    if not past:
        return Engagement([], [], [])
    days = _days(min(past).day, today)
    weeks = sorted({_monday(day) for day in days} - {_monday(today)})
    months = sorted({day.replace(day=1) for day in days} - {today.replace(day=1)})
    return Engagement(
        [_day(past, day) for day in days],
        [row for week in weeks for row in _cohort(past, week, weeks)],
        [_month(past, month) for month in months],
    )


def _day(visits: set[Visit], day: date) -> DayFigures:
    active = _active(visits, day, day + _DAY)
    earlier = _active(visits, date.min, day)
    new = active - earlier
    return DayFigures(
        day=day,
        dau=len(active),
        wau=len(_active(visits, day - 6 * _DAY, day + _DAY)),
        mau=len(_active(visits, day - 29 * _DAY, day + _DAY)),
        new_users=len(new),
        returned=len((active & earlier) - _active(visits, day - 30 * _DAY, day)),
        returning_users=len(active - new),
    )


def _cohort(visits: set[Visit], cohort: date, weeks: list[date]) -> list[CohortFigures]:
    users = _active(visits, cohort, cohort + 7 * _DAY) - _active(visits, date.min, cohort)
    return [
        CohortFigures(
            cohort_week=cohort,
            week=(week - cohort).days // 7,
            users=len(users),
            retained=len(users & _active(visits, week, week + 7 * _DAY)),
        )
        for week in weeks
        if users and week >= cohort
    ]


def _month(visits: set[Visit], month: date) -> MonthFigures:
    active = _active(visits, month, (month + 31 * _DAY).replace(day=1))
    before = _active(visits, (month - _DAY).replace(day=1), month)
    churned = len(before - active)
    return MonthFigures(
        month, len(active), churned, success_rate(churned, len(before)), len(before)
    )


def _active(visits: set[Visit], start: date, end: date) -> set[str]:
    return {visit.user_id for visit in visits if start <= visit.day < end}


def _days(first: date, end: date) -> list[date]:
    return [first + number * _DAY for number in range((end - first).days)]


def _monday(day: date) -> date:
    return day - day.weekday() * _DAY
