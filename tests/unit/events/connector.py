"""Debezium's side of the border: a row of a source's table as its connector's documentation says
that it is written, per mode and converter. Independent of the reader: nothing is imported of it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TIME, DATA = "io.debezium.time.", "io.debezium.data."
CONNECT = "org.apache.kafka.connect.data."

TEMPORAL_MODES = (
    "adaptive",
    "adaptive_time_microseconds",
    "connect",
    "isostring",
    "microseconds",
    "nanoseconds",
    "structured",
)
DECIMAL_MODES = ("precise", "double", "string")
INTERVAL_MODES = ("numeric", "string")


@dataclass(frozen=True)
class Modes:
    """How a connector and its converter are set up."""

    temporal: str = "adaptive"
    decimal: str = "precise"
    interval: str = "numeric"
    numeric_json: bool = False  # the JSON converter's decimal.format=NUMERIC


@dataclass(frozen=True)
class Column:
    """A column of the source: its type, and a decimal's scale (None = variable) or a time's
    precision.
    """

    type: str
    scale: int | None = None


Written = tuple[dict[str, Any], Any]


def written(column: Column, value: Any, modes: Modes) -> Written:
    """The column's schema and the value in the record."""
    schema, found = _WRITERS[column.type](column, value, modes)
    return schema, found


