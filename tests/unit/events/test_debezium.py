"""Debezium's own output is read as it is."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from nova_stream.events.change import Entity, VersionKind
from tests.decoding import decode

from .helpers import (
    DOCUMENTS,
    MARK,
    MARK_OF_BYTES,
    NOON,
    NOON_MS,
    NOON_TEXT,
    Record,
    doc_of,
    document,
    envelope,
    read,
    reason,
    wrapped,
)

NOON_US = NOON_MS * 1000

ROWS: dict[Entity, dict[str, Any]] = {
    Entity.AGENTS: {
        "id": "agent-ATLAS",
        "name": "ATLAS",
        "role": "documentation",
        "domain": "docs",
        "model": "cloud-a",
        "gates": '["schema"]',
        "created_at": NOON_US,
    },
    Entity.BUILDS: {
        "id": "b-1",
        "prd_id": "prd-1",
        "prd_name": "Lumen meadow",
        "status": "completed",
        "started_at": NOON_US - 3_599_750_000,
        "completed_at": NOON_US,
    },
    Entity.TASKS: {
        "id": "t-1",
        "build_id": "b-1",
        "task_id": "T001",
        "title": "Test the indigo",
        "agent": "ATLAS",
        "status": "running",
        "dependencies": '["t-0"]',
        "phase": "1",
        "attempts": "2",
        "created_at": "2026-02-20T12:00:00.000000Z",
        "output": None,
    },
    Entity.EXECUTIONS: {
        "id": "e-1",
        "task_id": "t-1",
        "agent": "ATLAS",
        "model": "cloud-a",
        "prompt": "Do it",
        "response": "Done",
        "gates_passed": 1,
        "duration": "929",
        "timestamp": NOON_US + 17,
    },
    Entity.ACTIVITIES: {
        "id": "a-1",
        "user_id": "user-1",
        "agent_name": "ATLAS",
        "event_type": "task_completed",
        "details": "aurora cinder",
        "timestamp": NOON_MS,
    },
    Entity.USERS: {
        "id": "u-1",
        "user_id": "user-1",
        "email": "u1@example.org",
        "tier": "pro",
        "global_wisdom_opt_in": 0,
        "created_at": NOON_MS,
        "last_active_at": NOON_US,
    },
}


@pytest.mark.parametrize("entity", Entity)
def test_a_row_becomes_the_main_apps_document(entity: Entity) -> None:
    for value in (envelope(ROWS[entity], "r"), wrapped(envelope(ROWS[entity], "r"))):
        change = read(entity, value)
        assert doc_of(change) == DOCUMENTS[entity]
        assert change.values == read(entity, envelope(DOCUMENTS[entity])).values


def test_a_record_in_the_wrapper_means_the_same_as_without_it() -> None:
    for given in (
        envelope(DOCUMENTS[Entity.TASKS]),
        envelope(None, "d", before={"id": "t-1"}),
    ):
        plain, inside = read(Entity.TASKS, given), read(Entity.TASKS, wrapped(given))
        assert (plain.id, plain.number, plain.deleted, plain.values, plain.changed_at) == (
            (inside.id, inside.number, inside.deleted, inside.values, inside.changed_at)
        )


def test_a_wrapped_null_is_a_tombstone() -> None:
    assert decode(Entity.TASKS, Record(b'{"schema":null,"payload":null}'), 0) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("io.debezium.time.Timestamp", 86_400_123),
        ("io.debezium.time.MicroTimestamp", 86_400_123_456),
        ("io.debezium.time.NanoTimestamp", 86_400_123_456_789),
        ("org.apache.kafka.connect.data.Timestamp", 86_400_123),
        ("io.debezium.time.ZonedTimestamp", "1970-01-02T01:00:00.123456+01:00"),
    ],
)
def test_the_wrappers_schema_tells_the_unit_of_a_time(name: str, value: object) -> None:
    row = ROWS[Entity.USERS] | {"created_at": value}
    change = read(Entity.USERS, wrapped(envelope(row), created_at=name))
    assert doc_of(change)["createdAt"] == "1970-01-02T00:00:00.123Z"
    document_too = document(Entity.USERS, createdAt=value)
    change = read(Entity.USERS, wrapped(envelope(document_too), createdAt=name))
    assert doc_of(change)["createdAt"] == "1970-01-02T00:00:00.123Z"


@pytest.mark.parametrize(
    "schema",
    [None, [], {"fields": None}, {"fields": [1, {"field": "after", "fields": [{"name": 1}]}]}],
)
def test_a_schema_of_another_shape_is_no_harm(schema: object) -> None:
    given = {"schema": schema, "payload": envelope(ROWS[Entity.TASKS])}
    assert doc_of(read(Entity.TASKS, given)) == DOCUMENTS[Entity.TASKS]


def test_fields_that_nobody_knows_stay_exactly_as_they_came() -> None:
    row = ROWS[Entity.TASKS] | {"is_new": 1, "updated_at": NOON_US, "meta": '{"a":1}'}
    assert doc_of(read(Entity.TASKS, envelope(row))) == DOCUMENTS[Entity.TASKS] | {
        "is_new": 1,
        "updated_at": NOON_US,
        "meta": '{"a":1}',
    }


def test_a_column_beside_the_field_of_its_own_name_is_an_unknown_field() -> None:
    given = document(Entity.TASKS, build_id=17)
    change = read(Entity.TASKS, envelope(given))
    assert change.values[0] == "b-1"
    assert doc_of(change) == given


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("929", "929"),
        ("929.50", "929.50"),
        ("1E+3", "1000"),
        ({"scale": 2, "value": b64encode((92950).to_bytes(3, "big")).decode()}, "929.50"),
        ({"scale": 0, "value": "AA=="}, "0"),
        ({"scale": -3, "value": "AQ=="}, "1000"),
    ],
)
def test_decimals_come_as_text_or_as_bytes_with_a_scale(value: object, expected: str) -> None:
    row = ROWS[Entity.EXECUTIONS] | {"duration": value}
    assert read(Entity.EXECUTIONS, envelope(row)).values[2] == expected


def test_decimals_of_a_fixed_scale_are_told_by_the_schema() -> None:
    digits = 12345678901234567890123456789012345678
    row = ROWS[Entity.EXECUTIONS] | {"duration": b64encode(digits.to_bytes(16, "big")).decode()}
    decimal = {"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "3"}}
    change = read(Entity.EXECUTIONS, wrapped(envelope(row), duration=decimal))
    assert change.values[2] == "12345678901234567890123456789012345.678"
    assert b"12345678901234567890123456789012345.678" in (change.doc or "").encode()


@pytest.mark.parametrize(
    "value",
    [
        "929 ms",
        "NaN",
        "",
        "-1",
        "٣",
        {"scale": 0, "value": "!"},
        {"scale": 0, "value": 5},
        {"scale": 0, "value": "A" * 800},
        {"scale": "x", "value": "AQ=="},
        {"scale": 10**30, "value": "AQ=="},
        {"scale": 2000, "value": "AQ=="},
    ],
)
def test_a_decimal_that_is_none_is_a_bad_duration(value: object) -> None:
    assert reason(Entity.EXECUTIONS, envelope(ROWS[Entity.EXECUTIONS] | {"duration": value})) == (
        "bad_duration"
    )


def test_references_may_be_numbers_like_the_ids_that_they_name() -> None:
    change = read(Entity.TASKS, envelope(ROWS[Entity.TASKS] | {"id": 4, "build_id": 17}))
    assert change.values[0] == "17"
    assert doc_of(change)["buildId"] == "17"
    activity = read(Entity.ACTIVITIES, envelope(ROWS[Entity.ACTIVITIES] | {"user_id": 3}))
    assert doc_of(activity)["userId"] == "3"


@pytest.mark.parametrize("flag", [True, 1, 1.0])
def test_flags_may_be_numbers(flag: object) -> None:
    row = ROWS[Entity.EXECUTIONS] | {"gates_passed": flag}
    assert doc_of(read(Entity.EXECUTIONS, envelope(row)))["gatesPassed"] is True


def test_text_that_begins_like_json_stays_text_where_text_is_allowed() -> None:
    given = document(Entity.AGENTS, gates="[not json", systemPrompt='{"a": [1]}', role="[1]")
    found = doc_of(read(Entity.AGENTS, envelope(given)))
    assert found["gates"] == "[not json"
    assert found["systemPrompt"] == '{"a": [1]}'
    assert found["role"] == "[1]"


def test_the_log_position_of_postgres_is_the_version_where_no_seq_is() -> None:
    source = {"connector": "postgresql", "lsn": 24023128, "ts_ms": NOON_MS, "sequence": '["1","2"]'}
    change = read(Entity.TASKS, envelope(ROWS[Entity.TASKS], source=source))
    assert (change.kind, change.number, change.minor) == (VersionKind.LSN, 24023128, 0)


class TestUnavailable:
    """Debezium leaves out large columns that did not change."""

    def test_fields_are_named_and_dropped(self) -> None:
        row = ROWS[Entity.EXECUTIONS] | {
            "prompt": MARK,
            "response": MARK_OF_BYTES,
            "duration": MARK,
        }
        change = read(Entity.EXECUTIONS, envelope(row))
        assert change.unavailable == ("prompt", "response", "duration")
        assert not {"prompt", "response", "duration"} & doc_of(change).keys()
        assert change.values == ("t-1", "ATLAS", None, NOON)

    def test_names_are_the_documents_own(self) -> None:
        row = ROWS[Entity.TASKS] | {"created_at": MARK, "dependencies": [MARK], "other_one": MARK}
        change = read(Entity.TASKS, envelope(row))
        assert change.unavailable == ("dependencies", "createdAt", "other_one")
        assert change.values[3] is None

    @pytest.mark.parametrize("mark", [MARK, MARK_OF_BYTES, [MARK]])
    def test_it_is_seen_in_documents_of_the_main_apps_form_too(self, mark: object) -> None:
        change = read(Entity.TASKS, envelope(document(Entity.TASKS, output=mark)))
        assert change.unavailable == ("output",)
        assert "output" not in doc_of(change)

    def test_required_fields_may_be_left_out_this_way(self) -> None:
        build = read(Entity.BUILDS, envelope(document(Entity.BUILDS, status=MARK)))
        agent = read(Entity.AGENTS, envelope(document(Entity.AGENTS, name=MARK)))
        task = read(Entity.TASKS, envelope(document(Entity.TASKS, agent=MARK)))
        assert (build.values[0], agent.values[0], task.values[1]) == (None, None, None)

    def test_an_id_left_out_is_the_keys(self) -> None:
        given = envelope(document(Entity.TASKS, id=MARK))
        assert read(Entity.TASKS, given, key=b"t-5").id == "t-5"
        assert read(Entity.TASKS, given, key=b"t-5").unavailable == ()
        assert reason(Entity.TASKS, given) == "missing_id"

    def test_text_that_only_speaks_of_it_is_text(self) -> None:
        given = document(Entity.TASKS, title=f"about {MARK}", nested={"a": MARK})
        change = read(Entity.TASKS, envelope(given))
        assert change.unavailable == ()
        assert doc_of(change) == given


def test_times_of_rows_are_cut_to_milliseconds() -> None:
    row = ROWS[Entity.EXECUTIONS] | {"timestamp": NOON_US + 1999}
    change = read(Entity.EXECUTIONS, envelope(row))
    assert change.values[3] == NOON + timedelta(milliseconds=1)
    assert doc_of(change)["timestamp"] == NOON_TEXT.replace(".000", ".001")
