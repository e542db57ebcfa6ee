"""Records of a Schema Registry: the frame, Avro and JSON Schema as Connect writes them."""

from __future__ import annotations

import io
import json
import uuid
from functools import partial
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import RejectedError, SchemaNeededError
from nova_stream.events.change import Change, Entity, VersionKind
from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.decode import Decoder
from nova_stream.events.framing import (
    KEY_HEADER,
    VALUE_HEADER,
    FramedReader,
    RegisteredSchema,
    SchemaReference,
    framed,
    prepare,
    unknown_schema,
)
from tests.unit.events.helpers import DOCUMENTS, NOON, NOON_MS, Record, doc_of, dumps, rejected

TASKS, EXECUTIONS = Entity.TASKS, Entity.EXECUTIONS
GUID = uuid.UUID("140ed813-35e0-4174-97f4-ec66ce5947db")


class Known:
    """Schemas that are there already."""

    def __init__(self, schemas: dict[SchemaReference, RegisteredSchema]) -> None:
        self._schemas = schemas

    def known(self, reference: SchemaReference) -> FramedReader | None:
        found = self._schemas.get(reference)
        return None if found is None else prepare(found, reference)


def nullable(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": ["null", schema], "default": None, **more}


def typed(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "connect.version": 1, "connect.name": name, **more}


#: As Connect's Avro converter registers Debezium's envelope: the row's type is named once.
ROW = {
    "type": "record",
    "name": "Value",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "agent", **nullable("string")},
        {"name": "duration", **nullable(typed("long", "io.debezium.time.MicroDuration"))},
        {"name": "timestamp", **nullable(typed("long", "io.debezium.time.MicroTimestamp"))},
        {
            "name": "cost",
            **nullable(
                {
                    "type": "bytes",
                    "scale": 2,
                    "precision": 9,
                    "logicalType": "decimal",
                    "connect.name": "org.apache.kafka.connect.data.Decimal",
                    "connect.parameters": {"scale": "2"},
                }
            ),
        },
        {"name": "share", **nullable("float")},
    ],
    "connect.name": "app.public.executions.Value",
}
ENVELOPE = {
    "type": "record",
    "name": "Envelope",
    "namespace": "app.public.executions",
    "fields": [
        {"name": "before", **nullable(ROW)},
        {"name": "after", **nullable("Value")},
        {
            "name": "source",
            "type": {
                "type": "record",
                "name": "Source",
                "namespace": "io.debezium.connector.postgresql",
                "fields": [
                    {"name": "connector", "type": "string"},
                    {"name": "ts_ms", "type": "long"},
                    {"name": "lsn", **nullable("long")},
                ],
            },
        },
        {"name": "op", "type": "string"},
        {"name": "ts_ms", **nullable("long")},
    ],
}
KEY = {"type": "record", "name": "Key", "fields": [{"name": "id", "type": "string"}]}
DOCUMENT = {
    "id": "e-1",
    "agent": "ATLAS",
    "duration": 5_250_000,
    "timestamp": NOON_MS * 1000,
    "cost": b"\x01\x00",
    "share": 0.1,
}


def avro(schema: dict[str, Any], value: Any) -> bytes:
    stream = io.BytesIO()
    raw = json.loads(json.dumps(schema).replace('"logicalType"', '"x-logicalType"'))
    schemaless_writer(stream, parse_schema(raw), value)
    return stream.getvalue()


def frame(number: int, payload: bytes) -> bytes:
    return b"\x00" + number.to_bytes(4, "big") + payload


def avro_schema(schema: Any, **references: Any) -> RegisteredSchema:
    texts = {name: json.dumps(other) for name, other in references.items()}
    return RegisteredSchema("AVRO", json.dumps(schema), texts)


def decoded(
    entity: Entity,
    value: bytes | None,
    *,
    key: bytes | None = None,
    headers: Any = (),
    known: dict[SchemaReference, RegisteredSchema] | None = None,
    **schemas: RegisteredSchema,
) -> Change:
    """``n7`` is the schema 7."""
    numbered: dict[SchemaReference, RegisteredSchema] = {
        int(name[1:]): schema for name, schema in schemas.items()
    }
    decoder = Decoder(entity, schemas=Known({**numbered, **(known or {})}))
    change = decoder.decode(Record(value, key=key, headers=headers), 3)
    assert change is not None
    return change


