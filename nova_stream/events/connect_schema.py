"""What a source declares about its columns: one small type, and how Connect's JSON schema says it.

Readers of other schemas (Avro, JSON Schema) make the same ``ColumnType``: Connect's own type name
(``int32``, ``string``, ``struct``, …), the semantic name that Debezium or Connect gives to it
(Avro and JSON Schema carry it as ``connect.name`` or ``title``), and the parameters
(``connect.parameters``). Values stay what Connect's JSON converter writes: bytes as base64 text or
as ``bytes``, a Decimal as its unscaled bytes or already as ``decimal.Decimal``, times as numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_NOTHING: Mapping[str, Any] = {}
#: What the JSON converter calls them.
_FLOATS = {"float": "float32", "double": "float64"}


class ColumnType(NamedTuple):
    """The declared type of a column, of an element, or of a whole key."""

    #: Connect's: int8, int16, int32, int64, float32, float64, boolean, string, bytes, array, map,
    #: struct. Empty where only a semantic name is known.
    type: str = ""
    #: The semantic type, such as ``io.debezium.time.Date``; None for the plain ones.
    name: str | None = None
    #: Its parameters, such as a decimal's ``scale``.
    parameters: Mapping[str, Any] = _NOTHING
    #: The type of an array's elements, or of a map's values.
    items: ColumnType | None = None
    #: The types of a struct's fields, by name.
    fields: Mapping[str, ColumnType] = _NOTHING


def column_type(schema: object) -> ColumnType | None:
    """What a schema of Connect's JSON converter declares; None where it declares nothing.

    Never raises: what has not the form of a schema declares nothing.
    """
    if isinstance(schema, str):
        return ColumnType(_FLOATS.get(schema, schema))
    if not isinstance(schema, dict):
        return None

    kind, name, parameters = schema.get("type"), schema.get("name"), schema.get("parameters")
    found = ColumnType(
        _FLOATS.get(kind, kind) if isinstance(kind, str) else "",
        name if isinstance(name, str) else None,
        parameters if isinstance(parameters, dict) else _NOTHING,
        column_type(schema.get("items", schema.get("values"))),
        struct_fields(schema),
    )
    return found if found.type or found.name else None


def struct_fields(schema: object) -> dict[str, ColumnType]:
    """The declared types of a struct's fields, by name; empty for what is no struct."""
    return {
        name: declared
        for name, field in _named_fields(schema)
        if (declared := column_type(field)) is not None
    }


def _named_fields(schema: object) -> list[tuple[str, dict[str, Any]]]:
    fields = schema.get("fields") if isinstance(schema, dict) else None
    if not isinstance(fields, list):
        return []
    return [
        (field["field"], field)
        for field in fields
        if isinstance(field, dict) and isinstance(field.get("field"), str)
    ]
