"""JSON Schema as Connect's converter writes it: plain JSON, its types named beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.framing import DecodedFrame, FramedReader, RegisteredSchema
from nova_stream.events.json_text import parse_json

_TYPES = {
    "integer": "int64",
    "number": "float64",
    "string": "string",
    "boolean": "boolean",
    "object": "struct",
    "array": "array",
}
#: A title is a type's name where a converter wrote it; people write titles, too.
_NAMES = re.compile(r"(io\.debezium|org\.apache\.kafka\.connect)\.\S+")
_DEEPEST = 32


def json_reader(schema: RegisteredSchema) -> FramedReader:
    """The reader of a JSON Schema; raises RejectedError when that is no JSON."""
    root = parse_json(schema.text.encode(), "the schema")
    others = {
        name: parse_json(text.encode(), "the schema") for name, text in schema.references.items()
    }
    return _JsonReader(_Reading(root, others).declared(root, root, _DEEPEST))


class _JsonReader:
    def __init__(self, declared: ColumnType | None) -> None:
        self._declared = declared

    def __call__(self, payload: bytes, where: str) -> DecodedFrame:
        return DecodedFrame(parse_json(payload, where), self._declared)


class _Reading:
    """Follows a schema's references while it is read."""

    def __init__(self, root: Any, others: Mapping[str, Any]) -> None:
        self._root = root
        self._others = others

    def declared(self, schema: Any, root: Any, deep: int) -> ColumnType | None:
        if deep == 0 or not isinstance(schema, dict):
            return None
        for word in ("oneOf", "anyOf", "allOf"):
            branches = [b for b in _listed(schema.get(word)) if b.get("type") != "null"]
            if len(branches) == 1:
                return self.declared(branches[0], root, deep - 1)
        if isinstance(schema.get("$ref"), str):
            target, root = self._target(schema["$ref"], root)
            return self.declared(target, root, deep - 1)

        connect = schema.get("connect.type")
        kind = connect if isinstance(connect, str) else _TYPES.get(_json_type(schema), "")
        parameters, items = schema.get("connect.parameters"), schema.get("items")
        if items is None:
            items = schema.get("additionalProperties")
        found = ColumnType(
            kind,
            _semantic(schema),
            parameters if isinstance(parameters, dict) else {},
            self.declared(items, root, deep - 1),
            self._fields(schema, root, deep),
        )
        return found if found.type or found.name else None

    def _fields(self, schema: Mapping[str, Any], root: Any, deep: int) -> dict[str, ColumnType]:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return {}
        declared = {name: self.declared(p, root, deep - 1) for name, p in properties.items()}
        return {name: found for name, found in declared.items() if found is not None}

    def _target(self, reference: str, root: Any) -> tuple[Any, Any]:
        document, _, pointer = reference.partition("#")
        if document:
            root = self._others.get(document)
        found = root
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found, root


def _listed(found: object) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _json_type(schema: Mapping[str, Any]) -> str:
    given = schema.get("type")
    if isinstance(given, list):
        given = next((kind for kind in given if kind != "null"), None)
    return given if isinstance(given, str) else ""


def _semantic(schema: Mapping[str, Any]) -> str | None:
    title = schema.get("title")
    if not isinstance(title, str):
        return None
    return title if "connect.type" in schema or _NAMES.fullmatch(title) else None