def event(op: str = "u", after: Any = DOCUMENT, **fields: Any) -> dict[str, Any]:
    source = {"connector": "postgresql", "ts_ms": NOON_MS, "lsn": 77}
    return {"op": op, "before": None, "after": after, "source": source, "ts_ms": NOON_MS} | fields


def test_debeziums_avro_is_read_by_its_declared_types() -> None:
    change = decoded(EXECUTIONS, frame(7, avro(ENVELOPE, event())), n7=avro_schema(ENVELOPE))
    assert (change.kind, change.number, change.changed_at) == (VersionKind.LSN, 77, NOON)
    assert change.values == (None, "ATLAS", "5250", NOON)
    assert doc_of(change)["share"] == 0.1


def test_the_key_has_a_schema_of_its_own() -> None:
    given = event("d", None)
    change = decoded(
        EXECUTIONS,
        frame(7, avro(ENVELOPE, given)),
        key=frame(8, avro(KEY, {"id": "e-1"})),
        n7=avro_schema(ENVELOPE),
        n8=avro_schema(KEY),
    )
    assert (change.id, change.deleted) == ("e-1", True)


def test_a_flattened_row_in_avro_is_read_too() -> None:
    row = {**ROW, "fields": [*ROW["fields"], {"name": "__lsn", **nullable("long")}]}
    change = decoded(EXECUTIONS, frame(1, avro(row, DOCUMENT | {"__lsn": 5})), n1=avro_schema(row))
    assert (change.number, change.values[2], change.flattened) == (5, "5250", True)


def test_a_record_type_that_another_schema_defines_is_found() -> None:
    outer = {
        "type": "record",
        "name": "E",
        "fields": [
            {"name": "op", "type": "string"},
            {"name": "after", "type": "shared.Value"},
        ],
    }
    inner = {**ROW, "namespace": "shared"}
    both = {**outer, "fields": [outer["fields"][0], {"name": "after", "type": inner}]}
    payload = avro(both, {"op": "c", "after": DOCUMENT})
    schema = avro_schema(outer, **{"shared.Value": inner})
    assert decoded(EXECUTIONS, frame(1, payload), n1=schema).values[2] == "5250"


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        (
            {"type": "long", "logicalType": "timestamp-millis"},
            "org.apache.kafka.connect.data.Timestamp",
        ),
        ({"type": "long", "logicalType": "timestamp-micros"}, "io.debezium.time.MicroTimestamp"),
        ({"type": "long", "logicalType": "timestamp-nanos"}, "io.debezium.time.NanoTimestamp"),
        (
            {"type": "long", "logicalType": "local-timestamp-micros"},
            "io.debezium.time.MicroTimestamp",
        ),
        ({"type": "int", "logicalType": "date"}, "org.apache.kafka.connect.data.Date"),
        ({"type": "int", "logicalType": "time-millis"}, "org.apache.kafka.connect.data.Time"),
        ({"type": "long", "logicalType": "time-micros"}, "io.debezium.time.MicroTime"),
        ({"type": "string", "logicalType": "uuid"}, "io.debezium.data.Uuid"),
        (
            typed("long", "io.debezium.time.NanoTime", logicalType="timestamp-millis"),
            "io.debezium.time.NanoTime",
        ),
        ("long", None),
    ],
)
def test_avros_own_logical_types_declare_what_connects_names_do(
    schema: Any, name: str | None
) -> None:
    record = {"type": "record", "name": "R", "fields": [{"name": "x", **nullable(schema)}]}
    value = {"x": "a" if "string" in str(schema) else 1}
    found = prepare(avro_schema(record), 1)(avro(record, value), "$")
    assert found.content == value
    assert found.declared is not None
    assert found.declared.fields["x"].name == name


def test_a_decimal_keeps_its_bytes_and_declares_its_scale() -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3}
    record = {"type": "record", "name": "R", "fields": [{"name": "x", "type": decimal}]}
    found = prepare(avro_schema(record), 1)(avro(record, {"x": b"\x04\xd2"}), "$")
    assert found.content == {"x": b"\x04\xd2"}
    assert found.declared is not None
    assert found.declared.fields["x"] == ColumnType(
        "bytes", "org.apache.kafka.connect.data.Decimal", {"scale": "3"}
    )


