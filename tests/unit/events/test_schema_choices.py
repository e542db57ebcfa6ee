"""Schemas that leave a column's type to the value, remark on it, refer to it, or contain
themselves.
"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from nova_stream.events.change import Change, Entity
from nova_stream.events.decode import Decoder
from nova_stream.events.framing import FramedReader, RegisteredSchema, SchemaReference, prepare

from .helpers import NOON, NOON_MS, Record, dumps, rejected

#: A type of Avro with its unit: the field that has it, a value, and what it means.
UNITS: dict[str, tuple[Any, str, Any, Any]] = {
    "interval in us": (
        {"type": "long", "connect.name": "io.debezium.time.MicroDuration"},
        "duration",
        1_500_000,
        "1500",
    ),
    "time in us": ({"type": "long", "logicalType": "time-micros"}, "duration", 1_500_000, "1500"),
    "date": (
        {"type": "int", "logicalType": "date"},
        "timestamp",
        NOON_MS // 86_400_000,
        NOON.date(),
    ),
}
AVRO_FORMS = {
    "alone": lambda unit: unit,
    "null first": lambda unit: ["null", unit],
    "null last, as an object": lambda unit: [unit, {"type": "null"}],
    "or text": lambda unit: ["null", unit, "string"],
    "text first": lambda unit: ["string", unit],
    "or a flag": lambda unit: ["null", "boolean", unit],
}
JSON_FORMS = {
    "alone": lambda unit: unit,
    "nullable": lambda unit: {"oneOf": [{"type": "null"}, unit]},
    "or text": lambda unit: {"oneOf": [{"type": "null"}, unit, {"type": "string"}]},
    "any of": lambda unit: {"anyOf": [unit, {"type": "boolean"}]},
    "with a remark": lambda unit: {"allOf": [unit, {"description": "how long it took"}]},
    "referred to": lambda _: {"$ref": "#/definitions/Unit"},
    "referred to, with a remark": lambda _: {
        "allOf": [{"$ref": "#/definitions/Unit"}, {"description": "how long it took"}]
    },
}


class Known:
    def __init__(self, schema: RegisteredSchema) -> None:
        self._reader = prepare(schema, 1)

    def known(self, _: SchemaReference) -> FramedReader:
        return self._reader


def decoded(kind: str, schema: Any, payload: bytes) -> Change:
    known = Known(RegisteredSchema(kind, json.dumps(schema), {}))
    record = Record(b"\x00\x00\x00\x00\x01" + payload)
    change = Decoder(Entity.EXECUTIONS, schemas=known).decode(record, 0)
    assert change is not None
    return change


def of_avro(schema: Any, document: Any) -> Change:
    stream = io.BytesIO()
    schemaless_writer(stream, parse_schema(json.loads(json.dumps(schema))), document)
    return decoded("AVRO", schema, stream.getvalue())


def record_of(name: str = "Value", **types: Any) -> dict[str, Any]:
    fields = [{"name": field, "type": type_} for field, type_ in types.items()]
    return {"type": "record", "name": name, "fields": fields}


def object_of(**types: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"id": {"type": "string"}, **types}}


def as_json_schema(unit: dict[str, Any]) -> dict[str, Any]:
    names = {
        "date": "org.apache.kafka.connect.data.Date",
        "time-micros": "io.debezium.time.MicroTime",
    }
    title = unit.get("connect.name") or names[unit["logicalType"]]
    return {
        "type": "integer",
        "title": title,
        "connect.type": {"int": "int32", "long": "int64"}[unit["type"]],
    }


def meaning_of(change: Change, field: str) -> Any:
    """The column of a field; of a time its day."""
    duration, timestamp = change.values[2:]
    return duration if field == "duration" else timestamp.date()


@pytest.mark.parametrize("form", AVRO_FORMS.values(), ids=AVRO_FORMS)
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_a_unit_counts_in_a_union_of_avro(unit: Any, form: Any) -> None:
    declared, field, value, meaning = unit
    change = of_avro(record_of(id="string", **{field: form(declared)}), {"id": "e", field: value})
    assert meaning_of(change, field) == meaning


@pytest.mark.parametrize("form", JSON_FORMS.values(), ids=JSON_FORMS)
@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
def test_a_unit_counts_in_a_choice_of_json_schema(unit: Any, form: Any) -> None:
    declared, field, value, meaning = unit
    declared = as_json_schema(declared)
    schema = object_of(**{field: form(declared)}) | {"definitions": {"Unit": declared}}
    change = decoded("JSON", schema, dumps({"id": "e", field: value}))
    assert meaning_of(change, field) == meaning


def test_what_a_value_cannot_tell_is_refused_where_the_unit_matters() -> None:
    two = [{"type": "int", "logicalType": "time-millis"}, UNITS["time in us"][0]]
    schema = record_of(id="string", duration=["null", *two])
    error = rejected(lambda: of_avro(schema, {"id": "e", "duration": 3_000_000_000}))
    assert error.reason == "wrong_type"
    assert "its unit is not" in str(error)


@pytest.mark.parametrize("value", [1500, 1500.0])
def test_plain_types_beside_each_other_say_nothing(value: float) -> None:
    schema = record_of(id="string", duration=["null", "string", "long", "double"])
    change = of_avro(schema, {"id": "e", "duration": value})
    assert float(change.values[2]) == 1500


def test_the_units_of_each_row_of_a_union_count() -> None:
    micros = UNITS["time in us"][0]
    one = record_of("One", id="string", agent="string", duration=micros)
    other = record_of("Other", id="string", model="string", duration=["null", micros])
    schema = record_of("Envelope", op="string", before=["null", one], after=["null", "One", other])
    after = {"id": "e", "model": "m", "duration": 1_500_000}
    change = of_avro(schema, {"op": "c", "before": None, "after": after})
    assert change.values[2] == "1500"


def test_a_schema_of_avro_that_contains_itself_is_read() -> None:
    """In so many places that to follow them to any depth would take for ever."""
    names = [f"part{number}" for number in range(8)]
    parts: dict[str, Any] = {name: ["null", "Value"] for name in names}
    schema = record_of(id="string", duration=UNITS["time in us"][0], **parts)
    leaf = {"id": "x", "duration": 1, **dict.fromkeys(names)}
    change = of_avro(schema, {**leaf, "id": "e", "duration": 1_500_000, "part3": leaf})
    assert (change.id, change.values[2]) == ("e", "1500")


def test_a_json_schema_that_contains_itself_is_read() -> None:
    part = {"oneOf": [{"type": "null"}, {"$ref": "#"}, {"type": "string"}]}
    parts: dict[str, Any] = {f"part{number}": part for number in range(8)}
    loop = {"$ref": "#/definitions/Loop"}
    schema = object_of(duration=as_json_schema(UNITS["time in us"][0]), loop=loop, **parts)
    schema["definitions"] = {"Loop": {"anyOf": [loop, loop]}}
    change = decoded("JSON", schema, dumps({"id": "e", "duration": 1_500_000, "part1": "x"}))
    assert (change.id, change.values[2]) == ("e", "1500")


@pytest.mark.parametrize("reference", ["#/definitions/Missing", "missing.json", "missing.json#/a"])
def test_a_reference_that_leads_nowhere_is_told(reference: str) -> None:
    schema = object_of(duration={"$ref": reference})
    error = rejected(lambda: decoded("JSON", schema, dumps({"id": "e", "duration": 1})))
    assert error.reason == "unsupported_schema"
    assert reference in str(error)
