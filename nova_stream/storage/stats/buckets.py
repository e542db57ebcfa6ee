"""Pieces of time: a range, and the buckets that it falls into."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

from nova_stream.clock import EPOCH, isoformat

#: The lengths that a bucket may have; all but the last one fit a whole number of times into a day.
Length = Literal[
    "1m", "2m", "5m", "10m", "15m", "30m", "1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d"
]
LENGTHS: tuple[Length, ...] = get_args(Length)
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
#: What executions are counted by once their days are over.
Unit = Literal["hour", "day"]
UNITS: dict[Unit, timedelta] = {"hour": _HOUR, "day": _DAY}
#: The longest range of figures, and the last year of one.
_LONGEST = timedelta(days=366)
_LAST_YEAR = 9000


class Range(NamedTuple):
    """From ``start`` on, to before ``end``."""

    start: datetime
    end: datetime

    @property
    def hours(self) -> float:
        """Its length."""
        return (self.end - self.start) / _HOUR

    @property
    def days(self) -> Range | None:
        """The whole days (UTC) that are in it."""
        start, end = _up(self.start, _DAY), _down(self.end, _DAY)
        return Range(start, end) if start < end else None


def range_between(start: datetime, end: datetime, until: str) -> Range:
    """A range of figures; ``until`` is what whoever asks calls its end. Raises ValueError, which
    says what is allowed.
    """
    if start < EPOCH or end.year > _LAST_YEAR:
        raise ValueError(f"a range lies in the years 1970 to {_LAST_YEAR}")
    if start >= end:
        raise ValueError(f"must be before {until}")
    if end - start > _LONGEST:
        raise ValueError(f"a range has at most {_LONGEST.days} days")
    return Range(start, end)


class Units(NamedTuple):
    """The buckets of a range as whole hours or days (UTC) that are in one of them, and the rest."""

    unit: Unit
    whole: list[Range]
    rest: list[Range]


def units_of(buckets: Sequence[Range]) -> Units:
    """Buckets that meet as whole units: days where all begin at midnight (UTC), else hours. What
    meets is one piece.
    """
    days = all(bucket.start == _down(bucket.start, _DAY) for bucket in buckets[1:])
    unit: Unit = "day" if days else "hour"
    length = UNITS[unit]
    whole: list[Range] = []
    rest: list[Range] = []
    begun = [_down(bucket.start, length) for bucket in buckets]
    begun.append(_down(buckets[-1].end, length))
    for (start, end), (at_start, at_end) in zip(buckets, pairwise(begun), strict=True):
        first = min(start if at_start == start else at_start + length, end)
        last = max(at_end, first)
        _extend(rest, start, first)
        _extend(whole, first, last)
        _extend(rest, last, end)
    return Units(unit, whole, rest)


def _extend(pieces: list[Range], start: datetime, end: datetime) -> None:
    if start == end:
        return
    if pieces and pieces[-1].end == start:
        start = pieces.pop().start
    pieces.append(Range(start, end))


def _down(instant: datetime, unit: timedelta) -> datetime:
    return EPOCH + (instant - EPOCH) // unit * unit


def _up(instant: datetime, unit: timedelta) -> datetime:
    return EPOCH - (EPOCH - instant) // unit * unit


def length_of(bucket: Length) -> timedelta:
    """How long a bucket is, on a day of 24 hours."""
    return int(bucket[:-1]) * _UNITS[bucket[-1]]


def buckets_of(asked: Range, bucket: Length, zone: tzinfo) -> list[Range]:
    """The buckets of a range, which meet and cover it; the first and the last may be cut off by it.

    Days begin at midnight in ``zone``, shorter buckets at multiples of their length after it: on a
    day whose clocks are changed the last one before midnight may be shorter.
    """
    length = length_of(bucket)
    starts = {asked.start}
    for midnight, following in pairwise(_midnights(asked, zone)):
        skipped = max(0, (asked.start - midnight) // length)
        start = midnight + skipped * length
        while start < min(following, asked.end):
            if start > asked.start:
                starts.add(start)
            start = start + length if bucket != "1d" else following
    ordered = [*sorted(starts), asked.end]
    return [Range(start, end) for start, end in pairwise(ordered)]


def times_of(buckets: Sequence[Range]) -> list[dict[str, str]]:
    """The ``start`` and ``end`` of each of the buckets, which meet, as they are written out."""
    edges = [isoformat(bucket.start) for bucket in buckets]
    edges.append(isoformat(buckets[-1].end))
    return [{"start": start, "end": end} for start, end in pairwise(edges)]


def _midnights(asked: Range, zone: tzinfo) -> list[datetime]:
    """Where days begin, from that of the range's start to that after its end."""
    found: list[datetime] = []
    day = asked.start.astimezone(zone).date() - _DAY
    while not found or found[-1] < asked.end:
        # One that the clocks leave out is the moment at which they are put forward.
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
        if not found or midnight > found[-1]:
            found.append(midnight)
        day += _DAY
    return found
