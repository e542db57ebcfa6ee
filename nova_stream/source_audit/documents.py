"""A source's row as the document that nova-stream would have of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from nova_stream.errors import RejectedError
from nova_stream.events.documents import Kind
from nova_stream.events.json_text import parse_json
from nova_stream.source_audit.interface import SourceTable
from nova_stream.source_audit.plain import loose_text


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
        return _number(text)
    if kind in {Kind.LIST, Kind.JSON} or (kind is Kind.ANY and text[:1] in {"[", "{"}):
        return _json(text)
    return text


def _number(text: str) -> Any:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    return int(number) if number.is_finite() and number == number.to_integral_value() else number


def _json(text: str) -> Any:
    try:
        return parse_json(text.encode(), "value")
    except RejectedError:
        return text
