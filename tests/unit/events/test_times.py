"""Times in every form of the contract become UTC instants of whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import RejectedError
from nova_stream.events.times import canonical_time, parse_time, time_text

from .helpers import NOON, NOON_MS, NOON_TEXT, rejected

INSTANTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000)
)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-20T12:00:00.000Z",
        "2026-02-20T12:00:00Z",
        "2026-02-20T12:00Z",
        "2026-02-20 12:00:00",
        "2026-02-20T12:00:00",
        "2026-02-20T13:00:00+01:00",
        "2026-02-20T13:00:00+0100",
        "2026-02-20 13:00:00+01",
        "2026-02-20T06:30:00.000-05:30",
        "20260220T120000Z",
        "2026-02-20t12:00:00z",
        "2026-02-20T12:00:00,000000000Z",
    ],
)
def test_iso_text_of_any_offset_is_read_and_none_means_utc(text: str) -> None:
    assert parse_time(text, "$") == NOON
    assert parse_time(text, "$").tzinfo is UTC


@pytest.mark.parametrize(
    "number",
    [
        1771588800,
        1771588800000,
        1771588800000000,
        1771588800000000000,
        1771588800.0,
        Decimal("1771588800.0009"),
        "1771588800000",
    ],
)
def test_the_unit_of_an_epoch_follows_from_its_magnitude(number: object) -> None:
    assert parse_time(number, "$") == NOON


@pytest.mark.parametrize(
    ("schema", "number"),
    [
        ("io.debezium.time.Timestamp", 86_400_000),
        ("io.debezium.time.MicroTimestamp", 86_400_000_000),
        ("io.debezium.time.NanoTimestamp", 86_400_000_000_000),
        ("org.apache.kafka.connect.data.Timestamp", 86_400_000),
    ],
)
def test_the_schema_name_tells_the_unit_where_the_magnitude_would_mislead(
    schema: str, number: int
) -> None:
    assert parse_time(number, "$", schema) == datetime(1970, 1, 2, tzinfo=UTC)


def test_zoned_timestamps_of_debezium_are_text() -> None:
    text = "2026-02-20T12:00:00.123456Z"
    assert parse_time(text, "$", "io.debezium.time.ZonedTimestamp") == NOON + timedelta(
        milliseconds=123
    )


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2026-02-20T12:00:00.999999Z", "2026-02-20T12:00:00.999Z"),
        (1771588800999999, "2026-02-20T12:00:00.999Z"),
        (1771588800.9999, "2026-02-20T12:00:00.999Z"),
        (-1, "1969-12-31T23:59:59.000Z"),
        (-1.0004, "1969-12-31T23:59:58.999Z"),
        ("-100000000000001", "1966-10-31T14:13:19.999Z"),
    ],
)
def test_times_are_truncated_downwards_to_milliseconds(given_time: object, expected: str) -> None:
    assert time_text(parse_time(given_time, "$")) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-02-30",
        "2026-02-20X12:00:00Z",
        "2026-W08-5",
        "2026-02-20T12:00:00Z\n",
        "12:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-02-20",
        "99999999999999999999999",
        10**30,
        -(10**30),
        1e300,
        float("nan"),
        Decimal("Infinity"),
        Decimal("1e999999"),
        -(10**11) + 1,
    ],
)
def test_unreadable_times_and_years_outside_of_1_to_9999_are_bad(value: object) -> None:
    error = rejected(lambda: parse_time(value, "$.after.createdAt"))
    assert error.reason == "bad_time"
    assert str(error).startswith("$.after.createdAt is ")


@pytest.mark.parametrize("value", [True, None, [], {}])
def test_a_time_of_another_json_type_is_a_wrong_type(value: object) -> None:
    assert rejected(lambda: parse_time(value, "$")).reason == "wrong_type"


@given(INSTANTS, st.integers(-1439, 1439))
def test_every_instant_is_read_back_from_its_text_with_any_offset(
    instant: datetime, minutes: int
) -> None:
    assert parse_time(time_text(instant), "$") == instant
    assert canonical_time(time_text(instant)) == instant
    try:
        local = instant.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    assert parse_time(local.isoformat(), "$") == instant


@given(st.integers(10**11, 4 * 10**12 - 1))
def test_an_epoch_in_any_unit_means_the_same_instant(millis: int) -> None:
    instant = parse_time(millis, "$")
    assert parse_time(millis * 1000 + 999, "$") == instant
    assert parse_time(millis * 1_000_000 + 999_999, "$") == instant
    assert parse_time(Decimal(millis) / 1000, "$") == instant


@given(st.text() | st.integers() | st.floats() | st.decimals(allow_nan=True))
def test_nothing_but_a_time_or_a_rejection_comes_back(value: object) -> None:
    try:
        instant = parse_time(value, "$")
    except RejectedError as error:
        assert error.reason == "bad_time"
    else:
        assert instant.tzinfo is UTC
        assert instant.microsecond % 1000 == 0


@pytest.mark.parametrize(
    "text", ["2026-02-20T12:00:00Z", "2026-02-20 12:00:00.000Z", "20260220T120000.0000000Z", ""]
)
def test_the_canonical_form_is_exactly_one(text: str) -> None:
    with pytest.raises(ValueError):
        canonical_time(text)


def test_years_before_1000_are_written_with_four_digits() -> None:
    assert time_text(datetime(33, 4, 3, tzinfo=UTC)) == "0033-04-03T00:00:00.000Z"
    assert time_text(NOON) == NOON_TEXT
    assert parse_time(NOON_MS, "$") == NOON