def test_lists_maps_enums_and_nesting_are_declared() -> None:
    colour = {"type": "enum", "name": "Colour", "symbols": ["RED"]}
    record = {
        "type": "record",
        "name": "R",
        "namespace": "n",
        "fields": [
            {"name": "a", "type": {"type": "array", "items": "float"}},
            {"name": "m", "type": {"type": "map", "values": typed("int", "io.debezium.time.Date")}},
            {"name": "c", "type": colour},
            {"name": "d", "type": "Colour"},
            {"name": "next", **nullable("n.R")},
        ],
    }
    value = {"a": [0.1, float("nan")], "m": {"k": 1}, "c": "RED", "d": "RED", "next": None}
    found = prepare(avro_schema(record), 1)(avro(record, value), "$")
    assert found.content == value | {"a": [0.1, "NaN"]}
    fields = found.declared.fields if found.declared else {}
    assert fields["a"] == ColumnType("array", items=ColumnType("float32"))
    assert fields["m"].items == ColumnType("int32", "io.debezium.time.Date")
    assert fields["d"] == ColumnType("string")
    assert fields["next"].type == "struct"


# -- JSON Schema -----------------------------------------------------------------------------------

JSON_ROW = {
    "type": "object",
    "title": "app.public.executions.Value",
    "properties": {
        "id": {"type": "string", "connect.index": 0},
        "duration": {
            "oneOf": [
                {"type": "null"},
                {
                    "type": "integer",
                    "title": "io.debezium.time.MicroDuration",
                    "connect.version": 1,
                    "connect.type": "int64",
                },
            ],
            "connect.index": 1,
        },
        "cost": {
            "oneOf": [
                {"type": "null"},
                {
                    "type": "number",
                    "title": "org.apache.kafka.connect.data.Decimal",
                    "connect.type": "bytes",
                    "connect.parameters": {"scale": "2"},
                },
            ]
        },
    },
}


def json_schema(schema: Any, **references: Any) -> RegisteredSchema:
    texts = {name: json.dumps(other) for name, other in references.items()}
    return RegisteredSchema("JSON", json.dumps(schema), texts)


JSON_EVENT = {
    "op": "u",
    "after": {"id": "e-1", "duration": 5_250_000, "cost": "AQA="},
    "source": {"connector": "postgresql", "lsn": 77, "ts_ms": NOON_MS},
}


@pytest.mark.parametrize(
    "part",
    [
        JSON_ROW,
        {"oneOf": [{"type": "null"}, JSON_ROW]},
        {"$ref": "#/definitions/Value"},
        {"$ref": "row.json"},
    ],
)
def test_debeziums_json_schema_is_read_by_its_declared_types(part: dict[str, Any]) -> None:
    envelope = {
        "type": "object",
        "properties": {"after": part, "op": {"type": "string"}},
        "definitions": {"Value": JSON_ROW},
    }
    schema = json_schema(envelope, **{"row.json": JSON_ROW})
    change = decoded(EXECUTIONS, frame(9, dumps(JSON_EVENT)), n9=schema)
    assert (change.number, change.values[2]) == (77, "5250")


def test_a_schema_that_contains_itself_ends() -> None:
    schema = json_schema({"type": "object", "properties": {"after": {"$ref": "#"}}})
    found = prepare(schema, 1)(b'{"after": null}', "$")
    assert found.content == {"after": None}


def test_a_title_of_a_person_declares_nothing() -> None:
    schema = json_schema({"type": "object", "properties": {"x": {"type": "string", "title": "T"}}})
    found = prepare(schema, 1)(b"{}", "$")
    assert found.declared is not None
    assert found.declared.fields["x"] == ColumnType("string")


def test_the_schema_may_be_named_in_a_header() -> None:
    envelope = {"type": "object", "properties": {"after": JSON_ROW}}
    references: list[tuple[bytes, SchemaReference]] = [
        (b"\x01" + GUID.bytes, str(GUID)),
        (b"\x00\x00\x00\x00\x05", 5),
    ]
    for told, reference in references:
        change = decoded(
            EXECUTIONS,
            dumps(JSON_EVENT),
            headers=[("__value_schema_id", told)],
            known={reference: json_schema(envelope)},
        )
        assert change.values[2] == "5250"


