"""Times in every form of the contract become UTC instants of whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import OutOfRangeError, RejectedError
from nova_stream.events.times import (
    DAY,
    MICRO,
    MILLI,
    NANO,
    SECOND,
    canonical_time,
    parse_epoch,
    parse_time,
    time_text,
)

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
    ("unit", "number"),
    [
        (DAY, 1),
        (MILLI, 86_400_000),
        (MICRO, 86_400_000_000),
        (NANO, 86_400_000_000_000),
        (MILLI, "86400000"),
    ],
)
def test_a_known_unit_counts_where_the_magnitude_would_mislead(unit: int, number: object) -> None:
    assert parse_epoch(number, unit, "$") == datetime(1970, 1, 2, tzinfo=UTC)


def test_zoned_timestamps_of_debezium_are_text() -> None:
    text = "2026-02-20T12:00:00.123456Z"
    assert parse_time(text, "$") == NOON + timedelta(milliseconds=123)


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ("2026-02-20T12:00:00.999999Z", "2026-02-20T12:00:00.999Z"),
        (1771588800999999, "2026-02-20T12:00:00.999Z"),
        (1771588800.9999, "2026-02-20T12:00:00.999Z"),
        (-100000001, "1966-10-31T14:13:19.000Z"),
        (-100000000.0004, "1966-10-31T14:13:19.999Z"),
        (0, "1970-01-01T00:00:00.000Z"),
        ("2026-02-20Z", "2026-02-20T00:00:00.000Z"),
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


@pytest.mark.parametrize("number", [20504, -20504, 1, -1.5, 43_200_000, "000020504", 99_999_999])
def test_a_number_that_may_be_days_or_a_time_of_day_is_not_guessed(number: object) -> None:
    error = rejected(lambda: parse_time(number, "$.after.createdAt"))
    assert error.reason == "bad_time"
    assert "value.converter.schemas.enable" in str(error)
    assert parse_time(number, "$", small=MILLI).year in {1969, 1970}


@pytest.mark.parametrize("last_second", [253_402_300_799, 253_402_214_400, 253_402_250_400])
@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_the_last_day_of_9999_is_not_taken_for_1978(last_second: int, unit: int) -> None:
    error = rejected(lambda: parse_time(last_second * unit, "$.after.createdAt"))
    assert "9999 or 1978" in str(error)
    assert parse_epoch(last_second * unit, SECOND // unit, "$").year == 9999
    assert parse_time(last_second * unit, "$", small=MILLI).year == 1978


@pytest.mark.parametrize(
    "value",
    [
        "infinity",
        "-infinity",
        "+294247-01-10T04:00:25.2Z",
        "292278994-08-17T07:12:55.807Z",
        "-4713-12-31T23:59:59.999999Z",
        "-5877611-06-21Z",
        "0000-01-01T00:00:00Z",
        "0044-03-15 12:00:00 BC",
        "0044-03-15 BC",
        "9999-12-31T23:59:59-01:00",
        9223372036825200000,
        -9223372036832400000,
        9223372036825200,
        2**63 - 1,
        -(2**63),
        -2147472692,
    ],
)
def test_infinity_and_years_that_no_instant_has_are_out_of_range(value: object) -> None:
    with pytest.raises(OutOfRangeError):
        parse_time(value, "$")


@given(
    st.integers(10**11, 4 * 10**12 - 1).filter(
        lambda millis: millis not in range(253_402_164_000, 253_402_300_800)
    )
)
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
    "text",
    [
        "2026-02-20T12:00:00Z",
        "2026-02-20 12:00:00.000Z",
        "20260220T120000.0000000Z",
        "2026-W08-5T12:00:00.000Z",
        "2026-02-20T12:00:00,000Z",
        "2026-02-20T12:00:00.000ZZ",
        "",
    ],
)
def test_the_canonical_form_is_exactly_one(text: str) -> None:
    with pytest.raises(ValueError):
        canonical_time(text)


def test_years_before_1000_are_written_with_four_digits() -> None:
    assert time_text(datetime(33, 4, 3, tzinfo=UTC)) == "0033-04-03T00:00:00.000Z"
    assert time_text(NOON) == NOON_TEXT
    assert parse_time(NOON_MS, "$") == NOON
