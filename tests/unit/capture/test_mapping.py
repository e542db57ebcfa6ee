"""A document of the deployment becomes the change of an entity, whatever its values are."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.capture.client import Row
from nova_stream.capture.mapping import (
    TABLES,
    Rejection,
    change_of,
    deletion,
    entity_of,
    plain_value,
)
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine
from tests.integration.capture.harness import plainly
from tests.integration.capture.stand_in import Int64, encoded

NOON_NS = 1_771_588_800_123_456_789
CREATED = 1_771_588_700_000.75

DOCUMENTS: dict[str, dict[str, Any]] = {
    "agents": {
        "name": "MARS",
        "role": "coder",
        "domain": "code",
        "systemPrompt": "Code.",
        "model": "m",
        "gates": ["tests"],
        "createdAt": "2026-02-20T11:00:00.000Z",
    },
    "builds": {
        "prdId": "p1",
        "prdName": "Shop",
        "status": "running",
        "startedAt": "2026-02-20T11:00:00.000Z",
    },
    "tasks": {
        "buildId": "b1",
        "taskId": "T-1",
        "title": "Do it",
        "agent": "MARS",
        "status": "done",
        "dependencies": ["T-0"],
        "phase": 1,
        "attempts": 2,
        "createdAt": "2026-02-20T11:00:00.000Z",
        "output": "done",
    },
    "executions": {
        "taskId": "t1",
        "agent": "MARS",
        "model": "m",
        "prompt": "p",
        "response": "r",
        "gatesPassed": True,
        "duration": 1234.5,
        "timestamp": "2026-02-20T11:00:00.000Z",
    },
    "agentActivityFeed": {
        "userId": "u1",
        "agentName": "MARS",
        "eventType": "task_started",
        "taskId": "t1",
        "details": "began",
        "timestamp": "2026-02-20T11:00:00.000Z",
    },
    "userProfiles": {
        "userId": "u1",
        "tier": "pro",
        "globalWisdomOptIn": True,
        "createdAt": "2026-02-20T11:00:00.000Z",
        "lastActiveAt": "2026-02-20T11:30:00.000Z",
    },
}


def row(table: str, document: dict[str, Any], **more: Any) -> Row:
    """A row as the export's lossless form gives it, through JSON."""
    fields = {
        **document,
        "_id": "d1",
        "_creationTime": CREATED,
        "_table": table,
        "_ts": 0,
        "_component": "",
        "_ab_cdc_lsn": 1,
    }
    read = msgspec.json.decode(msgspec.json.encode(encoded(fields, "convex_encoded_json")))
    given: dict[str, Any] = {
        "component": "",
        "table": table,
        "id": "d1",
        "ts": NOON_NS,
        "deleted": False,
        "fields": read,
    }
    return Row(**{**given, **more})


@pytest.mark.parametrize("table", TABLES)
def test_a_document_keeps_its_fields(table: str) -> None:
    change = change_of(TABLES[table], row(table, DOCUMENTS[table]), op="r")
    assert isinstance(change, ChangeLine)
    assert change.after == {**DOCUMENTS[table], "id": "d1", "_creationTime": CREATED}
    assert (change.entity, change.id, change.op) == (TABLES[table], "d1", "r")
    assert (change.seq, change.minor, change.ts_ms) == (NOON_NS, 0, 1_771_588_800_123)


def test_tables_map_to_all_six_entities() -> None:
    assert set(TABLES.values()) == set(Entity)


@pytest.mark.parametrize(
    ("table", "component"),
    [("chipAccounts", ""), ("companyAgents", ""), ("agentStatsCache", ""), ("tasks", "workpool")],
)
def test_other_tables_and_those_of_components_are_none_of_ours(table: str, component: str) -> None:
    assert entity_of(row(table, {}, component=component)) is None


@pytest.mark.parametrize("table", ["agents", "tasks", "userProfiles"])
def test_the_creation_time_stands_in_for_a_missing_created_at(table: str) -> None:
    document = {k: v for k, v in DOCUMENTS[table].items() if k != "createdAt"}
    change = change_of(TABLES[table], row(table, document), op="u")
    assert isinstance(change, ChangeLine)
    assert change.after is not None
    assert change.after["createdAt"] == "2026-02-20T11:58:20.000Z"


def test_a_deletion_has_the_version_of_its_transaction() -> None:
    gone = change_of(Entity.TASKS, row("tasks", {}, deleted=True, fields={}), op="u")
    assert gone == deletion(Entity.TASKS, "d1", NOON_NS)
    assert isinstance(gone, ChangeLine)
    assert (gone.op, gone.seq, gone.before) == ("d", NOON_NS, {"id": "d1"})


def test_a_time_that_is_none_is_left_to_the_publisher() -> None:
    change = change_of(Entity.AGENTS, row("agents", DOCUMENTS["agents"], ts=7), op="u")
    assert isinstance(change, ChangeLine)
    assert (change.seq, change.ts_ms) == (7, None)


@pytest.mark.parametrize(
    ("table", "fields", "reason"),
    [
        ("tasks", {"status": "lost"}, "bad_status"),
        ("executions", {"duration": -1}, "bad_duration"),
        ("executions", {"duration": math.nan}, "bad_duration"),
        ("executions", {"duration": math.inf}, "bad_duration"),
        ("executions", {"timestamp": "soon"}, "bad_time"),
        ("tasks", {"phase": math.nan}, "wrong_type"),
        ("builds", {"prdName": "a\0b"}, "unstorable_text"),
    ],
)
def test_what_cannot_be_applied_is_kept_with_its_reason(
    table: str, fields: dict[str, Any], reason: str
) -> None:
    change = change_of(TABLES[table], row(table, {**DOCUMENTS[table], **fields}), op="u")
    assert isinstance(change, Rejection)
    assert change.reason.reason == reason
    assert (change.id, change.seq, change.document["id"]) == ("d1", NOON_NS, "d1")


def test_what_is_no_value_of_convex_is_rejected() -> None:
    fields = {**DOCUMENTS["agents"], "model": {"$integer": "AAA="}}
    change = change_of(Entity.AGENTS, row("agents", {}, fields=fields), op="u")
    assert isinstance(change, Rejection)
    assert change.reason.reason == "wrong_type"
    assert "$integer holds 2 bytes instead of 8" in str(change.reason)


# -- values ----------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NAMES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=5)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | _TEXT
    | st.binary(max_size=20)
    | st.floats()
    | st.integers(-(2**63), 2**63 - 1).map(Int64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES)
def test_every_value_is_read_from_either_form(value: Any) -> None:
    wire = msgspec.json.decode(msgspec.json.encode(encoded(value, "convex_encoded_json")))
    read = plain_value(wire)
    assert read == plainly(value)
    assert b"NaN" not in msgspec.json.encode(read) or "NaN" in str(plainly(value))


@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, -7.0, 2.0**53])
def test_a_whole_float_is_written_as_javascript_does(number: float) -> None:
    wire = msgspec.json.decode(msgspec.json.encode(encoded(number, "convex_encoded_json")))
    assert str(plain_value(wire)) == str(int(number))
