"""What a value of the source means for a field here, in plain Python."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from nova_stream.events.documents import Kind

from .connector import Column, Modes, since_midnight

NUMBERS = {"numeric", "smallint", "integer", "bigint", "double"}
TEXTS = {"text", "uuid", "enum", "xml"}
INSTANTS = {"timestamp", "timestamptz", "date"}

#: The columns that stand for a field of each kind.
FITTING: dict[Kind, list[str]] = {
    Kind.ID: sorted({*TEXTS, *NUMBERS}),
    Kind.REFERENCE: sorted({*TEXTS, *NUMBERS}),
    Kind.TEXT: sorted({*TEXTS, "json"}),
    Kind.TIME: sorted(INSTANTS),
    Kind.DURATION: sorted({*NUMBERS, "time", "interval"}),
    Kind.NUMBER: sorted(NUMBERS),
    Kind.FLAG: sorted({*NUMBERS, "boolean"}),
    Kind.LIST: ["numeric[]", "text[]"],
    Kind.JSON: ["json"],
}


class UnfitError(Exception):
    """The column's type cannot mean the field, or its value is none for it."""


def meant(kind: Kind, column: Column, value: Any, modes: Modes) -> Any:
    """The plain reading of the source's value; raises UnfitError."""
    type_ = column.type
    found: Any = None
    if kind in {Kind.ID, Kind.REFERENCE}:
        found = _id(type_, value)
    elif kind is Kind.TEXT:
        found = value if type_ in {*TEXTS, "json"} else None
    elif kind is Kind.TIME:
        found = _instant(value) if type_ in INSTANTS else None
    elif kind is Kind.DURATION:
        found = _length(type_, value, modes)
    elif kind is Kind.NUMBER:
        found = _number(value) if type_ in NUMBERS else None
    elif kind is Kind.FLAG:
        is_flag = type_ in {*NUMBERS, "boolean"} and value in (0, 1)
        found = bool(value) if is_flag else None
    elif kind is Kind.LIST:
        found = value if type_ in {"text[]", "numeric[]"} else None
    elif type_ == "json":
        return json.loads(value)
    if found is None:
        raise UnfitError
    return found


def _id(type_: str, value: Any) -> str | None:
    if type_ in TEXTS:
        return str(value)
    return str(int(value)) if type_ in NUMBERS and value == int(value) else None


def _instant(value: Any) -> datetime:
    whole = value if isinstance(value, datetime) else datetime.combine(value, time(), UTC)
    return whole.replace(microsecond=whole.microsecond // 1000 * 1000)


def _number(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _length(type_: str, value: Any, modes: Modes) -> Decimal | None:
    millis = None
    if type_ == "time":
        micros = since_midnight(value)
        millis = Decimal(micros // 1000 * 1000 if modes.temporal == "connect" else micros) / 1000
    elif type_ == "interval":
        millis = Decimal(value // timedelta(microseconds=1)) / 1000
    elif type_ in NUMBERS:
        millis = _number(value)
    return millis if millis is not None and millis >= 0 else None
