"""What a column of each of Postgres' types means for each kind of field."""

from __future__ import annotations

import asyncpg
import pytest

from nova_stream.events.documents import Kind
from nova_stream.source_audit.plain import loose_text
from nova_stream.source_audit.sql import ColumnType, plain_sql

pytestmark = pytest.mark.integration

_Case = tuple[str, str, str | None]
_NOON = "2026-02-20T12:00:00.000Z"
_TIMES: list[_Case] = [
    ("timestamptz", "'2026-02-20 13:00:00.123999+01'", "2026-02-20T12:00:00.123Z"),
    ("timestamptz", "'1969-12-31 23:59:59.999999Z'", "1969-12-31T23:59:59.999Z"),
    ("timestamptz", "'infinity'", None),
    ("timestamptz", "'-infinity'", None),
    ("timestamptz", "'10000-01-01Z'", None),
    ("timestamptz", "'0044-03-15 BC'", None),
    ("timestamp", "'2026-02-20 12:00:00.5'", "2026-02-20T12:00:00.500Z"),
    ("timestamp", "'infinity'", None),
    ("date", "'2026-02-20'", "2026-02-20T00:00:00.000Z"),
    ("date", "'infinity'", None),
    ("date", "'0001-01-01'", "0001-01-01T00:00:00.000Z"),
    ("int8", "1771588800000", _NOON),
    ("int8", "1771588800", _NOON),
    ("int8", "1771588800000000", _NOON),
    ("numeric", "1771588800.5", "2026-02-20T12:00:00.500Z"),
    ("float8", "1771588800123", "2026-02-20T12:00:00.123Z"),
    ("text", "'2026-02-20T14:00:00+02:00'", _NOON),
    ("text", "'2026-02-20 12:00:00'", _NOON),
    ("text", "'1771588800000'", _NOON),
    ("text", "'infinity'", None),
    ("text", "'soon'", "soon"),
]
_LENGTHS: list[_Case] = [
    ("int4", "1500", "1500"),
    ("numeric", "1500.2500", "1500.25"),
    ("numeric", "0.000", "0"),
    ("numeric", "'NaN'", None),
    ("float8", "0.1", "0.1"),
    ("float8", "123456789.123456789", "123456789.12345679"),
    ("float8", "1e20", "100000000000000000000"),
    ("float8", "'Infinity'", None),
    ("float4", "0.1", "0.1"),
    ("money", "'12.30'", "12.3"),
    ("interval", "'5.25 s'", "5250"),
    ("interval", "'1 day 00:00:01.000001'", "86401000.001"),
    ("interval", "'1 year 1 mon'", "34187400000"),
    ("interval", "'infinity'", None),
    ("time", "'00:00:05.25'", "5250"),
    ("time", "'24:00:00'", "86400000"),
    ("timetz", "'01:00:05.25+02'", "82805250"),
    ("text", "'1500.50'", "1500.5"),
    ("text", "'P0Y0M0DT0H0M5.25S'", "5250"),
    ("text", "'long'", "long"),
]
_FLAGS: list[_Case] = [
    ("bool", "true", "true"),
    ("bool", "false", "false"),
    ("int2", "1", "true"),
    ("numeric", "0.0", "false"),
    ("bit(1)", "'1'", "true"),
    ("float8", "1", "true"),
    ("text", "'0'", "false"),
    ("text", "'true'", "true"),
    ("int4", "2", "2"),
]
_IDS: list[_Case] = [
    ("text", "'Ä '", "Ä "),
    ("varchar", "'x'", "x"),
    ("char(5)", "'x'", "x    "),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("int8", "9223372036854775807", "9223372036854775807"),
    ("numeric", "18446744073709551615", "18446744073709551615"),
    ("numeric(20,4)", "7", "7"),
    ("numeric", "1.5", "1.5"),
    ("float8", "1e15", "1000000000000000"),
]
_TEXTS: list[_Case] = [
    ("text", "''", ""),
    ("char(5)", "'x'", "x"),
    ("varchar", "' x '", " x "),
    ("json", """'{"b": 1,  "a": 2}'""", '{"b": 1,  "a": 2}'),
    ("inet", "'10.0.0.1'", "10.0.0.1/32"),
]
_LISTS: list[_Case] = [
    ("text[]", "'{a,b}'", '["a","b"]'),
    (
        "uuid[]",
        "'{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'",
        '["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]',
    ),
    ("int8[]", "'{1,NULL}'", "[1,null]"),
    ("numeric[]", "'{1.50}'", "[1.5]"),
    ("jsonb", """'["a", {"b": 1.0}]'""", '["a",{"b":1}]'),
    ("json", """'["a",  "b"]'""", '["a","b"]'),
    ("text", """'["a", "b"]'""", '["a","b"]'),
    ("jsonb", "'null'", None),
]
_ANY: list[_Case] = [
    ("jsonb", """'{"b": [1.0], "a": null}'""", '{"a":null,"b":[1]}'),
    ("text", """'{"b": 1}'""", '{"b":1}'),
    ("text", "'hello'", '"hello"'),
    ("text[]", "'{a}'", '["a"]'),
]
_BY_KIND: dict[Kind, list[_Case]] = {
    Kind.TIME: _TIMES,
    Kind.DURATION: _LENGTHS,
    Kind.NUMBER: _LENGTHS[:4],
    Kind.FLAG: _FLAGS,
    Kind.ID: _IDS,
    Kind.TEXT: _TEXTS,
    Kind.LIST: _LISTS,
    Kind.JSON: _ANY,
}
_CASES = [(kind, *case) for kind, cases in _BY_KIND.items() for case in cases]


@pytest.mark.parametrize(("kind", "type_", "literal", "wanted"), _CASES)
async def test_a_value_has_the_meaning_of_its_type(
    nova_postgres: str, kind: Kind, type_: str, literal: str, wanted: str | None
) -> None:
    name = {"char(5)": "bpchar", "bit(1)": "bit"}.get(type_, type_.partition("(")[0])
    text = plain_sql(kind, '"v"', ColumnType(name.removesuffix("[]"), name.endswith("[]")))
    connection = await asyncpg.connect(nova_postgres, server_settings={"timezone": "UTC"})
    try:
        cast = f"{literal}::{type_}"
        found = await connection.fetchval(f"SELECT {text.sql} FROM (SELECT {cast} AS v) AS t")
        nothing = await connection.fetchval(f"SELECT {text.sql} FROM (SELECT null::{type_} AS v) t")
    finally:
        await connection.close()
    # A list in JSON is compared as text by SQL: here it is only brought into one form.
    loose = text.loose or kind is Kind.LIST
    assert (loose_text(kind, found) if loose else found) == wanted
    assert nothing is None
