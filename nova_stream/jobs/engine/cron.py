"""Schedules: five cron fields, in UTC whatever the host's time zone.

The same slots are computed in SQL (function ``job_slots``) from the sets of numbers here.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import msgspec

from nova_stream.errors import SettingsError
from nova_stream.events.documents import snake_case
from nova_stream.jobs.engine.job import Job
from nova_stream.settings import Settings

ALLOWED = (
    "five cron fields in UTC are allowed (minute 0-59, hour 0-23, day 1-31, month 1-12 or jan-dec, "
    "weekday 0-7 or sun-sat), each *, a number, a range a-b, a step */n or a-b/n no larger than "
    "its range, or several of them with commas, such as */5 * * * *; or one of @hourly, @daily, "
    "@midnight, @weekly, @monthly, @yearly and @annually"
)

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:(\*)|([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?)(?:/([0-9]{1,9}))?")
#: What other schedulers have, and this one has not.
_OF_OTHERS = (
    (re.compile(r"(cron_)?tz=.*"), "names a time zone; schedules are in UTC"),
    (re.compile(r"@.*"), "is none of the names"),
    (re.compile(r".*\?.*"), "has ?, as Quartz has it; * is allowed"),
    (
        re.compile(r".*#.*|.*([0-9]|\b)l(w|-[0-9]+)?|.*([0-9]|l)w"),
        "has L, W or #, as Quartz has it",
    ),
    (re.compile(r"h(\(.*\))?(/.*)?|.*~.*"), "asks for a random time; use a spread instead"),
)
_SUNDAY_AGAIN = 7
#: The rarest slot there is, 29 February on one weekday, comes within 40 years.
_RAREST = timedelta(days=40 * 366)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


class Schedule(msgspec.Struct, frozen=True):
    """A cron expression as sets of numbers; weekdays count from Sunday = 0.

    ``either_day``: days of the month and weekdays are both restricted, so that one of them is
    enough (as cron has it); else both must fit.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either_day: bool

    def next(self, after: datetime) -> datetime:
        """The first slot later than ``after``."""
        first = after.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        minutes = _minutes_of_day(self)
        for day in self._days(first.date(), 1):
            begin = first.hour * 60 + first.minute if day == first.date() else 0
            place = bisect_left(minutes, begin)
            if place < len(minutes):
                return _instant(day, minutes[place])
        raise AssertionError(self.text)

    def previous(self, at: datetime) -> datetime:
        """The last slot that is not later than ``at``."""
        last = at.astimezone(UTC)
        minutes = _minutes_of_day(self)
        for day in self._days(last.date(), -1):
            end = last.hour * 60 + last.minute if day == last.date() else 24 * 60
            place = bisect_right(minutes, end)
            if place:
                return _instant(day, minutes[place - 1])
        raise AssertionError(self.text)

    def _days(self, day: date, step: int) -> Iterator[date]:
        """The days with slots from ``day`` on, forwards or backwards."""
        first = day
        while abs(day - first) < _RAREST:
            if day.month not in self.months:
                day = _month_border(day, step)
            elif self._has(day):
                yield day
            day += step * _DAY

    def _has(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return (in_month or in_week) if self.either_day else (in_month and in_week)


@lru_cache(maxsize=256)
def parse(text: str) -> Schedule:
    """The schedule of a cron expression; raises ValueError with what is wrong."""
    words = text.lower().split()
    fields = _NAMED[words[0]].split() if len(words) == 1 and words[0] in _NAMED else words
    _refuse_others(fields)
    if len(fields) != 5:
        seconds = " (seconds and years are not possible)" if len(fields) in {6, 7} else ""
        raise ValueError(f"it has {len(fields)} fields{seconds}")

    minute, hour, day, month, weekday = fields
    schedule = Schedule(
        text=" ".join(text.split()),
        minutes=_numbers(minute, "minute", 0, 59),
        hours=_numbers(hour, "hour", 0, 23),
        days=_numbers(day, "day", 1, 31),
        months=_numbers(month, "month", 1, 12, _MONTHS),
        weekdays=_numbers(weekday, "weekday", 0, 7, _WEEKDAYS),
        either_day=not day.startswith("*") and not weekday.startswith("*"),
    )
    # 40 years from a leap year on have every day that the calendar has.
    if next(schedule._days(date(2024, 1, 1), 1), None) is None:
        raise ValueError("its day never comes")
    return schedule


def _refuse_others(fields: list[str]) -> None:
    for part in (part for field in fields for part in field.split(",")):
        for form, what in _OF_OTHERS:
            if form.fullmatch(part):
                raise ValueError(f"its {part!r} {what}")


def schedule_of(settings: Settings, job: Job) -> Schedule:
    """The job's schedule: ``NOVA_SCHEDULE_<JOB>``, else its own.

    Raises SettingsError that names the variable, the value and what is allowed.
    """
    given: str | None = getattr(settings, f"schedule_{snake_case(job.name)}", None)
    text = job.schedule if given is None else given
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError(
            f"NOVA_SCHEDULE_{snake_case(job.name).upper()}={text!r}: {error}; {ALLOWED}"
        ) from None


def offset_of(settings: Settings, job: Job) -> float:
    """Seconds after its slot at which the job starts: its fixed place within its spread."""
    spread: float = getattr(settings, f"spread_{snake_case(job.name)}", 0.0)
    return round(spread * (zlib.crc32(job.name.encode()) % 1000) / 1000, 3)


@lru_cache(maxsize=256)
def _minutes_of_day(schedule: Schedule) -> tuple[int, ...]:
    return tuple(hour * 60 + minute for hour in schedule.hours for minute in schedule.minutes)


def _instant(day: date, minute: int) -> datetime:
    return datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=UTC)


def _month_border(day: date, step: int) -> date:
    """The last day of the month in the direction of ``step``."""
    if step < 0:
        return day.replace(day=1)
    return (day.replace(day=28) + 4 * _DAY).replace(day=1) - _DAY


def _numbers(
    field: str, name: str, low: int, high: int, words: tuple[str, ...] = ()
) -> tuple[int, ...]:
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"its {name} {part!r} cannot be read")
        star, first_text, last_text, step_text = match.groups()
        first = low if star else _number(first_text, part, name, low, words)
        last = high if star else first
        if last_text is not None:
            last = _number(last_text, part, name, low, words)
            if words is _WEEKDAYS and last == 0 < first:
                last = _SUNDAY_AGAIN
        elif step_text is not None and not star:
            raise ValueError(f"its {name} {part!r} has a step without a range")
        step = 1 if step_text is None else int(step_text)
        if step > max(last - first, 1):
            raise ValueError(f"its {name} {part!r} has a step that is larger than its range")
        if not low <= first <= last <= high or step == 0:
            raise ValueError(f"its {name} {part!r} is outside of {low}-{high} or runs backwards")
        found.update(range(first, last + 1, step))
    if words is _WEEKDAYS:
        found = {number % 7 for number in found}
    return tuple(sorted(found))


def _number(text: str, part: str, name: str, low: int, words: tuple[str, ...]) -> int:
    if text.isdigit():
        return int(text)
    if text in words:
        return words.index(text) + low
    raise ValueError(f"its {name} {part!r} cannot be read")
