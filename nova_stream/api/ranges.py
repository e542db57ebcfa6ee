"""Ranges of time and their buckets, as requests name them."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Query

from nova_stream.api.parameters import bad_parameter, time_of
from nova_stream.clock import isoformat, system_clock
from nova_stream.storage.stats.buckets import (
    LENGTHS,
    Length,
    Range,
    buckets_of,
    length_of,
    range_between,
)

From = Annotated[
    str | None,
    Query(
        alias="from",
        description="Start of a range of time, which is in it (ISO 8601): the figures of what was "
        "done from there on.",
        examples=["2026-02-01T00:00:00Z"],
    ),
]
To = Annotated[
    str | None,
    Query(
        description="End of the range, which is not in it; none = now.",
        examples=["2026-03-01T00:00:00Z"],
    ),
]
Bucket = Annotated[Length, Query(description="Length of a bucket.")]
Zone = Annotated[
    str, Query(description="Time zone in which days begin (IANA).", examples=["Europe/Berlin"])
]

#: The most buckets of a range.
BUCKETS = 3000


def range_of(start: str | None, end: str | None) -> Range | None:
    """The range that a request names, None when it names none. Raises ProblemError 422 for what is
    no range.
    """
    if start is None:
        if end is not None:
            raise bad_parameter("from", "to needs it: the start of the range")
        return None
    # Now, too, as it is told: whoever asks for that range again finds the same.
    told = isoformat(system_clock()) if end is None else end
    until = "to" if end else "now, which to stands for"
    try:
        return range_between(time_of("from", start), time_of("to", told), until)
    except ValueError as error:
        raise bad_parameter("from", str(error)) from None


def series_of(start: str | None, end: str | None, bucket: Length, zone: str) -> tuple[Range, ...]:
    """The buckets of the range that a request names. Raises as ``range_of`` does, and ProblemError
    422 for a time zone that is none, and for too many buckets.
    """
    asked = range_of(start, end)
    if asked is None:
        raise bad_parameter("from", "missing: the start of the range")
    length = asked.end - asked.start
    if length > BUCKETS * length_of(bucket):
        fitting = next((x for x in LENGTHS if length <= BUCKETS * length_of(x)), LENGTHS[-1])
        count = -(-length // length_of(bucket))
        raise bad_parameter(
            "bucket",
            f"{bucket} makes {count:,} buckets of this range, more than {BUCKETS:,}: take "
            f"{fitting} or more, or a shorter range",
        )
    return tuple(buckets_of(asked, bucket, _zone_of(zone)))


def _zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # what is no name, a folder, and not there
        raise bad_parameter(
            "zone", "no time zone, such as UTC or Europe/Berlin, has this name"
        ) from None