def _named(base: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": base, "optional": True, "name": name, "version": 1, **more}


def _micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _unit_of(precision: int | None, modes: Modes) -> str:
    if modes.temporal in {"microseconds", "nanoseconds"}:
        return {"microseconds": "Micro", "nanoseconds": "Nano"}[modes.temporal]
    return "" if precision is not None and precision <= 3 else "Micro"


def _timestamp(column: Column, value: datetime, modes: Modes) -> Written:
    if modes.temporal == "connect":
        return _named("int64", f"{CONNECT}Timestamp"), _micros(value) // 1000
    if modes.temporal == "isostring":
        text = value.isoformat().replace("+00:00", "Z")
        return _named("string", f"{TIME}IsoTimestamp"), text
    if modes.temporal == "structured":
        parts = {**_day_parts(value), **_clock_parts(value.time()), "specialValue": None}
        return _named("struct", f"{TIME}StructuredTimestamp"), parts
    unit = _unit_of(column.scale, modes)
    number = {"": _micros(value) // 1000, "Micro": _micros(value), "Nano": _micros(value) * 1000}
    return _named("int64", f"{TIME}{unit}Timestamp"), number[unit]


def _timestamptz(column: Column, value: datetime, modes: Modes) -> Written:
    if modes.temporal == "structured":
        parts = {**_day_parts(value), **_clock_parts(value.time())}
        more = {"offsetSeconds": 0, "zoneId": None, "specialValue": None, "precision": 6}
        return _named("struct", f"{TIME}StructuredZonedTimestamp"), parts | more
    text = value.replace(microsecond=0, tzinfo=None).isoformat()
    fraction = f".{value.microsecond:06d}" if column.scale != 0 else ""
    return _named("string", f"{TIME}ZonedTimestamp"), f"{text}{fraction}Z"


def _date(_: Column, value: date, modes: Modes) -> Written:
    if modes.temporal == "isostring":
        return _named("string", f"{TIME}IsoDate"), f"{value.isoformat()}Z"
    if modes.temporal == "structured":
        parts = {**_day_parts(value), "specialValue": None}
        return _named("struct", f"{TIME}StructuredDate"), parts
    name = f"{CONNECT}Date" if modes.temporal == "connect" else f"{TIME}Date"
    return _named("int32", name), (value - EPOCH.date()).days


def _time(column: Column, value: time, modes: Modes) -> Written:
    micros = since_midnight(value)
    if modes.temporal == "connect":
        return _named("int32", f"{CONNECT}Time"), micros // 1000
    if modes.temporal == "isostring":
        return _named("string", f"{TIME}IsoTime"), f"{value.isoformat()}Z"
    if modes.temporal == "structured":
        return _named("struct", f"{TIME}StructuredTime"), _clock_parts(value)
    unit = "Micro" if modes.temporal == "adaptive_time_microseconds" else None
    unit = _unit_of(column.scale, modes) if unit is None else unit
    number = {"": micros // 1000, "Micro": micros, "Nano": micros * 1000}[unit]
    return _named("int64" if unit else "int32", f"{TIME}{unit}Time"), number


def _interval(_: Column, value: timedelta, modes: Modes) -> Written:
    seconds, micros = divmod(value // timedelta(microseconds=1), 10**6)
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    if modes.temporal == "structured":
        parts = {
            "years": 0,
            "months": 0,
            "days": days,
            "hours": hours,
            "minutes": minutes,
            "seconds": seconds,
            "nanos": micros * 1000,
            "precision": 6,
        }
        return _named("struct", f"{TIME}StructuredDuration"), parts
    if modes.interval == "string":
        # Not exact: the connector takes the seconds through a double and cuts off at nine digits.
        double = Decimal(seconds + micros / 1e6)
        exact = double.quantize(Decimal("1E-9"), ROUND_DOWN).normalize()
        return _named("string", f"{TIME}Interval"), f"P0Y0M{days}DT{hours}H{minutes}M{exact:f}S"
    return _named("int64", f"{TIME}MicroDuration"), value // timedelta(microseconds=1)


def _decimal(column: Column, value: Decimal, modes: Modes) -> Written:
    if modes.decimal == "double":
        return {"type": "double", "optional": True}, float(value)
    if modes.decimal == "string":
        return {"type": "string", "optional": True}, format(value, "f")
    scale = -int(value.as_tuple().exponent) if column.scale is None else column.scale
    unscaled = int(value.scaleb(scale))
    # As Java's BigInteger.toByteArray: two's complement, no more bytes than it needs.
    size = (unscaled + (unscaled < 0)).bit_length() // 8 + 1
    data = b64encode(unscaled.to_bytes(size, "big", signed=True)).decode()
    if column.scale is None:
        return _named("struct", f"{DATA}VariableScaleDecimal"), {"scale": scale, "value": data}
    schema = _named("bytes", f"{CONNECT}Decimal", parameters={"scale": str(scale)})
    return schema, value if modes.numeric_json else data


def _plain(base: str) -> Callable[[Column, Any, Modes], Written]:
    return lambda _, value, __: ({"type": base, "optional": True}, value)


def _text_type(name: str) -> Callable[[Column, Any, Modes], Written]:
    return lambda _, value, __: (_named("string", name), value)


def _array(_: Column, value: list[Any], __: Modes) -> Written:
    return {"type": "array", "optional": True, "items": {"type": "string"}}, value


def _decimal_array(column: Column, value: list[Decimal], modes: Modes) -> Written:
    pairs = [_decimal(column, item, modes) for item in value]
    schema = _decimal(column, Decimal(0), modes)[0]
    return {"type": "array", "optional": True, "items": schema}, [found for _, found in pairs]


def _bytes(_: Column, value: bytes, __: Modes) -> Written:
    return {"type": "bytes", "optional": True}, b64encode(value).decode()


def _day_parts(value: date) -> dict[str, Any]:
    return {"year": value.year, "month": value.month, "day": value.day}


def _clock_parts(value: time) -> dict[str, Any]:
    return {
        "hour": value.hour,
        "minute": value.minute,
        "second": value.second,
        "nanos": value.microsecond * 1000,
        "precision": 6,
    }


def since_midnight(value: time) -> int:
    """The microseconds of a time of day."""
    seconds = value.hour * 3_600 + value.minute * 60 + value.second
    return seconds * 10**6 + value.microsecond


_WRITERS: dict[str, Callable[[Column, Any, Modes], Written]] = {
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "date": _date,
    "time": _time,
    "interval": _interval,
    "numeric": _decimal,
    "smallint": _plain("int16"),
    "integer": _plain("int32"),
    "bigint": _plain("int64"),
    "double": _plain("double"),
    "boolean": _plain("boolean"),
    "text": _plain("string"),
    "uuid": _text_type(f"{DATA}Uuid"),
    "enum": _text_type(f"{DATA}Enum"),
    "json": _text_type(f"{DATA}Json"),
    "xml": _text_type(f"{DATA}Xml"),
    "text[]": _array,
    "numeric[]": _decimal_array,
    "bytea": _bytes,
}
