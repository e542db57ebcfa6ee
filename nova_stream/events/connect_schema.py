"""What a source declares about its columns: one small type, and how Connect's JSON schema says it.

Readers of other schemas (Avro, JSON Schema) make the same ``ColumnType``: Connect's own type name
(``int32``, ``string``, ``struct``, …), the semantic name that Debezium or Connect gives to it
(Avro and JSON Schema carry it as ``connect.name`` or ``title``), and the parameters
(``connect.parameters``). Values stay what Connect's JSON converter writes: bytes as base64 text or
as ``bytes``, a Decimal as its unscaled bytes or already as ``decimal.Decimal``, times as numbers.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

_NOTHING: Mapping[str, Any] = {}
#: Connect's types that carry a value, those first that do it alone where a schema has them.
_CARRIED: Mapping[type, Sequence[Container[str]]] = {
    bool: (("boolean",),),
    int: (("int8", "int16", "int32", "int64"), ("float32", "float64")),
    float: (("float32", "float64"),),
    Decimal: (("float32", "float64", "bytes"),),
    str: (("string", "bytes"),),
    bytes: (("bytes",),),
    list: (("array",),),
    dict: (("struct", "map"),),
}
#: An envelope's documents, and what is in them: records may contain themselves.
_DEEPEST_MERGED = 3
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
    #: The types of which a value has one, where a schema leaves that to the value.
    choices: tuple[ColumnType, ...] = ()


def one_of(branches: Sequence[ColumnType | None], deep: int = 0) -> ColumnType | None:
    """The type of a column that has one of several; None stands for one that declares nothing.

    Where nothing but plain types is declared, a value tells by itself what it is: None. Structs are
    one with the fields of all; ``deep`` is how deep in such a one this is.
    """
    known: list[ColumnType] = []
    for branch in branches:
        if branch is not None and not any(_are_equal(branch, other) for other in known):
            known.append(branch)
    if len(known) == 1 and None not in branches:
        return known[0]
    if known and all(branch is not None and branch.type == "struct" for branch in branches):
        if deep == _DEEPEST_MERGED:
            return None
        names = dict.fromkeys(name for branch in known for name in branch.fields)
        fields = {n: one_of([b.fields[n] for b in known if n in b.fields], deep + 1) for n in names}
        return ColumnType("struct", fields={n: found for n, found in fields.items() if found})
    if not any(branch.name for branch in known):
        return None
    return ColumnType(name=" or ".join(b.name or b.type for b in known), choices=tuple(known))


def _are_equal(one: ColumnType, other: ColumnType) -> bool:
    """Whether two types are the same; structs may contain themselves, so that they are never
    compared.
    """
    if one.fields or other.fields or one.items or other.items:
        return one is other
    return one == other


def type_of(value: object, declared: ColumnType) -> ColumnType | None:
    """The declared type of a value, of those that it may have; None where that is a plain one."""
    if not declared.choices:
        return declared
    for carried in _CARRIED.get(type(value), ()):
        fitting = [choice for choice in declared.choices if choice.type in carried]
        if fitting:
            return one_of(fitting)
    return declared


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
