"""Times in the options of commands."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.errors import OutOfRangeError, RejectedError, UsageError

if TYPE_CHECKING:
    from nova_stream.storage.lists.statements import OpenRange
    from nova_stream.storage.stats.buckets import Range

_AGO = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_YEARS = "a time from 1970 to 9998 is allowed"
_ALLOWED = "ISO 8601, such as 2026-02-20T12:00:00Z"

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Start of a range of time, which is in it: ISO 8601, or 30m, 24h, 7d for so long ago.",
    ),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="TIME", help="End of the range, which is not in it; else now."),
]


def instant(option: str, text: str) -> datetime:
    """A time that a job can believe, as ISO 8601, in UTC where it names no zone; raises
    UsageError.
    """
    from nova_stream.jobs.engine.job import check_believed

    found = _parsed(option, text)
    try:
        check_believed(found)
    except ValueError as error:
        raise UsageError(f"{option} {text!r}: {error}") from None
    return found


def time_range(start: str | None, end: str | None, now: datetime) -> Range | None:
    """The range of figures of ``--from`` and ``--to``; None without. Raises UsageError."""
    from nova_stream.storage.stats.buckets import range_between

    if start is None:
        if end is not None:
            raise UsageError("--to needs --from, the start of the range")
        return None
    ends = now if end is None else _time("--to", end, now)
    try:
        return range_between(_time("--from", start, now), ends, "now" if end is None else "--to")
    except ValueError as error:
        raise UsageError(f"--from {start!r}: {error}") from None


def open_range(start: str | None, end: str | None, now: datetime) -> OpenRange:
    """The times of a list's rows, of which either end may be open. Raises UsageError."""
    from nova_stream.clock import isoformat
    from nova_stream.storage.lists.statements import OpenRange

    begins = None if start is None else _time("--from", start, now)
    ends = None if end is None else _time("--to", end, now)
    if begins is not None and ends is not None and begins >= ends:
        raise UsageError(f"--from {start!r}: must be before --to")
    return OpenRange(*(None if time is None else isoformat(time) for time in (begins, ends)))


def _time(option: str, text: str, now: datetime) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago is None:
        return _parsed(option, text, f"{_ALLOWED}, or 30m, 24h, 7d for so long ago")
    return now - int(ago[1]) * _UNITS[ago[2]]


def _parsed(option: str, text: str, allowed: str = _ALLOWED) -> datetime:
    from nova_stream.events.times import parse_iso

    try:
        return parse_iso(text, option)
    except OutOfRangeError:
        raise UsageError(f"{option} {text!r}: {_YEARS}") from None
    except RejectedError:
        raise UsageError(f"{option} {text!r} is not a time; give {allowed}") from None
