"""Every type that a source can declare for a column, and what its values mean here.

One table: the semantic types of Debezium 3.6 (Postgres, MySQL and MariaDB, SQL Server, Oracle,
MongoDB), Kafka Connect's logical types, and Connect's plain ones. docs/source-types.md says the
same in words; a test holds the two together.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple, NoReturn

from nova_stream.errors import NoLengthError, OutOfRangeError, RejectedError
from nova_stream.events import column_values as values
from nova_stream.events.connect_schema import ColumnType, type_of
from nova_stream.events.describe import described, quoted
from nova_stream.events.documents import Kind
from nova_stream.events.json_text import parse_json
from nova_stream.events.times import DAY, MICRO, MILLI, NANO, time_text


class Meaning(Enum):
    """What the values of a declared type are."""

    INSTANT = "an instant"
    LENGTH = "a length of time"
    NUMBER = "a number"
    YEAR = "a calendar year"
    FLAG = "a flag"
    TEXT = "a text"
    SET = "texts with commas between them"
    JSON = "JSON as text"
    LIST = "a list"
    OBJECT = "an object"
    BYTES = "bytes"


class SourceType(NamedTuple):
    """A declared type: how Connect carries it, what it means, and how its values are read."""

    name: str
    carried_as: str
    meaning: Meaning
    read: values.Reading
    note: str


_TIME, _DATA = "io.debezium.time.", "io.debezium.data."
_CONNECT, _GEOMETRY = "org.apache.kafka.connect.data.", "io.debezium.data.geometry."
_M = Meaning

_TYPES = (
    SourceType(f"{_TIME}Date", "int32", _M.INSTANT, values.epoch(DAY), "days since 1970"),
    SourceType(f"{_TIME}Timestamp", "int64", _M.INSTANT, values.epoch(MILLI), "ms since 1970"),
    SourceType(f"{_TIME}MicroTimestamp", "int64", _M.INSTANT, values.epoch(MICRO), "us since 1970"),
    SourceType(f"{_TIME}NanoTimestamp", "int64", _M.INSTANT, values.epoch(NANO), "ns since 1970"),
    SourceType(f"{_TIME}ZonedTimestamp", "string", _M.INSTANT, values.iso_time, "with an offset"),
    SourceType(f"{_TIME}IsoDate", "string", _M.INSTANT, values.iso_time, "2017-09-15Z"),
    SourceType(
        f"{_TIME}IsoTimestamp", "string", _M.INSTANT, values.iso_time, "2019-07-09T02:28:57.123456Z"
    ),
    SourceType(
        f"{_TIME}StructuredDate", "struct", _M.INSTANT, values.structured_time, "year, month, day"
    ),
    SourceType(
        f"{_TIME}StructuredTimestamp", "struct", _M.INSTANT, values.structured_time, "in UTC"
    ),
    SourceType(
        f"{_TIME}StructuredZonedTimestamp",
        "struct",
        _M.INSTANT,
        values.structured_time,
        "with offsetSeconds",
    ),
    SourceType(f"{_TIME}Time", "int32", _M.LENGTH, values.length(MILLI), "ms since midnight"),
    SourceType(f"{_TIME}MicroTime", "int64", _M.LENGTH, values.length(MICRO), "us since midnight"),
    SourceType(f"{_TIME}NanoTime", "int64", _M.LENGTH, values.length(NANO), "ns since midnight"),
    SourceType(f"{_TIME}ZonedTime", "string", _M.LENGTH, values.iso_length, "07:15:00Z"),
    SourceType(f"{_TIME}IsoTime", "string", _M.LENGTH, values.iso_length, "04:05:11.789Z"),
    SourceType(
        f"{_TIME}StructuredTime", "struct", _M.LENGTH, values.structured_length, "hour to nanos"
    ),
    SourceType(
        f"{_TIME}StructuredZonedTime",
        "struct",
        _M.LENGTH,
        values.structured_length,
        "without an offset",
    ),
    SourceType(f"{_TIME}MicroDuration", "int64", _M.LENGTH, values.length(MICRO), "us"),
    SourceType(f"{_TIME}NanoDuration", "int64", _M.LENGTH, values.length(NANO), "ns"),
    SourceType(
        f"{_TIME}Interval", "string", _M.LENGTH, values.iso_length, "P0Y0M3DT4H5M6.78S; no months"
    ),
    SourceType(
        f"{_TIME}StructuredDuration", "struct", _M.LENGTH, values.structured_length, "no months"
    ),
    SourceType(f"{_TIME}Year", "int32", _M.YEAR, values.number, "2026"),
    SourceType(f"{_CONNECT}Date", "int32", _M.INSTANT, values.epoch(DAY), "days since 1970"),
    SourceType(f"{_CONNECT}Time", "int32", _M.LENGTH, values.length(MILLI), "ms since midnight"),
    SourceType(f"{_CONNECT}Timestamp", "int64", _M.INSTANT, values.epoch(MILLI), "ms since 1970"),
    SourceType(f"{_CONNECT}Decimal", "bytes", _M.NUMBER, values.decimal, "unscaled, with a scale"),
    SourceType(
        f"{_DATA}VariableScaleDecimal",
        "struct",
        _M.NUMBER,
        values.variable_scale_decimal,
        "scale and value",
    ),
    SourceType(f"{_DATA}Json", "string", _M.JSON, values.as_it_is, "a document, list or scalar"),
    SourceType(f"{_DATA}Xml", "string", _M.TEXT, values.as_it_is, ""),
    SourceType(f"{_DATA}Uuid", "string", _M.TEXT, values.as_it_is, ""),
    SourceType(f"{_DATA}Ltree", "string", _M.TEXT, values.as_it_is, ""),
    SourceType(f"{_DATA}Tsvector", "string", _M.TEXT, values.as_it_is, ""),
    SourceType(f"{_DATA}Enum", "string", _M.TEXT, values.as_it_is, "one of allowed"),
    SourceType(f"{_DATA}EnumSet", "string", _M.SET, values.as_it_is, "some of allowed"),
    SourceType(f"{_DATA}Bits", "bytes", _M.BYTES, values.as_it_is, "little-endian"),
    SourceType(f"{_DATA}DoubleVector", "array", _M.LIST, values.as_it_is, "of float64"),
    SourceType(f"{_DATA}FloatVector", "array", _M.LIST, values.as_it_is, "of float32"),
    SourceType(f"{_DATA}SparseDoubleVector", "struct", _M.OBJECT, values.as_it_is, ""),
    SourceType(f"{_DATA}SparseVector", "struct", _M.OBJECT, values.as_it_is, ""),
    SourceType(f"{_GEOMETRY}Point", "struct", _M.OBJECT, values.as_it_is, ""),
    SourceType(f"{_GEOMETRY}Geometry", "struct", _M.OBJECT, values.as_it_is, ""),
    SourceType(f"{_GEOMETRY}Geography", "struct", _M.OBJECT, values.as_it_is, ""),
    SourceType(f"{_GEOMETRY}Circle", "struct", _M.OBJECT, values.as_it_is, ""),
    SourceType(f"{_GEOMETRY}Line", "struct", _M.OBJECT, values.as_it_is, ""),
    SourceType("int8", "int8", _M.NUMBER, values.number, ""),
    SourceType("int16", "int16", _M.NUMBER, values.number, ""),
    SourceType("int32", "int32", _M.NUMBER, values.number, ""),
    SourceType("int64", "int64", _M.NUMBER, values.number, ""),
    SourceType("float32", "float32", _M.NUMBER, values.number, "NaN and infinity are null"),
    SourceType("float64", "float64", _M.NUMBER, values.number, "NaN and infinity are null"),
    SourceType("boolean", "boolean", _M.FLAG, values.as_it_is, ""),
    SourceType("string", "string", _M.TEXT, values.as_it_is, ""),
    SourceType("bytes", "bytes", _M.BYTES, values.as_it_is, ""),
    SourceType("array", "array", _M.LIST, values.as_it_is, ""),
    SourceType("map", "map", _M.OBJECT, values.as_it_is, ""),
    SourceType("struct", "struct", _M.OBJECT, values.as_it_is, ""),
)

#: Every known type, by its semantic name, or by Connect's own where it has none.
TYPES: dict[str, SourceType] = {known.name: known for known in _TYPES}

#: What a type must mean to stand for a field of this kind.
FITTING: dict[Kind, frozenset[Meaning]] = {
    Kind.ID: frozenset([_M.TEXT, _M.NUMBER, _M.YEAR]),
    Kind.REFERENCE: frozenset([_M.TEXT, _M.NUMBER, _M.YEAR]),
    Kind.TEXT: frozenset([_M.TEXT, _M.SET, _M.JSON]),
    Kind.TIME: frozenset([_M.INSTANT, _M.NUMBER, _M.TEXT]),
    Kind.NUMBER: frozenset([_M.NUMBER, _M.YEAR, _M.TEXT]),
    Kind.DURATION: frozenset([_M.LENGTH, _M.NUMBER, _M.TEXT]),
    Kind.FLAG: frozenset([_M.FLAG, _M.NUMBER, _M.TEXT]),
    Kind.LIST: frozenset([_M.LIST, _M.SET, _M.JSON, _M.TEXT]),
    Kind.JSON: frozenset(Meaning) - {_M.BYTES},
    Kind.ANY: frozenset(Meaning) - {_M.BYTES},
}

_BYTES_REMEDY = "; the connector's binary.handling.mode=hex or base64 writes bytes as text"
_UNITS = frozenset([Kind.TIME, Kind.DURATION])
_WHOLE = frozenset([Kind.LIST, Kind.JSON, Kind.ANY])
_WORDS = {
    Kind.ID: "an id",
    Kind.REFERENCE: "the id of something else",
    Kind.TEXT: "a text",
    Kind.TIME: "an instant",
    Kind.NUMBER: "a number",
    Kind.DURATION: "a length of time",
    Kind.FLAG: "a flag",
    Kind.LIST: "a list",
    Kind.JSON: "JSON",
    Kind.ANY: "JSON",
}


def type_name(declared: ColumnType) -> str:
    """The name by which a message calls a declared type."""
    of_items = f" of {type_name(declared.items)}" if declared.items else ""
    return declared.name or f"{declared.type}{of_items}"


def source_type(declared: ColumnType) -> SourceType | None:
    """What is known of a declared type: by its semantic name, else as Connect carries it."""
    return TYPES.get(declared.name or "") or TYPES.get(declared.type)


def declared_value(value: Any, declared: ColumnType, kind: Kind, where: str) -> Any:
    """A value of a declared type, as the plain value that a field of ``kind`` is read from.

    None where nothing here can mean it (infinity, NaN). Raises OutOfRangeError, and
    RejectedError: ``wrong_type`` when the type cannot mean such a field, or what the value's
    reading raises.
    """
    of_value = type_of(value, declared)
    if of_value is None:
        return value
    declared, known = of_value, source_type(of_value)
    if kind in _UNITS and (known is None or known.name != (declared.name or known.name)):
        _unfit(declared, kind, where, "which is not known, so that its unit is not")
    if known is None:
        return value
    if known.meaning not in FITTING[kind]:
        _unfit(declared, kind, where, _is(known))

    if kind not in _WHOLE:
        return _read(known, value, declared, where)
    if known.meaning is Meaning.SET and kind is Kind.LIST and isinstance(value, str):
        return value.split(",") if value else []
    if known.meaning is Meaning.JSON and kind is not Kind.LIST and isinstance(value, str):
        return _parsed(value, declared, where)
    if _holds_bytes(declared):
        _unfit(declared, kind, where, f"which holds bytes{_BYTES_REMEDY}")
    return _inner(value, declared, where)


def _holds_bytes(declared: ColumnType) -> bool:
    known = source_type(declared)
    if declared.items is not None:
        return _holds_bytes(declared.items)
    return known is not None and known.meaning is Meaning.BYTES


def _inner(value: Any, declared: ColumnType, where: str) -> Any:
    """A value with all that it holds read by the declared types; instants as text again."""
    known = source_type(declared)
    if known is None or value is None:
        return value
    if isinstance(value, list) and declared.items:
        return [_inner(item, declared.items, where) for item in value]
    if isinstance(value, dict) and declared.items:
        return {name: _inner(item, declared.items, where) for name, item in value.items()}

    try:
        found = _read(known, value, declared, where)
    except OutOfRangeError:
        return None
    return time_text(found) if isinstance(found, datetime) else found


def _read(known: SourceType, value: Any, declared: ColumnType, where: str) -> Any:
    try:
        return known.read(value, declared, where)
    except (TypeError, ValueError) as error:
        detail = f", but {error}" if isinstance(error, NoLengthError) else ""
        raise RejectedError(
            "wrong_type",
            f"{where} is {described(value)}, which is no value of its declared type "
            f"{quoted(type_name(declared))}{detail}",
        ) from None


def _parsed(text: str, declared: ColumnType, where: str) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"), where)
    except RejectedError as error:
        if error.reason != "bad_json":
            raise
        raise RejectedError(
            "wrong_type",
            f"{where} is {described(text)}, which is no value of its declared type "
            f"{quoted(type_name(declared))}",
        ) from None


def _is(known: SourceType) -> str:
    return f"which is {known.meaning.value}{_BYTES_REMEDY if known.meaning is _M.BYTES else ''}"


def _unfit(declared: ColumnType, kind: Kind, where: str, why: str) -> NoReturn:
    raise RejectedError(
        "wrong_type",
        f"{where} has the declared type {quoted(type_name(declared))}, {why}; it cannot mean "
        f"{_WORDS[kind]}",
    )
