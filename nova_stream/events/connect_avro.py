"""Avro as Connect's converter writes it, and as applications do with Avro's own logical types."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from fastavro import parse_schema, schemaless_reader

from nova_stream.errors import RejectedError
from nova_stream.events.connect_schema import ColumnType, one_of
from nova_stream.events.framing import DecodedFrame, FramedReader, RegisteredSchema

_TYPES = {
    "int": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "bytes": "bytes",
    "fixed": "bytes",
    "enum": "string",
    "record": "struct",
    "string": "string",
    "boolean": "boolean",
    "array": "array",
    "map": "map",
}

#: What Avro's logical types are called in Connect and Debezium.
_LOGICAL = {
    "date": "org.apache.kafka.connect.data.Date",
    "time-millis": "org.apache.kafka.connect.data.Time",
    "time-micros": "io.debezium.time.MicroTime",
    "timestamp-millis": "org.apache.kafka.connect.data.Timestamp",
    "timestamp-micros": "io.debezium.time.MicroTimestamp",
    "timestamp-nanos": "io.debezium.time.NanoTimestamp",
    "local-timestamp-millis": "org.apache.kafka.connect.data.Timestamp",
    "local-timestamp-micros": "io.debezium.time.MicroTimestamp",
    "local-timestamp-nanos": "io.debezium.time.NanoTimestamp",
    "decimal": "org.apache.kafka.connect.data.Decimal",
    "uuid": "io.debezium.data.Uuid",
}


def avro_reader(schema: RegisteredSchema) -> FramedReader:
    """The reader of an Avro schema; raises what fastavro raises for one that is wrong."""
    names: dict[str, Any] = {}
    for text in schema.references.values():
        parse_schema(_raw(json.loads(text)), named_schemas=names)
    written = json.loads(schema.text)
    parsed = parse_schema(_raw(written), named_schemas=names)
    records: dict[str, Any] = {}
    for text in schema.references.values():
        _name(json.loads(text), "", records)
    _name(written, "", records)
    return _AvroReader(parsed, _Declaring(records).declared(written, ""))


class _AvroReader:
    def __init__(self, schema: Any, declared: ColumnType | None) -> None:
        self._schema = schema
        self._declared = declared

    def __call__(self, payload: bytes, where: str) -> DecodedFrame:
        stream = io.BytesIO(payload)
        try:
            found = schemaless_reader(stream, self._schema, None)
        except Exception as error:  # fastavro raises EOFError, IndexError, struct.error, ...
            raise RejectedError(
                "bad_frame",
                f"{where} is not what its Avro schema says: {type(error).__name__}: {error!s:.100}",
            ) from None
        if left := len(payload) - stream.tell():
            raise RejectedError(
                "bad_frame", f"{where} has {left} bytes more than its Avro schema says"
            )
        return DecodedFrame(_as_json(found, self._declared), self._declared)


def _raw(schema: Any) -> Any:
    """The schema without logical types: values stay numbers and bytes, which the types of the
    columns then give their meaning.
    """
    if isinstance(schema, list):
        return [_raw(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name != "logicalType"}
    for name in ("type", "items", "values"):
        if name in kept:
            kept[name] = _raw(kept[name])
    if isinstance(kept.get("fields"), list):
        kept["fields"] = [_raw(field) for field in kept["fields"]]
    return kept


def _name(schema: Any, space: str, records: dict[str, Any]) -> None:
    """Note every named type with its namespace, by its full name."""
    if isinstance(schema, list):
        for item in schema:
            _name(item, space, records)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("name"), str) and schema.get("type") in ("record", "enum", "fixed"):
        full, space = _full_name(schema["name"], schema.get("namespace"), space)
        records[full] = (schema, space)
    for part in ("type", "items", "values"):
        _name(schema.get(part), space, records)
    for field in schema.get("fields") or ():
        _name(field.get("type"), space, records)


def _full_name(name: str, namespace: object, space: str) -> tuple[str, str]:
    if "." in name:
        return name, name.rpartition(".")[0]
    space = namespace if isinstance(namespace, str) else space
    return (f"{space}.{name}" if space else name), space


class _Declaring:
    """The declared types of a schema. Each named one is made once, since it may contain itself."""

    def __init__(self, records: Mapping[str, Any]) -> None:
        self._records = records
        self._known: dict[str, ColumnType] = {}

    def declared(self, schema: Any, space: str) -> ColumnType | None:
        if isinstance(schema, list):
            branches = [branch for branch in schema if branch not in ("null", {"type": "null"})]
            return one_of([self.declared(branch, space) for branch in branches])
        if isinstance(schema, str):
            if schema in _TYPES:
                return ColumnType(_TYPES[schema])
            known = self._records.get(f"{space}.{schema}") or self._records.get(schema)
            return self.declared(*known) if known else None
        kind = schema.get("type")
        if not isinstance(kind, str) or kind not in _TYPES:
            return self.declared(kind, space)
        name = None
        if "name" in schema:
            name, space = _full_name(schema["name"], schema.get("namespace"), space)
            if name in self._known:
                return self._known[name]
        return self._made(schema, kind, space, name)

    def _made(
        self, schema: Mapping[str, Any], kind: str, space: str, name: str | None
    ) -> ColumnType:
        inner = schema.get("items", schema.get("values"))
        fields: dict[str, ColumnType] = {}
        made = ColumnType(
            _TYPES[kind],
            _semantic(schema, kind),
            _parameters(schema),
            None if inner is None else self.declared(inner, space),
            fields,
        )
        if name is not None:
            self._known[name] = made
        for field in schema.get("fields") or ():
            found = self.declared(field["type"], space)
            if found is not None:
                fields[field["name"]] = found
        return made


def _semantic(schema: Mapping[str, Any], kind: str) -> str | None:
    name = schema.get("connect.name")
    if not isinstance(name, str):
        name = None if kind == "record" else _LOGICAL.get(str(schema.get("logicalType")))
    return name


def _parameters(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    given = schema.get("connect.parameters")
    found = dict(given) if isinstance(given, dict) else {}
    if schema.get("logicalType") == "decimal":
        found.setdefault("scale", str(schema.get("scale", 0)))
    return found


def _as_json(value: Any, declared: ColumnType | None) -> Any:
    """The value as Connect's JSON converter writes it: short floats, and text for what is not
    finite; bytes stay bytes.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return _short(value) if declared is not None and declared.type == "float32" else value
    if isinstance(value, dict):
        types, item = (declared.fields, declared.items) if declared is not None else ({}, None)
        return {name: _as_json(part, types.get(name, item)) for name, part in value.items()}
    if isinstance(value, list):
        item = declared.items if declared is not None else None
        return [_as_json(part, item) for part in value]
    return value


def _short(value: float) -> float:
    """The shortest number that is this float of 32 bits, as Java writes it."""
    packed = struct.pack("f", value)
    candidates = (float(f"{value:.{digits}g}") for digits in range(6, 9))
    return next((short for short in candidates if struct.pack("f", short) == packed), value)
