"""Rows without an envelope: ExtractNewRecordState with all its settings, and its likes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import SNAPSHOT_MINOR, Change, Entity, VersionKind
from nova_stream.events.decode import Decoder
from nova_stream.events.documents import RULES
from tests.decoding import decode
from tests.unit.events.helpers import (
    DOCUMENTS,
    NOON,
    NOON_MS,
    Record,
    doc_of,
    dumps,
    envelope,
    read,
    reason,
    rejected,
    without,
)
from tests.unit.events.test_debezium import ROWS

TASKS = Entity.TASKS
KEY = b'{"id":"t-1"}'


def struct(**columns: str) -> dict[str, Any]:
    """The schema of a row, with the semantic types of some of its columns."""
    return {
        "type": "struct",
        "fields": [
            {"field": name, "type": "int64", "name": kind} for name, kind in columns.items()
        ],
    }


@pytest.mark.parametrize("entity", Entity)
def test_a_row_alone_is_read_as_the_document_of_an_envelope(entity: Entity) -> None:
    inside = read(entity, envelope(ROWS[entity]))
    for value in (ROWS[entity], {"schema": None, "payload": ROWS[entity]}):
        row = read(entity, value)
        assert (doc_of(row), row.values, row.flattened) == (doc_of(inside), inside.values, True)
        assert (row.kind, row.number) == (VersionKind.OFFSET, 41)


@pytest.mark.parametrize("entity", Entity)
def test_what_the_transform_adds_tells_version_time_and_operation_and_is_not_stored(
    entity: Entity,
) -> None:
    marks = {
        "__op": "u",
        "__deleted": "false",
        "__table": "t",
        "__db": "app",
        "__source_lsn": 77,
        "__source_ts_ms": NOON_MS,
        "__ts_ms": NOON_MS + 5,
        "__transaction_id": None,
    }
    change = read(entity, ROWS[entity] | marks)
    assert (change.kind, change.number, change.minor) == (VersionKind.LSN, 77, 0)
    assert (change.changed_at, change.timed, change.deleted) == (NOON, True, False)
    assert doc_of(change) == doc_of(read(entity, ROWS[entity]))


@pytest.mark.parametrize(
    ("marks", "number"),
    [({"__lsn": 5}, 5), ({"__lsn": "5"}, 5), ({"__lsn": 4, "__source_lsn": 5}, 5)],
)
def test_an_lsn_is_found_under_both_names(marks: dict[str, Any], number: int) -> None:
    assert read(TASKS, DOCUMENTS[TASKS] | marks).number == number


def test_a_sequence_number_of_the_source_is_a_version() -> None:
    change = read(TASKS, DOCUMENTS[TASKS] | {"__source_seq": 9, "__source_minor": 2})
    assert (change.kind, change.number, change.minor) == (VersionKind.SEQ, 9, 2)


@pytest.mark.parametrize(
    "marks",
    [{"__ts_ms": NOON_MS}, {"__source_ts_us": NOON_MS * 1000}, {"__ts_ns": NOON_MS * 10**6}],
)
def test_the_time_may_come_in_every_unit_that_debezium_has(marks: dict[str, Any]) -> None:
    assert read(TASKS, DOCUMENTS[TASKS] | marks).changed_at == NOON


@pytest.mark.parametrize(
    "row",
    [
        {"id": "t-1", "status": None, "agent": None, "__deleted": "true"},
        {"id": "t-1", "__deleted": True},
        {"status": None, "__deleted": "true"},
        {"id": "t-1", "status": "done", "__op": "d"},
        {"__deleted": "true"},
    ],
)
def test_a_row_that_is_marked_as_deleted_is_a_deletion(row: dict[str, Any]) -> None:
    change = read(TASKS, row | {"__lsn": 8}, key=KEY)
    assert (change.id, change.deleted, change.doc) == ("t-1", True, None)
    assert (change.kind, change.number, change.flattened) == (VersionKind.LSN, 8, True)


@pytest.mark.parametrize("value", ["yes", "TRUE", 1, [], {}, ""])
def test_a_mark_of_deletion_that_is_neither_true_nor_false_is_told(value: object) -> None:
    assert reason(TASKS, DOCUMENTS[TASKS] | {"__deleted": value}) == "wrong_type"


@pytest.mark.parametrize(
    "headers",
    [
        [("__op", b"u"), ("__lsn", b"77"), ("__source_ts_ms", str(NOON_MS).encode())],
        [("__op", b'"u"'), ("__lsn", b"77"), ("__source_ts_ms", str(NOON_MS).encode())],
        [
            ("__op", b'{"schema":null,"payload":"u"}'),
            ("__lsn", b'{"schema":{},"payload":77}'),
            ("__source_ts_ms", str(NOON_MS).encode()),
        ],
    ],
)
def test_headers_tell_the_same_as_fields(headers: list[tuple[str, bytes]]) -> None:
    change = read(TASKS, DOCUMENTS[TASKS], headers=headers)
    assert (change.kind, change.number, change.changed_at) == (VersionKind.LSN, 77, NOON)


def test_a_field_counts_before_a_header() -> None:
    change = read(TASKS, DOCUMENTS[TASKS] | {"__lsn": 5}, headers=[("__lsn", b"77")])
    assert change.number == 5


@pytest.mark.parametrize("name", ["__snapshot", "__source_snapshot"])
@pytest.mark.parametrize(
    ("word", "read_by_snapshot"),
    [
        *((word, True) for word in ("true", "first", "first_in_data_collection")),
        *((word, True) for word in ("last_in_data_collection", "last", "incremental", True)),
        *((word, False) for word in ("false", False, None)),
    ],
)
def test_the_snapshot_says_what_an_operation_that_is_left_out_was(
    name: str, word: object, read_by_snapshot: bool
) -> None:
    row = {"id": "t-1", "status": "done", "__lsn": 77, name: word}
    change = read(Entity.TASKS, row)
    assert (change.number, change.minor) == (77, SNAPSHOT_MINOR if read_by_snapshot else 0)
    assert read(Entity.TASKS, {**row, "__op": "u"}).minor == 0


def test_a_row_of_an_incremental_snapshot_has_the_lowest_version_of_a_topic_of_lsns() -> None:
    for marks in ({"__lsn": None}, {"__lsn": None, "__op": "r"}):
        change = read(TASKS, DOCUMENTS[TASKS] | marks)
        assert (change.kind, change.number) == (VersionKind.LSN, 0)
        assert change.minor == SNAPSHOT_MINOR


def test_another_prefix_is_a_setting() -> None:
    decoder = Decoder(TASKS, prefix="cdc.")
    value = DOCUMENTS[TASKS] | {"cdc.op": "d", "cdc.lsn": 6, "__deleted": "true"}
    change = decoder.decode(Record(dumps(value)), 0)
    assert change is not None
    assert (change.deleted, change.number) == (True, 6)
    named = decoder.decode(Record(dumps(DOCUMENTS[TASKS] | {"cdc.lsn": 7, "__lsn": 1})), 0)
    assert named is not None
    assert (named.number, doc_of(named)["__lsn"]) == (7, 1)


def test_declared_types_of_a_rows_own_schema_decide() -> None:
    execution = without(DOCUMENTS[Entity.EXECUTIONS], ["duration"]) | {"duration": 5_250_000}
    schema = struct(duration="io.debezium.time.MicroDuration")
    change = read(Entity.EXECUTIONS, {"schema": schema, "payload": execution})
    assert change.values[2] == "5250"


def test_a_value_left_out_as_unchanged_stays_named_in_a_row() -> None:
    row = DOCUMENTS[TASKS] | {"output": "__debezium_unavailable_value"}
    assert read(TASKS, row).unavailable == ("output",)


@pytest.mark.parametrize(
    "value", [{"colour": "red"}, {"id": "t-1"}, {"specversion": "1.0", "id": 1}]
)
def test_an_object_without_any_known_field_is_no_row(value: dict[str, Any]) -> None:
    error = rejected(lambda: read(TASKS, value, key=KEY))
    assert error.reason == "wrong_shape"
    assert "ExtractNewRecordState" in str(error)


def test_a_row_that_lacks_what_the_entity_needs_is_told() -> None:
    assert reason(TASKS, {"title": "x"}, key=KEY) == "missing_field"
    assert reason(TASKS, {"status": "done"}) == "missing_id"


def test_a_column_called_payload_makes_no_wrapper() -> None:
    assert doc_of(read(TASKS, DOCUMENTS[TASKS] | {"payload": {"a": 1}}))["payload"] == {"a": 1}


@given(
    st.sampled_from(list(Entity)),
    st.sets(st.sampled_from(["op", "deleted", "lsn", "source_ts_ms", "table", "db", "x"])),
    st.data(),
)
def test_no_mark_is_ever_stored(entity: Entity, marks: set[str], data: st.DataObject) -> None:
    values = {
        "op": st.sampled_from(["c", "u", "r", None]),
        "deleted": st.sampled_from(["false", None]),
        "lsn": st.integers(0, 2**63 - 1),
        "source_ts_ms": st.just(NOON_MS),
    }
    row = {f"__{n}": data.draw(values.get(n, st.text(max_size=5))) for n in marks}
    change = read(entity, DOCUMENTS[entity] | row)
    assert doc_of(change) == DOCUMENTS[entity]
    assert set(doc_of(change)) <= set(RULES[entity])


# -- tombstones ------------------------------------------------------------------------------------


def tombstone(value: bytes | None, key: bytes | None = KEY, headers: Any = ()) -> Change | None:
    record = Record(value, key=key, headers=headers)
    assert decode(TASKS, record, 0) is None
    return Decoder(TASKS).read_tombstone(record, 3)


@pytest.mark.parametrize(
    ("value", "flattened"),
    [
        (None, False),
        (b'{"schema":null,"payload":null}', False),
        (b"null", True),
        (b'{"schema":{"type":"struct","optional":true},"payload":null}', True),
    ],
)
def test_a_null_is_the_deletion_of_what_its_key_names(value: bytes | None, flattened: bool) -> None:
    change = tombstone(value)
    assert change is not None
    assert (change.id, change.deleted, change.doc, change.partition) == ("t-1", True, None, 3)
    assert (change.kind, change.number) == (VersionKind.OFFSET, 41)
    assert change.flattened is flattened


def test_a_tombstones_headers_tell_its_version_and_that_it_was_flattened() -> None:
    headers = [("__op", b"d"), ("__lsn", b"99"), ("__source_ts_ms", str(NOON_MS).encode())]
    change = tombstone(None, headers=headers)
    assert change is not None
    assert (change.kind, change.number) == (VersionKind.LSN, 99)
    assert (change.changed_at, change.flattened) == (NOON, True)


def test_what_has_no_key_or_is_no_tombstone_is_none() -> None:
    assert tombstone(None, key=None) is None
    assert tombstone(b'{"op":"m","message":{"prefix":"p","content":""}}') is None


def test_a_tombstone_whose_key_has_no_id_is_told() -> None:
    error = rejected(lambda: tombstone(None, key=b'{"number":5}'))
    assert error.reason == "missing_id"
