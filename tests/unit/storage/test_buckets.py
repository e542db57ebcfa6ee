"""Buckets meet, cover their range, and begin where clocks on the wall say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from nova_stream.clock import EPOCH, from_millis
from nova_stream.storage.stats.buckets import (
    LENGTHS,
    UNITS,
    Length,
    Range,
    buckets_of,
    length_of,
    units_of,
)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
)
_instants = st.one_of(
    st.integers(0, 4_000_000_000_000),
    st.integers(0, 2_000_000).map(lambda minutes: minutes * 1_800_000),
).map(from_millis)


_any_range = given(
    start=_instants,
    buckets=st.floats(0.001, 100),
    length=st.sampled_from(LENGTHS),
    zone=st.sampled_from(ZONES),
)


@_any_range
def test_buckets_meet_and_cover_the_range(
    start: datetime, buckets: float, length: Length, zone: str
) -> None:
    end = start + max(buckets * length_of(length), timedelta(milliseconds=1))
    clock = ZoneInfo(zone)
    found = buckets_of(Range(start, end), length, clock)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(a.end == b.start for a, b in pairwise(found))
    assert all(bucket.start < bucket.end for bucket in found)
    longest = timedelta(hours=25) if length == "1d" else length_of(length)
    assert max(bucket.end - bucket.start for bucket in found) <= longest
    for bucket in found[1:]:
        local = bucket.start.astimezone(clock)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
        if length == "1d":
            assert midnight == bucket.start or local.hour == 1  # a midnight that was left out
        else:
            assert (bucket.start - midnight) % length_of(length) == timedelta(0)


@_any_range
def test_units_are_each_in_one_bucket_and_cover_the_range_with_the_rest(
    start: datetime, buckets: float, length: Length, zone: str
) -> None:
    end = start + max(buckets * length_of(length), timedelta(milliseconds=1))
    found = buckets_of(Range(start, end), length, ZoneInfo(zone))
    unit, whole, rest = units_of(found)
    pieces = sorted([*whole, *rest])
    assert (pieces[0].start, pieces[-1].end) == (start, end)
    assert all(a.end == b.start for a, b in pairwise(pieces))
    assert all(a.end < b.start for part in (whole, rest) for a, b in pairwise(part))
    edges = {bucket.start for bucket in found} | {end}
    for piece in whole:
        assert (
            (piece.start - EPOCH) % UNITS[unit] == (piece.end - EPOCH) % UNITS[unit] == timedelta()
        )
    for edge in edges:
        assert all(
            (edge - EPOCH) % UNITS[unit] == timedelta() for p in whole if p.start < edge < p.end
        )
    # What is no whole unit holds an edge of a bucket.
    assert all(piece.end - piece.start < 2 * UNITS[unit] * len(edges) for piece in rest)
    if unit == "hour":
        inner = [bucket.start for bucket in found[1:]]
        assert any((edge - EPOCH) % UNITS["day"] for edge in inner)


def test_a_day_is_as_long_as_its_time_zone_has_it() -> None:
    asked = Range(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 30, 22, tzinfo=UTC))
    berlin = buckets_of(asked, "1d", ZoneInfo("Europe/Berlin"))
    assert [(b.end - b.start) / timedelta(hours=1) for b in berlin] == [23, 24]
    halves = buckets_of(asked, "12h", ZoneInfo("Europe/Berlin"))
    assert [(b.end - b.start) / timedelta(hours=1) for b in halves] == [12, 11, 12, 12]


def test_a_day_that_a_time_zone_skipped_is_none() -> None:
    asked = Range(datetime(2011, 12, 29, 10, tzinfo=UTC), datetime(2011, 12, 31, 10, tzinfo=UTC))
    found = buckets_of(asked, "1d", ZoneInfo("Pacific/Apia"))
    assert [bucket.start.day for bucket in found] == [29, 30]
