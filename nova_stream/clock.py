"""Time, passed in: code takes a ``Clock``, so that tests decide what time it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Returns the current instant as an aware UTC datetime.
Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def system_clock() -> datetime:
    """The machine's clock, in UTC."""
    return datetime.now(UTC)


def from_millis(millis: int) -> datetime:
    """The UTC instant ``millis`` milliseconds after the Unix epoch; raises OverflowError outside
    of the years 1 to 9999.
    """
    return EPOCH + timedelta(milliseconds=millis)


def to_millis(instant: datetime) -> int:
    """Whole milliseconds since the Unix epoch, rounded down."""
    return (instant - EPOCH) // _MILLISECOND


def isoformat(instant: datetime) -> str:
    """``2026-02-20T12:00:00.000Z``: the form in which every time is written out."""
    utc = instant.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