def test_a_guid_may_stand_in_front() -> None:
    payload = b"\x01" + GUID.bytes + avro(ENVELOPE, event())
    assert decoded(EXECUTIONS, payload, known={str(GUID): avro_schema(ENVELOPE)}).number == 77


# -- what goes wrong -------------------------------------------------------------------------------


def test_without_a_registry_the_letter_names_the_framing_and_the_setting() -> None:
    error = rejected(lambda: Decoder(TASKS).decode(Record(frame(7, b"x")), 0))
    assert error.reason == "no_registry"
    assert "schema 7" in str(error)
    assert "NOVA_SCHEMA_REGISTRY_URL" in str(error)


def test_a_schema_that_is_not_there_yet_is_asked_for() -> None:
    decoder = Decoder(TASKS, schemas=Known({}))
    with pytest.raises(SchemaNeededError) as caught:
        decoder.decode(Record(frame(7, b"x")), 0)
    assert caught.value.reference == 7
    with pytest.raises(SchemaNeededError):
        decoder.read_tombstone(Record(None, key=frame(8, b"x")), 0)


def test_a_schema_that_the_registry_does_not_have_is_a_dead_letter() -> None:
    class Unknown:
        def known(self, reference: SchemaReference) -> FramedReader | None:
            raise unknown_schema(reference)

    for number, hint in ((7, "no schema 7"), (0, "8 bytes")):
        decoder = Decoder(TASKS, schemas=Unknown())
        error = rejected(partial(decoder.decode, Record(frame(number, b"x")), 0))
        assert error.reason == "unknown_schema"
        assert hint in str(error)


def test_protobuf_and_what_is_no_schema_are_named() -> None:
    for schema in (
        RegisteredSchema("PROTOBUF", 'syntax = "proto3";', {}),
        RegisteredSchema("AVRO", '{"type":"recor"}', {}),
        RegisteredSchema("JSON", "{", {}),
    ):
        error = rejected(partial(decoded, TASKS, frame(7, b"{}"), n7=schema))
        assert error.reason == "unsupported_schema"
        assert "schema 7" in str(error)


def test_bytes_that_do_not_fit_the_schema_are_told() -> None:
    whole = avro(ENVELOPE, event())
    for payload in (b"", whole[:-1], whole[:5], whole + b"\x00", b"\xff" * 40):
        error = rejected(partial(decoded, EXECUTIONS, frame(7, payload), n7=avro_schema(ENVELOPE)))
        assert error.reason == "bad_frame"


@given(st.binary(max_size=60))
def test_any_framed_bytes_give_a_change_or_a_rejection(payload: bytes) -> None:
    decoder = Decoder(
        EXECUTIONS, schemas=Known({7: avro_schema(ENVELOPE), 8: json_schema(JSON_ROW)})
    )
    for number in (7, 8):
        try:
            decoder.decode(Record(frame(number, payload), key=payload), 0)
        except RejectedError as error:
            assert error.reason != "undecodable"


@pytest.mark.parametrize("told", [b"", b"\x00", b"\x05abcd", b"\x00\x00\x00\x05", b"\x01abc"])
def test_a_header_that_names_no_schema_is_told(told: bytes) -> None:
    error = rejected(
        lambda: decoded(TASKS, dumps(DOCUMENTS[TASKS]), headers=[("__value_schema_id", told)])
    )
    assert error.reason == "bad_frame"


@pytest.mark.parametrize("kind", ("globalId", "contentId", "contentHash"))
def test_an_id_in_a_header_of_apicurios_is_told_with_the_settings_that_help(kind: str) -> None:
    headers = [(f"apicurio.value.{kind}", (7).to_bytes(8, "big"))]

    with pytest.raises(RejectedError) as refused:
        framed(b"\x00\x02\x08\x00\x00and so on", headers, VALUE_HEADER)

    assert refused.value.reason == "bad_frame"
    assert "apicurio.registry.headers.enabled=false" in str(refused.value)
    assert framed(b'{"op": "c"}', headers, VALUE_HEADER) is None
    assert framed(b"a key", headers, KEY_HEADER) is None


def test_plain_json_is_read_as_before_beside_a_registry() -> None:
    plain = dumps({"op": "c", "after": DOCUMENTS[TASKS], "source": {"seq": 5, "ts_ms": NOON_MS}})
    assert decoded(TASKS, plain, headers=[("ce_id", b"1")]).number == 5
