"""Times in the options of commands."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from nova_stream.errors import UsageError

if TYPE_CHECKING:
    from nova_stream.storage.stats.buckets import Range

_AGO = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
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
    """A time as ISO 8601, in UTC where it names no zone; raises UsageError."""
    from nova_stream.jobs.engine.job import check_believed

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a time; give {_ALLOWED}") from None
    try:
        found = found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
        check_believed(found)
    except (ValueError, OverflowError):  # another offset may lead out of all years
        raise UsageError(f"{option} {text!r}: a time from 1970 to 9998 is allowed") from None
    return found


def time_range(start: str | None, end: str | None, now: datetime) -> Range | None:
    """The range of ``--from`` and ``--to``; None without. Raises UsageError."""
    from nova_stream.storage.stats.buckets import Range

    if start is None:
        if end is not None:
            raise UsageError("--to needs --from, the start of the range")
        return None
    found = Range(_time("--from", start, now), now if end is None else _time("--to", end, now))
    if found.start >= found.end:
        raise UsageError(f"--from {start!r} must be before {'now' if end is None else '--to'}")
    return found


def _time(option: str, text: str, now: datetime) -> datetime:
    ago = _AGO.fullmatch(text)
    return instant(option, text) if ago is None else now - int(ago[1]) * _UNITS[ago[2]]
