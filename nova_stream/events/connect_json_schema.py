"""JSON Schema as Connect's converter writes it: plain JSON, its types named beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nova_stream.events.connect_schema import ColumnType, one_of
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


def json_reader(schema: RegisteredSchema) -> FramedReader:
    """The reader of a JSON Schema; raises RejectedError when that is no JSON, ValueError when it
    refers to what is not there.
    """
    root = parse_json(schema.text.encode(), "the schema")
    others = {
        name: parse_json(text.encode(), "the schema") for name, text in schema.references.items()
    }
    return _JsonReader(_Reading(root, others).declared(root, root))


class _JsonReader:
    def __init__(self, declared: ColumnType | None) -> None:
        self._declared = declared

    def __call__(self, payload: bytes, where: str) -> DecodedFrame:
        return DecodedFrame(parse_json(payload, where), self._declared)


class _Reading:
    """Follows a schema's references while it is read. Each part of it is read once, since it may
    contain itself.
    """

    def __init__(self, root: Any, others: Mapping[str, Any]) -> None:
        self._root = root
        self._others = others
        self._known: dict[int, ColumnType | None] = {}

    def declared(self, schema: Any, root: Any) -> ColumnType | None:
        if not isinstance(schema, dict):
            return None
        if id(schema) not in self._known:
            self._known[id(schema)] = None  # what is nothing but itself declares nothing
            if isinstance(schema.get("$ref"), str):
                found = self.declared(*self._target(schema["$ref"], root))
            else:
                found = self._of_branches(schema, root) or self._own(schema, root)
            self._known[id(schema)] = found
        return self._known[id(schema)]

    def _of_branches(self, schema: Mapping[str, Any], root: Any) -> ColumnType | None:
        for word in ("oneOf", "anyOf", "allOf"):
            branches = [b for b in _listed(schema.get(word)) if b.get("type") != "null"]
            found = [self.declared(branch, root) for branch in branches]
            if word == "allOf":  # what declares nothing is a remark
                found = [branch for branch in found if branch is not None]
            if found:
                return one_of(found)
        return None

    def _own(self, schema: dict[str, Any], root: Any) -> ColumnType | None:
        connect = schema.get("connect.type")
        kind = connect if isinstance(connect, str) else _TYPES.get(_json_type(schema), "")
        parameters, items = schema.get("connect.parameters"), schema.get("items")
        if items is None:
            items = schema.get("additionalProperties")
        fields: dict[str, ColumnType] = {}
        own = ColumnType(
            kind,
            _semantic(schema),
            parameters if isinstance(parameters, dict) else {},
            self.declared(items, root),
            fields,
        )
        if not (own.type or own.name):
            return None
        self._known[id(schema)] = own
        properties = schema.get("properties")
        for name, part in properties.items() if isinstance(properties, dict) else ():
            found = self.declared(part, root)
            if found is not None:
                fields[name] = found
        return own

    def _target(self, reference: str, root: Any) -> tuple[Any, Any]:
        document, _, pointer = reference.partition("#")
        if document:
            root = self._others.get(document)
        found = root
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            raise ValueError(f"its reference {reference[:100]} leads nowhere")
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
