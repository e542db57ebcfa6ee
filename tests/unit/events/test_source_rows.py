"""From the source's row to the row here: what the source's database says, the row says, or the
record is a dead letter; never silently another value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import event, given, settings
from hypothesis import strategies as st

from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity
from nova_stream.events.documents import COLUMN_NAMES, RULES, Kind
from tests.decoding import decode

from .connector import (
    DECIMAL_MODES,
    EPOCH,
    INTERVAL_MODES,
    TEMPORAL_MODES,
    Column,
    Modes,
    written,
)
from .helpers import DOCUMENTS, Record, doc_of, envelope
from .source_reading import FITTING, NUMBERS, UnfitError, meant

#: Where nova-stream's field is a column of another name.
NAMES = {
    entity: {field: column for column, field in columns.items()}
    for entity, columns in COLUMN_NAMES.items()
}
MODES = st.builds(
    Modes,
    st.sampled_from(TEMPORAL_MODES),
    st.sampled_from(DECIMAL_MODES),
    st.sampled_from(INTERVAL_MODES),
    st.booleans(),
)

WORDS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20)
JSON_DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
#: Between these years every epoch that needs no type is told by its size.
INSTANTS = st.integers(102 * 10**12, 92 * 10**14).map(lambda us: EPOCH + timedelta(microseconds=us))
ANY_INSTANT = st.datetimes(timezones=st.just(UTC))


def cut(micros: int, precision: int) -> int:
    step: int = 10 ** (6 - precision)
    return micros // step * step


def moments(precision: int, instants: st.SearchStrategy[datetime]) -> st.SearchStrategy[datetime]:
    return instants.map(lambda m: m.replace(microsecond=cut(m.microsecond, precision)))


@st.composite
def decimals(draw: st.DrawFn, scale: int | None) -> Decimal:
    places = draw(st.integers(0, 6)) if scale is None else scale
    digits = draw(st.integers(-(10**15), 10**15) | st.integers(0, 300))
    return Decimal(digits).scaleb(-places)


@st.composite
def cells(draw: st.DrawFn, modes: Modes, typed: bool, field: Kind) -> tuple[Column, Any]:
    """A column of the source and its value there: mostly one that stands for the field."""
    fits = draw(st.integers(0, 9)) < 9
    kind = draw(st.sampled_from(FITTING[field] if fits else sorted(VALUES)))
    scale: int | None = None
    if kind in {"timestamp", "timestamptz", "time"}:
        scale = draw(st.integers(0, 6))
    elif kind in {"numeric", "numeric[]"}:
        scale = draw(st.sampled_from([None, 0, 0, 2, 5]))
    wide = typed and modes.temporal != "nanoseconds"
    return Column(kind, scale), draw(VALUES[kind](scale, wide))


VALUES: dict[str, Any] = {
    "timestamp": lambda p, wide: moments(p, ANY_INSTANT if wide else INSTANTS),
    "timestamptz": lambda p, wide: moments(p, ANY_INSTANT if wide else INSTANTS),
    "date": lambda _, __: st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "time": lambda p, _: st.times().map(lambda t: t.replace(microsecond=cut(t.microsecond, p))),
    "interval": lambda _, __: st.timedeltas(timedelta(days=-2), timedelta(days=4000)),
    "numeric": lambda scale, _: decimals(scale),
    "smallint": lambda _, __: st.integers(0, 3) | st.integers(-(2**15), 2**15 - 1),
    "integer": lambda _, __: st.integers(-(2**31), 2**31 - 1),
    "bigint": lambda _, __: st.integers(0, 10**18),
    "double": lambda _, __: st.floats(-1e15, 1e15) | st.integers(0, 2**53).map(float),
    "boolean": lambda _, __: st.booleans(),
    "text": lambda _, __: WORDS | st.sampled_from(["1", "0", "2026-02-20 12:00:00+01", '["a"]']),
    "uuid": lambda _, __: st.uuids().map(str),
    "enum": lambda _, __: st.sampled_from(["small", "done", "completed", "1"]),
    "json": lambda _, __: JSON_DOCUMENTS.map(json.dumps),
    "xml": lambda _, __: WORDS.map(lambda text: f"<a>{text}</a>"),
    "text[]": lambda _, __: st.lists(WORDS | st.none(), max_size=4),
    "numeric[]": lambda scale, _: st.lists(decimals(scale), max_size=3),
    "bytea": lambda _, __: st.binary(max_size=20),
}


def cannot_be_told(kind: Kind, column: Column, value: Any, modes: Modes) -> bool:
    """What docs/source-types.md says nobody can tell without types."""
    precise = modes.decimal == "precise" and not modes.numeric_json and column.scale is not None
    if column.type in {"numeric", "numeric[]"} and precise:
        return kind not in {Kind.NUMBER, Kind.DURATION, Kind.FLAG, Kind.TIME}
    if column.type == "bytea" or (column.type == "json" and value[0] not in "[{"):
        return True
    in_text = modes.temporal in {"isostring", "structured"}
    if column.type == "interval":
        return not (in_text or modes.interval == "string")
    return column.type == "time" and not in_text


def decided_by_value(kind: Kind, column: Column, value: Any, modes: Modes) -> bool:
    """Text (also of a decimal) means what it says, and a plain number for a time is an epoch by
    its size: they are tried elsewhere, form by form.
    """
    if kind is Kind.TIME and column.type in NUMBERS:
        return True
    of_text = column.type in {"text", "enum", "uuid", "xml", "json"}
    as_text = column.type == "numeric" and modes.decimal == "string"
    if column.type == "numeric[]" and modes.decimal == "string":
        return True
    if as_text and kind in {Kind.ID, Kind.REFERENCE, Kind.TEXT}:
        return value.as_tuple().exponent != 0 or kind is Kind.TEXT
    return of_text and kind not in {Kind.ID, Kind.REFERENCE, Kind.TEXT, Kind.JSON}


@st.composite
def rows(draw: st.DrawFn) -> tuple[Entity, Modes, bool, dict[str, tuple[Column, Any]]]:
    entity = draw(st.sampled_from(list(Entity)))
    modes, typed = draw(MODES), draw(st.booleans())
    fields = [
        field
        for field, rule in RULES[entity].items()
        if not rule.allowed and rule.kind is not Kind.ANY
    ]
    chosen = draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3, unique=True))
    return (
        entity,
        modes,
        typed,
        {field: draw(cells(modes, typed, RULES[entity][field].kind)) for field in chosen},
    )


def record_of(
    entity: Entity, modes: Modes, typed: bool, row: Mapping[str, tuple[Column, Any]]
) -> bytes:
    names = NAMES[entity]
    document: dict[str, Any] = {**DOCUMENTS[entity]}
    columns: list[dict[str, Any]] = []
    for field, (column, value) in row.items():
        schema, found = written(column, value, modes)
        document.pop(field, None)
        document[names.get(field, field)] = found
        columns.append({"field": names.get(field, field), **schema})
    payload: dict[str, Any] = envelope(document)
    if typed:
        parts = [
            {"field": part, "type": "struct", "fields": columns} for part in ("before", "after")
        ]
        payload = {"schema": {"type": "struct", "fields": parts}, "payload": payload}
    return msgspec.json.Encoder(decimal_format="number").encode(payload)


def same(kind: Kind, found: Any, expected: Any) -> bool:
    if kind is Kind.TIME:
        return bool(datetime.fromisoformat(found) == expected)
    if kind in {Kind.NUMBER, Kind.DURATION}:
        return bool(Decimal(str(found)) == expected)
    if kind is Kind.LIST:
        return bool(found == expected)
    return bool(found == expected and type(found) is type(expected))


@given(rows())
@settings(max_examples=400)
def test_a_row_of_the_source_is_the_row_here_or_a_dead_letter(
    given_row: tuple[Entity, Modes, bool, dict[str, tuple[Column, Any]]],
) -> None:
    entity, modes, typed, row = given_row
    data = record_of(entity, modes, typed, row)
    rules = RULES[entity]
    try:
        change = decode(entity, Record(data), 0)
    except RejectedError as error:
        event("a dead letter")
        assert not typed or any(
            may_be_refused(rules[field].kind, *cell, modes) for field, cell in row.items()
        ), str(error)
        return
    assert change is not None
    document = json.loads(change.doc or "", parse_float=Decimal)
    for field, (column, value) in row.items():
        kind = rules[field].kind
        if decided_by_value(kind, column, value, modes):
            continue
        if kind is Kind.JSON and column.type != "json":
            continue  # such a field takes everything
        if not typed and cannot_be_told(kind, column, value, modes):
            continue
        try:
            expected = meant(kind, column, value, modes)
        except UnfitError:
            assert not typed, f"{field} cannot be {column.type}"
            continue  # a type that nobody declares cannot be known to be unfit
        event(f"{kind.value} of {column.type}")
        assert same(kind, document[field], expected), document[field]
    assert doc_of(change)["id"] == change.id


def may_be_refused(kind: Kind, column: Column, value: Any, modes: Modes) -> bool:
    """Whether a dead letter is right for a cell whose type is declared."""
    if decided_by_value(kind, column, value, modes):
        return True
    try:
        meant(kind, column, value, modes)
    except UnfitError:
        return True
    return False
