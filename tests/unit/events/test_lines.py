"""The JSON Lines shape: one change a line, every mistake named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nova_stream.events.change import Entity
from nova_stream.events.lines import change_line, parse_line

from .helpers import DOCUMENTS, NOON_MS, NOON_TEXT, document, rejected

TASK = DOCUMENTS[Entity.TASKS]


def line(**fields: Any) -> dict[str, Any]:
    return {"entity": "tasks", "op": "c", "seq": 1, "ts_ms": NOON_MS, "after": TASK} | fields


def test_a_whole_line_is_read() -> None:
    given = line(op="u", seq=5, minor=2, before={"id": "t-1"})
    for change in (parse_line(json.dumps(given)), parse_line(json.dumps(given).encode())):
        assert (change.entity, change.id, change.op) == (Entity.TASKS, "t-1", "u")
        assert (change.seq, change.minor, change.ts_ms) == (5, 2, NOON_MS)
        assert change.after == change.document == TASK
        assert change.before == {"id": "t-1"}


def test_seq_minor_and_time_may_be_left_out() -> None:
    change = parse_line(json.dumps({"entity": "tasks", "after": TASK}))
    assert (change.op, change.seq, change.minor, change.ts_ms) == ("u", None, 0, None)
    assert change.before is None


def test_op_is_u_with_a_document_and_d_without() -> None:
    assert change_line({"entity": "tasks", "after": TASK}).op == "u"
    for fields in ({"after": None}, {}):
        deletion = change_line({"entity": "tasks", "before": {"id": 7}} | fields)
        assert (deletion.op, deletion.id, deletion.document) == ("d", "7", {"id": 7})


def test_a_deletion_has_nothing_after() -> None:
    assert change_line(line(op="d", before={"id": "t-1"})).after is None


def test_seq_may_be_text_and_the_time_any_time() -> None:
    change = change_line(line(seq=str(2**63 - 1), ts_ms=NOON_TEXT))
    assert (change.seq, change.ts_ms) == (2**63 - 1, NOON_MS)


@pytest.mark.parametrize("entity", Entity)
def test_every_entity_has_its_lines(entity: Entity) -> None:
    assert change_line({"entity": entity.value, "after": DOCUMENTS[entity]}).entity is entity


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "wrong_shape"),
        (None, "wrong_shape"),
        (line(entity=None), "bad_entity"),
        (line(entity="task"), "bad_entity"),
        (line(entity=["tasks"]), "bad_entity"),
        (line(op="x"), "bad_op"),
        (line(op=["c"]), "bad_op"),
        (line(after=None), "wrong_shape"),
        (line(after=5), "wrong_type"),
        (line(before="x"), "wrong_type"),
        (line(seq=-1), "bad_version"),
        (line(seq="x"), "bad_version"),
        (line(seq=2**63), "bad_version"),
        (line(minor=-1), "bad_version"),
        (line(minor="1"), "bad_version"),
        (line(ts_ms="soon"), "bad_time"),
        (line(ts_ms=[]), "wrong_type"),
        (line(op="d", before=None), "missing_id"),
        (line(op="d", before={}), "missing_id"),
        (line(op="d", before={"id": []}), "wrong_type"),
        (line(op="d", before={"id": "\x00"}), "unstorable_text"),
        (line(after=document(Entity.TASKS, id="")), "missing_id"),
        (line(after=document(Entity.TASKS, status="x")), "bad_status"),
        (line(after=document(Entity.TASKS, title="\x00")), "unstorable_text"),
    ],
)
def test_every_mistake_has_its_reason(given: object, expected: str) -> None:
    assert rejected(lambda: change_line(given)).reason == expected
    assert rejected(lambda: parse_line(json.dumps(given))).reason == expected


@pytest.mark.parametrize("text", ["", "{", "\ud800", b"\xff", "{'entity': 1}"])
def test_a_line_that_is_no_json_is_bad_json(text: Any) -> None:
    error = rejected(lambda: parse_line(text))
    assert error.reason == "bad_json"
    assert str(error).startswith("the line is not JSON")


def test_messages_say_what_is_allowed() -> None:
    assert str(rejected(lambda: change_line(line(entity="task")))) == (
        "$.entity is 'task'; allowed is agents, builds, tasks, executions, activities, users"
    )
    missing = rejected(lambda: change_line({"entity": "tasks"}))
    assert str(missing) == "$.before.id is missing; a deletion names its entity there"
