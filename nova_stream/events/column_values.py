"""How a value of a declared type is read: each reading gives a plain value of Python.

Instants come as aware datetimes, lengths of time as milliseconds, decimals as Decimals, bytes are
left as they came. None stands for a value that nothing here can mean (infinity, NaN).
Each raises ValueError for what is no value of its type, TypeError for another JSON type, and
OutOfRangeError or RejectedError of a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.decimals import exact_decimal, is_variable_scale, scaled_decimal
from nova_stream.events.durations import length_of, length_of_parts, length_of_text
from nova_stream.events.json_text import whole_number
from nova_stream.events.times import out_of_range, parse_epoch, parse_time

#: Reads a value of a declared type; the last argument is its JSON path.
Reading = Callable[[Any, ColumnType, str], Any]

#: What connectors write for numbers that are none, in doubles and in text.
NOT_FINITE = frozenset(
    ["NaN", "NAN", "Infinity", "-Infinity", "POSITIVE_INFINITY", "NEGATIVE_INFINITY"]
)

_DATE = ("year", "month", "day")
_CLOCK = ("hour", "minute", "second", "nanos")


def as_it_is(value: Any, _: ColumnType, __: str) -> Any:
    """The value unchanged."""
    return value


def number(value: Any, _: ColumnType, __: str) -> Any:
    """A number; None for NaN and the infinities."""
    if isinstance(value, str):
        return None if value in NOT_FINITE else exact_decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError(value)
    return value


def decimal(value: Any, declared: ColumnType, _: str) -> Decimal | int:
    """Connect's Decimal: base64 or bytes with the schema's scale, or a number already."""
    if isinstance(value, str | bytes):
        return _whole_or_exact(scaled_decimal(value, declared.parameters.get("scale")))
    return _whole_or_exact(exact_decimal(value))


def variable_scale_decimal(value: Any, _: ColumnType, __: str) -> Decimal | int:
    """Debezium's VariableScaleDecimal: its bytes and their scale."""
    if isinstance(value, dict) and not is_variable_scale(value):
        raise ValueError(value)
    return _whole_or_exact(exact_decimal(value))


def epoch(unit: int) -> Reading:
    """Reads an instant given as a number of units (in nanoseconds) since 1970."""

    def read(value: Any, _: ColumnType, where: str) -> datetime:
        return parse_epoch(value, unit, where)

    return read


def iso_time(value: Any, _: ColumnType, where: str) -> datetime:
    """An instant as ISO 8601 text."""
    if not isinstance(value, str):
        raise TypeError(value)
    return parse_time(value, where)


def length(unit: int) -> Reading:
    """Reads a length of time, or a time of day, given as a number of units (in nanoseconds)."""

    def read(value: Any, _: ColumnType, __: str) -> Decimal:
        return length_of(exact_decimal(value), unit)

    return read


def iso_length(value: Any, _: ColumnType, __: str) -> Decimal:
    """A length of time as ISO 8601 duration, or a time of day in UTC."""
    found = length_of_text(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(value)
    return found


def structured_length(value: Any, _: ColumnType, __: str) -> Decimal:
    """A length of time, or a time of day, in parts."""
    if not isinstance(value, dict):
        raise TypeError(value)
    return length_of_parts(value)


def structured_time(value: Any, _: ColumnType, where: str) -> datetime:
    """An instant in parts, in UTC where they have no offset; a date is its midnight."""
    if not isinstance(value, dict):
        raise TypeError(value)
    if value.get("specialValue") is not None:
        raise out_of_range(value["specialValue"], where)

    year, month, day = (_part(value, name) for name in _DATE)
    hour, minute, second, nanos = (_part(value, name, 0) for name in _CLOCK)
    offset = timezone(timedelta(seconds=_part(value, "offsetSeconds", 0)))
    if not 1 <= year <= 9999:
        raise out_of_range(value, where)
    try:
        local = datetime(year, month, day, hour, minute, second, nanos // 1000, offset)
        return parse_time(local.astimezone(UTC).isoformat(), where)
    except OverflowError:
        raise out_of_range(value, where) from None


def is_structured_time(value: Mapping[str, object]) -> bool:
    """Whether an object has all the fields of a StructuredDate or a StructuredTimestamp."""
    return value.keys() >= set(_DATE) and "specialValue" in value


def _whole_or_exact(found: Decimal) -> Decimal | int:
    whole = whole_number(found)
    return found if whole is None else whole


def _part(parts: Mapping[str, object], name: str, missing: int | None = None) -> int:
    found = parts.get(name)
    whole = missing if found is None else whole_number(found)
    if whole is None:
        raise ValueError(f"a structure whose {name} is no whole number")
    return whole
