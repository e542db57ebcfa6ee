"""What the main app publishes becomes the change that it means."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from nova_stream.clock import EPOCH
from nova_stream.events.change import COLUMNS, Entity, VersionKind
from nova_stream.events.decode import Decoder
from tests.decoding import decode

from .helpers import (
    DOCUMENTS,
    NOON,
    NOON_MS,
    Record,
    doc_of,
    document,
    dumps,
    envelope,
    read,
    reason,
    without,
)

VALUES: dict[Entity, tuple[Any, ...]] = {
    Entity.AGENTS: ("ATLAS", NOON),
    Entity.BUILDS: ("completed", NOON - timedelta(minutes=59, seconds=59, milliseconds=750), NOON),
    Entity.TASKS: ("b-1", "ATLAS", "running", NOON),
    Entity.EXECUTIONS: ("t-1", "ATLAS", "929", NOON),
    Entity.ACTIVITIES: (NOON,),
    Entity.USERS: (NOON, NOON),
}


@pytest.mark.parametrize("entity", Entity)
def test_a_document_gives_its_columns_in_the_order_of_columns(entity: Entity) -> None:
    change = read(entity, envelope(DOCUMENTS[entity]))
    assert change.values == VALUES[entity]
    assert len(change.values) == len(COLUMNS[entity])
    assert change.id == DOCUMENTS[entity]["id"]
    assert (change.number, change.minor, change.kind) == (7, 0, VersionKind.SEQ)
    assert (change.partition, change.offset, change.deleted) == (3, 41, False)
    assert change.changed_at == NOON
    assert change.unavailable == ()


def test_the_document_is_kept_as_it_came_byte_by_byte() -> None:
    text = '{ "id":"t-1" , "status":"done","title":"caf\\u00e9 \\n é","extra_field":1.50}'
    value = f'{{"op":"c","after":{text},"source":{{"seq":1,"ts_ms":{NOON_MS}}}}}'.encode()
    assert read(Entity.TASKS, value).doc == text


@pytest.mark.parametrize("op", ["c", "u", "r"])
def test_created_updated_and_snapshot_are_all_upserts(op: str) -> None:
    change = read(Entity.TASKS, envelope(DOCUMENTS[Entity.TASKS], op))
    assert not change.deleted
    assert doc_of(change) == DOCUMENTS[Entity.TASKS]


def test_a_tombstone_is_no_change() -> None:
    assert decode(Entity.TASKS, Record(None, key=b"t-1"), 0) is None
    assert Decoder(Entity.TASKS).decode(Record(None), 0) is None


def test_unknown_fields_are_kept_and_optional_ones_may_be_missing_or_null() -> None:
    given = {"id": "t-1", "status": "done", "x_y": {"deep_er": [1.25, None]}, "agent": None}
    change = read(Entity.TASKS, envelope(given))
    assert doc_of(change) == given
    assert change.values == (None, "", "done", None)


@pytest.mark.parametrize("entity", [Entity.TASKS, Entity.EXECUTIONS])
def test_a_missing_agent_is_the_empty_name(entity: Entity) -> None:
    for given in (without(DOCUMENTS[entity], ["agent"]), document(entity, agent=None)):
        assert read(entity, envelope(given)).values[1] == ""
        assert read(entity, {"payload": envelope(given)}).values[1] == ""


def test_durations_keep_every_digit() -> None:
    for text in ("0", "12.5", "929.1234567890123456789", "1e3", "0.0000001", "1" * 40, "-0.0"):
        value = dumps(envelope(document(Entity.EXECUTIONS, duration=0)))
        change = read(
            Entity.EXECUTIONS, value.replace(b'"duration":0', f'"duration":{text}'.encode())
        )
        assert change.values[2] == ({"1e3": "1000", "-0.0": "0.0"}.get(text, text))


def test_the_time_of_a_change_is_the_sources_else_the_records_else_the_documents_else_kafkas() -> (
    None
):
    given = DOCUMENTS[Entity.TASKS]
    plain = without(envelope(given), ["source", "ts_ms"])
    source = {"ts_ms": NOON_MS + 1}
    second = {"ts_ms": NOON_MS + 2}
    assert read(Entity.TASKS, plain | second | {"source": source}).changed_at == NOON + timedelta(
        milliseconds=1
    )
    assert read(Entity.TASKS, plain | second).changed_at == NOON + timedelta(milliseconds=2)
    assert read(Entity.TASKS, plain).changed_at == NOON
    timeless = without(given, ["createdAt"])
    assert read(Entity.TASKS, plain | {"after": timeless}).changed_at == NOON + timedelta(seconds=5)
    assert read(Entity.TASKS, plain | {"after": timeless}, timestamp=2**62).changed_at == EPOCH


@pytest.mark.parametrize("entity", [Entity.BUILDS, Entity.EXECUTIONS, Entity.ACTIVITIES])
def test_started_at_and_timestamp_are_a_documents_own_times_too(entity: Entity) -> None:
    plain = without(envelope(DOCUMENTS[entity]), ["source", "ts_ms"])
    expected = VALUES[entity][1] if entity is Entity.BUILDS else NOON
    assert read(entity, plain).changed_at == expected


@pytest.mark.parametrize("unit", [1, 1000])
def test_the_source_may_tell_its_time_in_seconds_or_microseconds(unit: int) -> None:
    given = envelope(DOCUMENTS[Entity.TASKS], source={"seq": 1, "ts_ms": NOON_MS * unit})
    assert read(Entity.TASKS, given).changed_at == NOON
    given = envelope(DOCUMENTS[Entity.TASKS], source={"seq": 1, "ts_ms": NOON_MS // 1000})
    assert read(Entity.TASKS, given).changed_at == NOON


class TestDeletion:
    def test_takes_the_id_from_before_else_from_the_key(self) -> None:
        by_before = read(Entity.TASKS, envelope(None, "d", before={"id": "t-9"}), key=b"t-1")
        by_key = read(Entity.TASKS, envelope(None, "d"), key=b"t-1")
        by_empty = read(Entity.TASKS, envelope(None, "d", before={"id": ""}), key=b"t-1")
        assert [by_before.id, by_key.id, by_empty.id] == ["t-9", "t-1", "t-1"]

    def test_has_no_document_and_no_columns(self) -> None:
        for entity in Entity:
            change = read(entity, envelope(None, "d", before={"id": 5}))
            assert change.deleted
            assert change.id == "5"
            assert change.doc is None
            assert change.values == (None,) * len(COLUMNS[entity])
            assert change.changed_at == NOON

    def test_ignores_what_else_stands_in_before(self) -> None:
        before = {"id": "t-1", "status": "never heard of", "created_at": "yesterday", "n": "\x00"}
        assert read(Entity.TASKS, envelope(None, "d", before=before)).id == "t-1"

    def test_without_any_id_is_rejected(self) -> None:
        assert reason(Entity.TASKS, envelope(None, "d")) == "missing_id"
        assert reason(Entity.TASKS, envelope(None, "d", before={}), key=b"\xff") == "missing_id"

    def test_without_any_time_happened_when_kafka_says(self) -> None:
        given = {"op": "d", "before": {"id": "t-1", "createdAt": "2020-01-01T00:00:00Z"}}
        assert read(Entity.TASKS, given).changed_at == NOON + timedelta(seconds=5)


@pytest.mark.parametrize(
    ("key", "identity"),
    [
        (b"t-1", "t-1"),
        (b'"t-1"', "t-1"),
        (b'{"id":"t-1"}', "t-1"),
        (b' {"id": 12}', "12"),
        (b'{"schema":{"type":"struct"},"payload":{"id":"t-1"}}', "t-1"),
        (b'{"schema":{"type":"string"},"payload":"t-1"}', "t-1"),
        (b'{"schema":{"type":"int32"},"payload":12}', "12"),
        (b"12", "12"),
        ("ключ".encode(), "ключ"),
        (b"{not json", "{not json"),
    ],
)
def test_an_id_is_found_in_a_key_of_any_form(key: bytes, identity: str) -> None:
    assert read(Entity.TASKS, envelope(None, "d"), key=key).id == identity
    change = read(Entity.TASKS, envelope({"status": "done"}), key=key)
    assert change.id == identity
    assert doc_of(change)["id"] == identity


@pytest.mark.parametrize(
    "key", [None, b"", b"null", b'""', b'{"id":null}', b"{}", b'{"payload":null}', b"\xff"]
)
def test_a_key_without_an_id_is_no_help(key: bytes | None) -> None:
    assert reason(Entity.TASKS, envelope({"status": "done"}), key=key) == "missing_id"


def test_a_bad_key_does_no_harm_where_the_document_has_an_id() -> None:
    for identity in ("t-1", 0):
        given = envelope(document(Entity.TASKS, id=identity))
        assert read(Entity.TASKS, given, key=b"k" * 5000).id == str(identity)


def test_the_documents_id_comes_before_the_keys() -> None:
    assert read(Entity.TASKS, envelope(DOCUMENTS[Entity.TASKS]), key=b"other").id == "t-1"


@pytest.mark.parametrize("number", [5, 5.0, 12345678901234567890])
def test_a_numeric_id_is_read_as_its_text(number: float) -> None:
    change = read(Entity.TASKS, envelope(document(Entity.TASKS, id=number)))
    assert change.id == str(int(number))
    assert doc_of(change)["id"] == change.id


@pytest.mark.parametrize(
    "text", ["2026-02-20T13:00:00+01:00", "2026-02-20 12:00:00", NOON_MS, NOON_MS // 1000]
)
def test_a_time_in_another_form_is_written_out_in_the_contracts_own(text: object) -> None:
    change = read(Entity.TASKS, envelope(document(Entity.TASKS, createdAt=text)))
    assert change.values[3] == NOON
    assert doc_of(change) == DOCUMENTS[Entity.TASKS]


def test_numbers_keep_their_digits_when_a_document_is_written_anew() -> None:
    text = (
        '{"id":5,"status":"done","x":0.1000000000000000055511151231257827,'
        '"y":12345678901234567890123}'
    )
    change = read(Entity.TASKS, f'{{"op":"c","after":{text}}}'.encode())
    assert change.doc == text.replace("5,", '"5",', 1)


def test_lengths_are_counted_in_bytes_up_to_the_limit() -> None:
    longest = "é" * 512
    given = document(Entity.TASKS, id=longest, agent=longest, buildId=longest, taskId=longest)
    change = read(Entity.TASKS, envelope(given))
    assert change.id == longest
    assert change.values[:2] == (longest, longest)


def test_deep_and_wide_documents_are_fine_up_to_256_levels() -> None:
    deep: Any = 1
    for _ in range(254):
        deep = [deep]
    wide = [{"a": [1]}] * 500 + ["[[[[{{{{" * 200, '\\"[[']
    change = read(Entity.TASKS, envelope(document(Entity.TASKS, deep=deep, wide=wide)))
    assert doc_of(change)["deep"] == deep
    assert json.loads(change.doc or "")["wide"] == wide
