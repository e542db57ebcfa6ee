"""Values that no row can hold cost the field, and what has two meanings is a dead letter."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.events.change import Entity

from .helpers import doc_of, document, envelope, read, reason, rejected, wrapped

TIME, CONNECT = "io.debezium.time.", "org.apache.kafka.connect.data."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{TIME}ZonedTimestamp", "infinity"),
        (f"{TIME}ZonedTimestamp", "-infinity"),
        (f"{TIME}ZonedTimestamp", "+21016-11-04T06:51:30.123456Z"),
        (f"{TIME}ZonedTimestamp", "-4713-12-31T23:59:59.999999Z"),
        (f"{TIME}ZonedTimestamp", "292278994-08-17T07:12:55.807Z"),
        (f"{TIME}IsoTimestamp", "+294247-01-10T04:00:25.2Z"),
        (f"{TIME}IsoDate", "-5877611-06-21Z"),
        (f"{TIME}IsoDate", "+10000-01-01Z"),
        (f"{TIME}Timestamp", 9223372036825200),
        (f"{TIME}Timestamp", 253402300800000),
        (f"{TIME}MicroTimestamp", 9223372036825200000),
        (f"{TIME}MicroTimestamp", -9223372036832400000),
        (f"{TIME}MicroTimestamp", -210831897600000001),
        (f"{TIME}NanoTimestamp", 2**63 - 1),
        (f"{TIME}NanoTimestamp", -(2**63)),
        (f"{TIME}Date", -2147472692),
        (f"{TIME}Date", 2147483647),
        (f"{TIME}Date", -719163),
        (f"{CONNECT}Date", 2932897),
        (f"{CONNECT}Timestamp", 9223372036825200),
        (
            f"{TIME}StructuredDate",
            {"year": None, "month": None, "day": None, "specialValue": "POSITIVE_INFINITY"},
        ),
        (f"{TIME}StructuredTimestamp", {"specialValue": "NEGATIVE_INFINITY", "precision": 6}),
        (
            f"{TIME}StructuredTimestamp",
            {
                "year": 294276,
                "month": 12,
                "day": 31,
                "hour": 23,
                "minute": 59,
                "second": 59,
                "nanos": 0,
            },
        ),
        (
            f"{TIME}StructuredZonedTimestamp",
            {
                "year": 9999,
                "month": 12,
                "day": 31,
                "hour": 23,
                "minute": 59,
                "second": 59,
                "nanos": 0,
                "offsetSeconds": -3600,
            },
        ),
    ],
)
def test_a_time_that_no_instant_is_costs_the_field(name: str, value: Any) -> None:
    row = document(Entity.USERS, created_at=value) | {"createdAt": None}
    row.pop("createdAt")
    change = read(Entity.USERS, wrapped(envelope(row), created_at=name))
    assert doc_of(change)["createdAt"] is None
    assert change.values[0] is None
    assert change.values[1] is not None


@pytest.mark.parametrize(
    "value", ["infinity", "-infinity", "9999-12-31T23:59:59-01:00", 9223372036825200000, 2**63 - 1]
)
def test_so_does_one_of_no_declared_type(value: Any) -> None:
    change = read(Entity.USERS, envelope(document(Entity.USERS, createdAt=value)))
    assert doc_of(change)["createdAt"] is None


@pytest.mark.parametrize("base", ["float32", "float64", "string"])
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "NAN", "POSITIVE_INFINITY"])
def test_a_declared_number_that_is_none_costs_the_field(base: str, value: str) -> None:
    row = document(Entity.EXECUTIONS, duration=value)
    if base == "string" and value in {"NaN", "Infinity", "-Infinity"}:
        assert reason(Entity.EXECUTIONS, wrapped(envelope(row), duration={"type": base})) == (
            "bad_duration"
        )
        return
    change = read(Entity.EXECUTIONS, wrapped(envelope(row), duration={"type": base}))
    assert doc_of(change)["duration"] is None
    assert change.values[2] is None


def test_what_the_entity_needs_cannot_be_left_out_so() -> None:
    row = document(Entity.TASKS, id="NaN")
    assert reason(Entity.TASKS, wrapped(envelope(row), id={"type": "float64"})) == "missing_id"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{TIME}Interval", "P1Y2M3DT4H5M6.78S"),
        (f"{TIME}Interval", "P0Y1M0DT0H0M0S"),
        (
            f"{TIME}StructuredDuration",
            {
                "years": 0,
                "months": 2,
                "days": 0,
                "hours": 0,
                "minutes": 0,
                "seconds": 0,
                "nanos": 0,
            },
        ),
    ],
)
def test_months_are_no_length_of_time(name: str, value: Any) -> None:
    row = document(Entity.EXECUTIONS, duration=value)
    for record in (wrapped(envelope(row), duration=name), envelope(row)):
        error = rejected(lambda given=record: read(Entity.EXECUTIONS, given))  # type: ignore[misc]
        assert "interval.handling.mode=numeric" in str(error)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"{TIME}ZonedTime", "10:15:30+01:00"),
        (
            f"{TIME}StructuredZonedTime",
            {"hour": 4, "minute": 5, "second": 11, "nanos": 0, "offsetSeconds": -28800},
        ),
        (f"{TIME}Interval", "5 seconds"),
        (f"{TIME}Interval", "PT"),
        (f"{TIME}Interval", "P0DT1H-"),
        (f"{TIME}MicroDuration", -1),
        (f"{TIME}MicroDuration", "abc"),
        (f"{TIME}IsoTime", "01:00"),
        ("com.example.Ticks", 5),
    ],
)
def test_what_is_no_length_of_time_is_a_dead_letter(name: str, value: Any) -> None:
    row = document(Entity.EXECUTIONS, duration=value)
    error = rejected(lambda: read(Entity.EXECUTIONS, wrapped(envelope(row), duration=name)))
    assert name in str(error)
    assert "duration" in str(error)


@pytest.mark.parametrize(
    ("value", "millis"),
    [
        ("P0Y0M0DT0H0M5.25S", "5250"),
        ("P1DT1H", "90000000"),
        ("00:00:05.25Z", "5250"),
        ({"hour": 0, "minute": 0, "second": 5, "nanos": 250_000_000, "precision": None}, "5250"),
        (
            {
                "years": 0,
                "months": 0,
                "days": 0,
                "hours": 0,
                "minutes": 0,
                "seconds": 5,
                "nanos": 250_000_000,
                "precision": None,
            },
            "5250",
        ),
        ({"scale": 2, "value": "CA0="}, "20.61"),
    ],
)
def test_a_length_of_one_meaning_needs_no_type(value: Any, millis: str) -> None:
    change = read(Entity.EXECUTIONS, envelope(document(Entity.EXECUTIONS, duration=value)))
    assert change.values[2] == millis


@pytest.mark.parametrize(
    ("entity", "field"),
    [
        (Entity.EXECUTIONS, "duration"),
        (Entity.EXECUTIONS, "gatesPassed"),
        (Entity.EXECUTIONS, "timestamp"),
        (Entity.TASKS, "attempts"),
        (Entity.TASKS, "dependencies"),
    ],
)
def test_decimals_without_a_type_are_dead_letters_that_name_the_setting(
    entity: Entity, field: str
) -> None:
    error = rejected(lambda: read(entity, envelope(document(entity, **{field: "Kg=="}))))
    assert "decimal.handling.mode=string or double" in str(error)


@pytest.mark.parametrize("days", [20504, -1, 99_999_999])
def test_a_number_that_may_be_days_is_a_dead_letter_that_names_the_setting(days: int) -> None:
    error = rejected(lambda: read(Entity.USERS, envelope(document(Entity.USERS, createdAt=days))))
    assert error.reason == "bad_time"
    assert "schemas.enable" in str(error)


def test_a_unit_that_is_not_known_is_not_guessed() -> None:
    row = document(Entity.USERS, createdAt=1771588800000)
    error = rejected(lambda: read(Entity.USERS, wrapped(envelope(row), createdAt="com.example.T")))
    assert "com.example.T" in str(error)
    custom = {"type": "int64", "name": "com.example.Id"}
    change = read(Entity.TASKS, wrapped(envelope(document(Entity.TASKS, id=5)), id=custom))
    assert change.id == "5"
