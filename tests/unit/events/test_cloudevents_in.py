"""CloudEvents are read in both modes, and records without headers too."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from nova_stream.events.change import Entity, VersionKind

from .helpers import DOCUMENTS, NOON, NOON_MS, doc_of, dumps, envelope, read, reason

RECORD = envelope(DOCUMENTS[Entity.TASKS])
EVENT = {"specversion": "1.0", "id": "1", "source": "/app", "type": "nova.tasks.updated"}
STRUCTURED = [("content-type", b"application/cloudevents+json")]


def test_binary_mode_changes_nothing() -> None:
    headers = [("ce_id", b"1"), ("ce_type", b"whatever"), ("content-type", b"application/json")]
    assert read(Entity.TASKS, RECORD, headers=headers) == read(Entity.TASKS, RECORD)


@pytest.mark.parametrize(
    "headers",
    [
        STRUCTURED,
        [("Content-Type", b"Application/CloudEvents+JSON; charset=UTF-8")],
        {"content-type": b"application/cloudevents+json"},
        (),
        None,
    ],
)
def test_structured_mode_has_the_record_as_data(headers: Any) -> None:
    for value in (
        EVENT | {"data": RECORD},
        EVENT | {"data": {"schema": None, "payload": RECORD}},
        EVENT | {"data_base64": b64encode(dumps(RECORD)).decode()},
    ):
        change = read(Entity.TASKS, value, headers=headers)
        assert doc_of(change) == DOCUMENTS[Entity.TASKS]
        assert (change.number, change.changed_at) == (7, NOON)


def test_the_header_alone_is_enough() -> None:
    assert read(Entity.TASKS, {"data": RECORD}, headers=STRUCTURED).id == "t-1"
    assert reason(Entity.TASKS, {"data": RECORD}) == "wrong_shape"


def test_a_plain_record_with_the_header_of_structured_mode_is_read_as_it_is() -> None:
    assert read(Entity.TASKS, RECORD, headers=STRUCTURED).id == "t-1"


def test_debeziums_converter_keeps_operation_time_and_lsn_as_attributes() -> None:
    attributes = {
        "iodebeziumop": "r",
        "iodebeziumtsms": str(NOON_MS),
        "iodebeziumlsn": "29274832",
    }
    data = {"before": None, "after": DOCUMENTS[Entity.TASKS]}
    for value in (data, {"schema": {}, "payload": data}):
        change = read(Entity.TASKS, EVENT | attributes | {"data": value})
        assert (change.kind, change.number, change.changed_at) == (VersionKind.LSN, 29274832, NOON)


def of_debezium(connector: str, op: str, data: Any, **more: str | None) -> dict[str, Any]:
    """What Debezium's CloudEvents converter writes: int64 as text, the source's fields beside."""
    source = {"iodebeziumconnector": connector, "iodebeziumname": "x"}
    time = {"iodebeziumtsms": str(NOON_MS)}
    return {**EVENT, "iodebeziumop": op, **source, **time, **more, "data": data}


@pytest.mark.parametrize("op", ["c", "u", "r", "d"])
@pytest.mark.parametrize("connector", ["mysql", "mariadb", "sqlserver", "oracle"])
def test_all_changes_of_a_source_without_lsns_have_versions_of_one_kind(
    connector: str, op: str
) -> None:
    document = DOCUMENTS[Entity.TASKS]
    data = {"before": document, "after": None if op == "d" else document}
    change = read(Entity.TASKS, of_debezium(connector, op, data))
    assert change.kind is VersionKind.OFFSET
    assert (change.deleted, change.changed_at, change.timed) == (op == "d", NOON, True)


@pytest.mark.parametrize("connector", ["mysql", "mariadb", "sqlserver", "oracle"])
def test_a_truncation_of_a_source_without_lsns_is_one(connector: str) -> None:
    change = read(Entity.TASKS, of_debezium(connector, "t", {"before": None, "after": None}))
    assert (change.truncates, change.kind) == (True, VersionKind.OFFSET)


def test_postgres_has_lsns_and_null_in_rows_of_incremental_snapshots() -> None:
    data = {"before": None, "after": DOCUMENTS[Entity.TASKS]}
    streamed = read(Entity.TASKS, of_debezium("postgresql", "u", data, iodebeziumlsn="29274832"))
    assert (streamed.kind, streamed.number) == (VersionKind.LSN, 29274832)
    incremental = read(Entity.TASKS, of_debezium("postgresql", "r", data, iodebeziumlsn=None))
    assert (incremental.kind, incremental.number) == (VersionKind.LSN, 0)
    without = of_debezium("postgresql", "t", {"before": None, "after": None}, iodebeziumlsn=None)
    assert reason(Entity.TASKS, without) == "bad_version"


def test_mongodbs_documents_and_keys_are_text_in_events_too() -> None:
    key = dumps({"id": '{"$oid":"6617d8a7e0b7c0a5c2f0a1b2"}'})
    after = '{"_id":{"$oid":"6617d8a7e0b7c0a5c2f0a1b2"},"status":"done"}'
    created = read(Entity.TASKS, of_debezium("mongodb", "c", {"after": after}), key=key)
    deleted = read(Entity.TASKS, of_debezium("mongodb", "d", {"after": None}), key=key)
    assert created.id == deleted.id == "6617d8a7e0b7c0a5c2f0a1b2"
    assert deleted.deleted


def test_nul_inside_of_base64_data_is_seen() -> None:
    record = envelope(DOCUMENTS[Entity.TASKS] | {"title": "\x00"})
    event = EVENT | {"data_base64": b64encode(dumps(record)).decode()}
    assert reason(Entity.TASKS, event) == "unstorable_text"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (EVENT, "wrong_shape"),
        (EVENT | {"data": None}, "wrong_shape"),
        (EVENT | {"data": "text"}, "wrong_shape"),
        (EVENT | {"data_base64": 5}, "bad_json"),
        (EVENT | {"data_base64": "?"}, "bad_json"),
        (EVENT | {"data_base64": b64encode(b"{").decode()}, "bad_json"),
    ],
)
def test_an_event_without_a_record_is_rejected(event: object, expected: str) -> None:
    assert reason(Entity.TASKS, event, headers=STRUCTURED) == expected
