"""Every declared type, with the values that Debezium's and Connect's documentation give as
examples, means what its column says; where it cannot, the dead letter names type and column.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from nova_stream.events.change import Change, Entity
from nova_stream.events.column_types import FITTING, TYPES
from nova_stream.events.connect_schema import column_type
from nova_stream.events.documents import Kind

from .helpers import doc_of, document, dumps, envelope, read, rejected, wrapped

#: A column of each kind: its entity, its name, and the document's field.
COLUMNS: dict[Kind, tuple[Entity, str, str]] = {
    Kind.ID: (Entity.TASKS, "id", "id"),
    Kind.REFERENCE: (Entity.TASKS, "build_id", "buildId"),
    Kind.TEXT: (Entity.TASKS, "output", "output"),
    Kind.TIME: (Entity.USERS, "last_active_at", "lastActiveAt"),
    Kind.NUMBER: (Entity.TASKS, "attempts", "attempts"),
    Kind.DURATION: (Entity.EXECUTIONS, "duration", "duration"),
    Kind.FLAG: (Entity.EXECUTIONS, "gates_passed", "gatesPassed"),
    Kind.LIST: (Entity.TASKS, "dependencies", "dependencies"),
    Kind.JSON: (Entity.AGENTS, "gates", "gates"),
    Kind.ANY: (Entity.AGENTS, "system_prompt", "systemPrompt"),
}
TIME, DATA = "io.debezium.time.", "io.debezium.data."
CONNECT, GEOMETRY = "org.apache.kafka.connect.data.", "io.debezium.data.geometry."


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def instant(text: str) -> dict[Kind, Any]:
    return {Kind.TIME: text, Kind.JSON: text, Kind.ANY: text}


def length(millis: float) -> dict[Kind, Any]:
    return {Kind.DURATION: millis, Kind.JSON: millis, Kind.ANY: millis}


def whole(number: int, **more: Any) -> dict[Kind, Any]:
    return {
        Kind.ID: str(number),
        Kind.REFERENCE: str(number),
        Kind.NUMBER: number,
        Kind.DURATION: number,
        Kind.JSON: number,
        Kind.ANY: number,
    } | {Kind(kind): value for kind, value in more.items()}


def text(value: str, **more: Any) -> dict[Kind, Any]:
    kinds = (Kind.ID, Kind.REFERENCE, Kind.TEXT, Kind.JSON, Kind.ANY)
    return dict.fromkeys(kinds, value) | {Kind(kind): given for kind, given in more.items()}


def thing(value: Any, **more: Any) -> dict[Kind, Any]:
    return {Kind.JSON: value, Kind.ANY: value} | {Kind(kind): given for kind, given in more.items()}


POINT = {"x": 1.0, "y": 2.0, "wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": None}
WKB = {"wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": 4326}

#: Type, value as the JSON converter writes it, more of its schema, and what it means to whom:
#: every kind that is not named must refuse it.
EXAMPLES: list[tuple[str, Any, dict[str, Any], dict[Kind, Any]]] = [
    (f"{TIME}Date", 20504, {}, instant("2026-02-20T00:00:00.000Z")),
    (f"{TIME}Date", -719162, {}, instant("0001-01-01T00:00:00.000Z")),
    (f"{TIME}Timestamp", 1529507596945, {}, instant("2018-06-20T15:13:16.945Z")),
    (f"{TIME}MicroTimestamp", 1529507596945104, {}, instant("2018-06-20T15:13:16.945Z")),
    (f"{TIME}NanoTimestamp", 1529507596945104000, {}, instant("2018-06-20T15:13:16.945Z")),
    (
        f"{TIME}ZonedTimestamp",
        "2011-12-03T10:15:30.030431+01:00",
        {},
        instant("2011-12-03T09:15:30.030Z"),
    ),
    (f"{TIME}IsoDate", "2017-09-15Z", {}, instant("2017-09-15T00:00:00.000Z")),
    (f"{TIME}IsoTimestamp", "2019-07-09T02:28:57.123456Z", {}, instant("2019-07-09T02:28:57.123Z")),
    (
        f"{TIME}StructuredDate",
        {"year": 2026, "month": 2, "day": 20, "specialValue": None},
        {},
        instant("2026-02-20T00:00:00.000Z"),
    ),
    (
        f"{TIME}StructuredTimestamp",
        {
            "year": 2026,
            "month": 2,
            "day": 20,
            "hour": 23,
            "minute": 59,
            "second": 59,
            "nanos": 999_999_000,
            "specialValue": None,
            "precision": 6,
        },
        {},
        instant("2026-02-20T23:59:59.999Z"),
    ),
    (
        f"{TIME}StructuredZonedTimestamp",
        {
            "year": 2026,
            "month": 2,
            "day": 20,
            "hour": 1,
            "minute": 0,
            "second": 0,
            "nanos": 0,
            "offsetSeconds": 7200,
            "zoneId": None,
            "specialValue": None,
            "precision": 6,
        },
        {},
        instant("2026-02-19T23:00:00.000Z"),
    ),
    (f"{TIME}Time", 14711789, {}, length(14711789)),
    (f"{TIME}MicroTime", 929000, {}, length(929)),
    (f"{TIME}MicroTime", 86_400_000_000, {}, length(86_400_000)),
    (f"{TIME}NanoTime", 929000001, {}, length(929.000001)),
    (f"{TIME}ZonedTime", "07:15:00.00046Z", {}, length(26_100_000.46)),
    (f"{TIME}IsoTime", "04:05:11.789Z", {}, length(14_711_789)),
    (
        f"{TIME}StructuredTime",
        {"hour": 4, "minute": 5, "second": 11, "nanos": 789_000_000, "precision": 3},
        {},
        length(14_711_789),
    ),
    (
        f"{TIME}StructuredZonedTime",
        {"hour": 24, "minute": 0, "second": 0, "nanos": 0, "offsetSeconds": 0},
        {},
        length(86_400_000),
    ),
    (f"{TIME}MicroDuration", 5_250_000, {}, length(5250)),
    (f"{TIME}MicroDuration", 1_234, {}, length(1.234)),
    (f"{TIME}NanoDuration", 929_000_000, {}, length(929)),
    (f"{TIME}Interval", "P0Y0M0DT0H0M5.25S", {}, length(5250)),
    (f"{TIME}Interval", "P0Y0M3DT4H5M6.78S", {}, length(273_906_780)),
    (f"{TIME}Interval", "P0Y0M1DT-23H-59M-59.5S", {}, length(500)),
    (f"{TIME}Interval", "P0Y0M0DT0H0M1.121999999S", {}, length(1122)),
    (f"{TIME}Interval", "P0Y0M0DT1H0M-0.121999999S", {}, length(3_599_878)),
    (
        f"{TIME}StructuredDuration",
        {
            "years": 0,
            "months": 0,
            "days": 3,
            "hours": 4,
            "minutes": 5,
            "seconds": 6,
            "nanos": 789_000_000,
            "precision": 3,
        },
        {},
        length(273_906_789),
    ),
    (
        f"{TIME}Year",
        2026,
        {},
        {kind: value for kind, value in whole(2026).items() if kind is not Kind.DURATION},
    ),
    (f"{CONNECT}Date", 20504, {}, instant("2026-02-20T00:00:00.000Z")),
    (f"{CONNECT}Time", 929, {}, length(929)),
    (f"{CONNECT}Timestamp", 86_400_000, {}, instant("1970-01-02T00:00:00.000Z")),
    (
        f"{CONNECT}Decimal",
        b64((1771588800).to_bytes(4, "big")),
        {"parameters": {"scale": "0"}},
        whole(1771588800, time="2026-02-20T12:00:00.000Z"),
    ),
    (f"{CONNECT}Decimal", "AQ==", {"parameters": {"scale": "0"}}, whole(1, flag=True)),
    (f"{CONNECT}Decimal", "ZA==", {"parameters": {"scale": "2"}}, whole(1, flag=True)),
    (
        f"{CONNECT}Decimal",
        "AJY=",
        {"parameters": {"scale": "2"}},
        {Kind.NUMBER: 1.5, Kind.DURATION: 1.5, Kind.JSON: 1.5, Kind.ANY: 1.5},
    ),
    (f"{CONNECT}Decimal", 4, {"parameters": {"scale": "0"}}, whole(4)),
    (
        f"{CONNECT}Decimal",
        "/w==",
        {"parameters": {"scale": "0"}},
        {kind: value for kind, value in whole(-1).items() if kind is not Kind.DURATION},
    ),
    (
        f"{DATA}VariableScaleDecimal",
        {"scale": 0, "value": "/tQ="},
        {},
        {kind: value for kind, value in whole(-300).items() if kind is not Kind.DURATION},
    ),
    (f"{DATA}VariableScaleDecimal", {"scale": 0, "value": "Kg=="}, {}, whole(42)),
    (f"{DATA}VariableScaleDecimal", {"scale": -2, "value": "BA=="}, {}, whole(400)),
    (f"{DATA}Json", '{"key": "val"}', {}, thing({"key": "val"}, text='{"key": "val"}')),
    (f"{DATA}Json", '["a", 1]', {}, thing(["a", 1], text='["a", 1]', list=["a", 1])),
    (f"{DATA}Json", '"scalar"', {}, thing("scalar", text='"scalar"')),
    (f"{DATA}Xml", "<a>1</a>", {}, text("<a>1</a>")),
    (
        f"{DATA}Uuid",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        {},
        text("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ),
    (f"{DATA}Ltree", "Top.Science", {}, text("Top.Science")),
    (f"{DATA}Tsvector", "'fat':2", {}, text("'fat':2")),
    (f"{DATA}Enum", "small", {"parameters": {"allowed": "small,large"}}, text("small")),
    (
        f"{DATA}EnumSet",
        "a,b",
        {"parameters": {"allowed": "a,b,c"}},
        thing("a,b", text="a,b", list=["a", "b"]),
    ),
    (f"{DATA}EnumSet", "", {"parameters": {"allowed": "a,b,c"}}, thing("", text="", list=[])),
    (f"{DATA}Bits", "Aw==", {"parameters": {"length": "2"}}, {}),
    (
        f"{DATA}DoubleVector",
        [1.5, 2.5],
        {"items": {"type": "double"}},
        thing([1.5, 2.5], list=[1.5, 2.5]),
    ),
    (f"{DATA}FloatVector", [1.5], {"items": {"type": "float"}}, thing([1.5], list=[1.5])),
    (
        f"{DATA}SparseDoubleVector",
        {"dimensions": 5, "vector": {"1": 2.0}},
        {},
        thing({"dimensions": 5, "vector": {"1": 2.0}}),
    ),
    (
        f"{DATA}SparseVector",
        {"dimensions": 5, "vector": {"1": 2.0}},
        {},
        thing({"dimensions": 5, "vector": {"1": 2.0}}),
    ),
    (f"{GEOMETRY}Point", POINT, {}, thing(POINT)),
    (f"{GEOMETRY}Geometry", WKB, {}, thing(WKB)),
    (f"{GEOMETRY}Geography", WKB, {}, thing(WKB)),
    (
        f"{GEOMETRY}Circle",
        {"center": POINT, "radius": 2.0},
        {},
        thing({"center": POINT, "radius": 2.0}),
    ),
    (f"{GEOMETRY}Line", {"a": 1.0, "b": 2.0, "c": 3.0}, {}, thing({"a": 1.0, "b": 2.0, "c": 3.0})),
    ("int8", 1, {}, whole(1, flag=True)),
    ("int16", 1, {}, whole(1, flag=True)),
    ("int32", 1771588800, {}, whole(1771588800, time="2026-02-20T12:00:00.000Z")),
    ("int64", 1771588800000, {}, whole(1771588800000, time="2026-02-20T12:00:00.000Z")),
    ("float32", 1.5, {}, {Kind.NUMBER: 1.5, Kind.DURATION: 1.5, Kind.JSON: 1.5, Kind.ANY: 1.5}),
    (
        "float64",
        4.0,
        {},
        {kind: value if isinstance(value, str) else 4.0 for kind, value in whole(4).items()},
    ),
    ("boolean", True, {}, thing(True, flag=True)),
    ("string", "words", {}, text("words")),
    (
        "string",
        "2026-02-20 12:00:00+00",
        {},
        text("2026-02-20 12:00:00+00", time="2026-02-20T12:00:00.000Z"),
    ),
    ("string", "1", {}, text("1", number=1, duration=1, flag=True)),
    ("string", '["a"]', {}, text('["a"]', list=["a"]) | thing(["a"]) | {Kind.ANY: '["a"]'}),
    ("bytes", "aGVsbG8=", {}, {}),
    (
        "array",
        ["t-0", None],
        {"items": {"type": "string"}},
        thing(["t-0", None], list=["t-0", None]),
    ),
    (
        "array",
        ["Kg=="],
        {"items": {"type": "bytes", "name": f"{CONNECT}Decimal", "parameters": {"scale": "0"}}},
        thing([42], list=[42]),
    ),
    (
        "array",
        [20504],
        {"items": {"type": "int32", "name": f"{TIME}Date"}},
        thing(["2026-02-20T00:00:00.000Z"], list=["2026-02-20T00:00:00.000Z"]),
    ),
    ("array", ["aGVsbG8="], {"items": {"type": "bytes"}}, {}),
    (
        "map",
        {"key": "val"},
        {"keys": {"type": "string"}, "values": {"type": "string"}},
        thing({"key": "val"}),
    ),
    ("struct", {"a": 1}, {"fields": [{"field": "a", "type": "int32"}]}, thing({"a": 1})),
]


def schema_of(name: str, more: dict[str, Any]) -> dict[str, Any]:
    known = TYPES[name]
    names = {} if known.name == known.carried_as else {"name": name, "version": 1}
    carried_as = {"float32": "float", "float64": "double"}.get(known.carried_as, known.carried_as)
    return {"type": carried_as, **names, **more}


def names_both(message: str, name: str, column: str) -> bool:
    return column in message and name in message


@pytest.mark.parametrize(("converters", "ours"), [("float", "float32"), ("double", "float64")])
def test_the_json_converters_names_of_floats_are_connects(converters: str, ours: str) -> None:
    for name in (converters, ours):
        found = column_type({"type": "array", "items": {"type": name}})
        assert found is not None
        assert found.items == column_type(ours)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(("name", "value", "more", "expected"), EXAMPLES)
def test_a_value_means_what_its_type_says_or_is_a_dead_letter(
    name: str, value: Any, more: dict[str, Any], expected: dict[Kind, Any], kind: Kind
) -> None:
    entity, column, field = COLUMNS[kind]
    row = {**document(entity), column: value}
    row.pop(field, None) if field != column else None
    record = wrapped(envelope(row), **{column: schema_of(name, more)})
    if kind not in expected:
        error = rejected(lambda: read(entity, record))
        assert names_both(str(error), name, column), str(error)
    else:
        change = read(entity, record)
        found = change.id if kind is Kind.ID else doc_of(change)[field]
        assert found == expected[kind]
        assert type(found) is type(expected[kind])


def test_every_type_of_the_table_has_an_example() -> None:
    assert {name for name, *_ in EXAMPLES} == set(TYPES)
    assert set(FITTING) == set(Kind) == set(COLUMNS)


@pytest.mark.parametrize(("name", "value", "more", "expected"), EXAMPLES)
def test_the_key_and_the_row_before_are_read_by_the_same_types(
    name: str, value: Any, more: dict[str, Any], expected: dict[Kind, Any]
) -> None:
    schema = schema_of(name, more)
    deletion = envelope(None, "d", before={"id": value})
    of_key = {"type": "struct", "fields": [{"field": "id", **schema}]}
    ways: list[Callable[[], Change]] = [
        lambda: read(Entity.TASKS, wrapped(deletion, id=schema)),
        lambda: read(Entity.TASKS, deletion | {"before": None}, key=key(of_key, {"id": value})),
        lambda: read(
            Entity.TASKS, wrapped(deletion | {"before": None}, id=schema), key=dumps({"id": value})
        ),
    ]
    if not (isinstance(value, dict) and "id" in value):
        ways.append(lambda: read(Entity.TASKS, deletion | {"before": None}, key=key(schema, value)))
    for way in ways:
        if Kind.ID in expected:
            assert way().id == expected[Kind.ID]
        else:
            rejected(way)


def key(schema: dict[str, Any], payload: Any) -> bytes:
    return dumps({"schema": schema, "payload": payload})


@pytest.mark.parametrize("name", [f"{CONNECT}Decimal", f"{TIME}MicroTimestamp", "bytes"])
def test_a_key_of_plain_text_is_its_text_whatever_the_rows_id_is_declared_to_be(name: str) -> None:
    deletion = wrapped(envelope(None, "d", before=None), id=schema_of(name, {}))
    for text_of_key in (b"1234", b"AQ==", b"t-1"):
        assert read(Entity.TASKS, deletion, key=text_of_key).id == text_of_key.decode()
