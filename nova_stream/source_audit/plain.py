"""Plain texts of values whose forms differ between a source's column and a document, and documents
of such texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

from nova_stream.errors import NoLengthError, OutOfRangeError, RejectedError
from nova_stream.events.documents import Kind
from nova_stream.events.durations import length_of_text
from nova_stream.events.json_text import parse_json
from nova_stream.events.times import parse_time, time_text
from nova_stream.source_audit.interface import SourceTable

_NUMBER = re.compile(r"-?[0-9]{1,301}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,3})?")
_FLAGS = {"0": "false", "1": "true"}
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def loose_text(kind: Kind, text: str | None) -> str | None:
    """The plain text of a loose field; a value that has none of the kind's forms as it stands."""
    if text is None:
        return None
    if kind is Kind.TIME:
        return _time(text)
    if kind in {Kind.NUMBER, Kind.DURATION}:
        return _number(kind, text)
    if kind is Kind.FLAG:
        return _FLAGS.get(_number(kind, text), text)
    if kind in {Kind.LIST, Kind.JSON, Kind.ANY}:
        return _json(text)
    return text.rstrip(" ")


def number_text(number: Decimal) -> str:
    """A number without exponent and without zeros at its end, as Postgres' ``trim_scale``."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(kind: Kind, text: str) -> str:
    if _NUMBER.fullmatch(text):
        return number_text(Decimal(text))
    length = None
    if kind is Kind.DURATION:
        with suppress(NoLengthError):
            length = length_of_text(text)
    return text if length is None else number_text(length)


def _time(text: str) -> str | None:
    value = Decimal(text) if "." in text and _NUMBER.fullmatch(text) else text
    try:
        return time_text(parse_time(value, "time"))
    except OutOfRangeError:
        return None
    except RejectedError:
        return text


def _json(text: str) -> str | None:
    """JSON in one form; text that holds JSON is that JSON, as connectors write JSON columns. Text
    in that text likewise: nobody can say how often it was written as text.
    """
    value = _parsed(text)
    while isinstance(value, str) and (inner := _parsed(value)) != value:
        value = inner
    return None if value is None else _encode(_plain(value)).decode()


def _parsed(text: str) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"), "value")
    except RejectedError:
        return text


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value.normalize()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def document(table: SourceTable, texts: Mapping[str, Any], row: str) -> dict[str, Any]:
    """The document of a row: its compared fields from ``texts``, everything else from ``row``, the
    whole row as JSON.
    """
    whole: dict[str, Any] = parse_json(row.encode(), table.place)
    found = {name: whole[name] for name in table.unknown}
    for field in table.fields:
        text = texts[field.name]
        plain = loose_text(field.kind, text) if field.loose and field.kind is not Kind.ANY else text
        found[field.name] = _value(field.kind, plain)
    return found


def _value(kind: Kind, text: str | None) -> Any:
    """The value that a document has for a plain text."""
    if text is None:
        return None
    if kind is Kind.FLAG:
        return {"true": True, "false": False}.get(text, text)
    if kind in {Kind.NUMBER, Kind.DURATION}:
        return _number_of(text)
    if kind in {Kind.LIST, Kind.JSON} or (kind is Kind.ANY and text[:1] in {"[", "{"}):
        return _json_of(text)
    return text


def _number_of(text: str) -> Any:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    return int(number) if number.is_finite() and number == number.to_integral_value() else number


def _json_of(text: str) -> Any:
    try:
        return parse_json(text.encode(), "value")
    except RejectedError:
        return text
