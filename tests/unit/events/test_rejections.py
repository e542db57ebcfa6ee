"""What belongs among the dead letters, each with its reason."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.errors import RejectedError
from nova_stream.events import decode as module
from nova_stream.events import json_text
from nova_stream.events.change import BUILD_STATUSES, TASK_STATUSES, Entity
from nova_stream.events.json_text import MAX_DEPTH, has_more_values, too_deep

from .helpers import (
    DOCUMENTS,
    MARK,
    Record,
    document,
    dumps,
    envelope,
    read,
    reason,
    rejected,
    without,
)

TASKS, EXECUTIONS = Entity.TASKS, Entity.EXECUTIONS


def task(**fields: Any) -> dict[str, Any]:
    return envelope(document(TASKS, **fields))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"{'op': 1}",
        b"\xff\xfe",
        b"\x00",
        b'{"op":"c"} x',
        b'{"op":NaN}',
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b'{"op":"c","after":{"id":"\xff","status":"done"}}',
        b'{"op":"c","after":{"id":"\xed\xa0\x80","status":"done"}}',
        b'{"op":"c","after":{"id":"a\nb","status":"done"}}',
        b'{"op":"c","after":{"id":"\\x","status":"done"}}',
        b'{"op":"c","after":{"id":"1","status":"done","x":01}}',
    ],
)
def test_what_is_no_json_is_bad_json(value: bytes) -> None:
    assert reason(TASKS, value) == "bad_json"


@pytest.mark.parametrize(
    "value",
    [
        [],
        5,
        "text",
        {},
        {"id": "t-1", "colour": "red"},
        {"payload": []},
        {"payload": {}},
        {"op": "c"},
        {"op": "u", "after": None},
    ],
)
def test_json_that_is_no_change_record_has_the_wrong_shape(value: object) -> None:
    assert reason(TASKS, value) == "wrong_shape"


@pytest.mark.parametrize("op", ["x", "", "C", "create", 1, None, ["c"], {}])
def test_an_operation_outside_of_the_list_is_a_bad_op(op: Any) -> None:
    assert reason(TASKS, envelope(DOCUMENTS[TASKS], op)) == "bad_op"


def test_a_truncation_of_lsns_without_one_cannot_be_put_in_order() -> None:
    source = {"connector": "postgresql", "lsn": None}
    assert reason(TASKS, {"op": "t", "ts_ms": 1, "source": source}) == "bad_version"


@pytest.mark.parametrize(
    "value",
    [
        envelope("text"),
        envelope([]),
        envelope(DOCUMENTS[TASKS], source=5),
        envelope(DOCUMENTS[TASKS], ts_ms=True),
        envelope(None, "d", before={"id": []}),
        task(id=1.5),
        task(id=True),
        task(id={}),
        task(title=5),
        task(agent=5),
        task(status=5),
        task(buildId=1.5),
        task(buildId=False),
        task(taskId=[]),
        task(dependencies={}),
        task(dependencies="t-1"),
        task(dependencies='{"a":1}'),
        task(dependencies=""),
        task(phase="one"),
        task(phase=True),
        task(phase=[]),
        task(attempts=10**301),
        task(createdAt=[]),
        task(createdAt=True),
    ],
)
def test_another_json_type_is_a_wrong_type(value: object) -> None:
    assert reason(TASKS, value) == "wrong_type"


@pytest.mark.parametrize("flag", [2, "true", "2", "1e0", [], -1, 0.5])
def test_a_flag_that_is_neither_true_nor_false_is_a_wrong_type(flag: object) -> None:
    assert reason(EXECUTIONS, envelope(document(EXECUTIONS, gatesPassed=flag))) == "wrong_type"
    users = envelope(document(Entity.USERS, globalWisdomOptIn=flag))
    assert reason(Entity.USERS, users) == "wrong_type"


@pytest.mark.parametrize("duration", [True, [], {}, {"scale": 1}])
def test_a_duration_that_is_no_number_is_a_wrong_type(duration: object) -> None:
    assert reason(EXECUTIONS, envelope(document(EXECUTIONS, duration=duration))) == "wrong_type"


@pytest.mark.parametrize("text", ["-1", "-0.001", "1.1e300", "1e301", "1" * 302, "1e-2000"])
def test_a_duration_below_0_or_above_1e300_is_a_bad_duration(text: str) -> None:
    value = dumps(envelope(document(EXECUTIONS, duration=929))).replace(b"929", text.encode())
    assert reason(EXECUTIONS, value) == "bad_duration"


@pytest.mark.parametrize("text", ["1e400000", "1e99999999999999999999", "-1e-20000", "1" * 5000])
def test_numbers_that_postgres_cannot_hold_are_unstorable(text: str) -> None:
    value = dumps(envelope(document(EXECUTIONS, duration=929))).replace(b"929", text.encode())
    assert reason(EXECUTIONS, value) == "unstorable_number"


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-02-30T00:00:00Z", 10**25])
def test_an_unreadable_time_is_a_bad_time(text: object) -> None:
    assert reason(TASKS, task(createdAt=text)) == "bad_time"
    assert reason(Entity.BUILDS, envelope(document(Entity.BUILDS, completedAt=text))) == "bad_time"
    assert reason(TASKS, envelope(DOCUMENTS[TASKS], source={"ts_ms": text})) == "bad_time"
    assert reason(TASKS, envelope(DOCUMENTS[TASKS], ts_ms=text)) == "bad_time"


def test_a_missing_or_empty_id_is_a_missing_id() -> None:
    assert reason(TASKS, envelope(without(DOCUMENTS[TASKS], ["id"]))) == "missing_id"
    assert reason(TASKS, task(id=None)) == "missing_id"
    assert reason(TASKS, task(id="")) == "missing_id"


@pytest.mark.parametrize(
    ("entity", "field"),
    [(Entity.BUILDS, "status"), (TASKS, "status"), (Entity.AGENTS, "name")],
)
def test_a_field_that_the_counting_needs_must_be_there(entity: Entity, field: str) -> None:
    assert reason(entity, envelope(without(DOCUMENTS[entity], [field]))) == "missing_field"
    assert reason(entity, envelope(document(entity, **{field: None}))) == "missing_field"


@pytest.mark.parametrize("status", ["", "Done", "archived", "completed"])
def test_a_status_outside_of_the_list_is_a_bad_status(status: str) -> None:
    assert reason(TASKS, task(status=status)) == "bad_status"
    if status != "completed":
        assert reason(Entity.BUILDS, envelope(document(Entity.BUILDS, status=status))) == (
            "bad_status"
        )


def test_every_status_of_the_lists_is_read() -> None:
    for status in TASK_STATUSES:
        assert read(TASKS, task(status=status)).values[2] == status
    for status in BUILD_STATUSES:
        given = envelope(document(Entity.BUILDS, status=status))
        assert read(Entity.BUILDS, given).values[0] == status


@pytest.mark.parametrize("identity", ["k" * 1025, "é" * 513, "😀" * 257, 10**1024])
def test_an_id_above_1024_bytes_is_too_long(identity: object) -> None:
    assert reason(TASKS, task(id=identity)) == "id_too_long"
    assert reason(TASKS, envelope(None, "d", before={"id": identity})) == "id_too_long"
    if isinstance(identity, str):
        key = identity.encode()
        assert reason(TASKS, envelope({"status": "done"}), key=key) == "id_too_long"


@pytest.mark.parametrize(
    ("entity", "field"),
    [
        (Entity.AGENTS, "name"),
        (TASKS, "agent"),
        (TASKS, "buildId"),
        (TASKS, "taskId"),
        (EXECUTIONS, "agent"),
        (EXECUTIONS, "taskId"),
        (Entity.ACTIVITIES, "taskId"),
    ],
)
@pytest.mark.parametrize("text", ["k" * 1025, "é" * 513])
def test_an_indexed_value_above_1024_bytes_is_too_long(
    entity: Entity, field: str, text: str
) -> None:
    assert reason(entity, envelope(document(entity, **{field: text}))) == "value_too_long"


@pytest.mark.parametrize(
    "text",
    ["\\u0000", "a\\u0000b", "\\ud800", "\\udc00", "\\ud800x", "\\ud83d\\ud83d", "\\uDFFF"],
)
def test_text_that_postgres_cannot_store_is_unstorable_wherever_it_stands(text: str) -> None:
    for place in ("title", "id", "agent", "unknown"):
        value = dumps(task(**{place: "PLACE"})).replace(b"PLACE", text.encode())
        assert reason(TASKS, value) == "unstorable_text"
    nested = dumps(task(deep=[{"PLACE": 1}])).replace(b"PLACE", text.encode())
    assert reason(TASKS, nested) == "unstorable_text"


def test_nul_in_an_id_that_is_not_in_the_document_is_unstorable_too() -> None:
    assert reason(TASKS, envelope({"status": "done"}), key=b"a\x00b") == "unstorable_text"
    assert reason(TASKS, envelope(None, "d"), key=b'"a\\u0000b"') == "unstorable_text"
    assert reason(TASKS, envelope(None, "d", before={"id": "\x00"})) == "unstorable_text"


def test_nul_in_a_json_column_is_unstorable() -> None:
    assert reason(TASKS, task(dependencies='["\\u0000"]')) == "unstorable_text"


def test_what_only_looks_like_nul_is_fine_and_so_is_what_is_not_stored() -> None:
    assert read(TASKS, task(title="\\u0000 \\\\u0000")).id == "t-1"
    given = envelope(document(TASKS, createdAt="2026-02-20"), before={"title": "\x00"})
    assert read(TASKS, given).id == "t-1"


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, 2000, 200_000])
def test_nesting_beyond_the_limit_is_too_deep(depth: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        for inner in (b"1", b'"]]]]"'):
            deep = opening * depth + inner + closing * depth
            value = dumps(task(deep="PLACE")).replace(b'"PLACE"', deep)
            assert reason(TASKS, value) == "too_deep"


def test_a_key_that_is_needed_may_not_be_too_deep_either() -> None:
    key = b'{"id":' + b"[" * 300 + b"]" * 300 + b"}"
    assert reason(TASKS, envelope({"status": "done"}), key=key) == "too_deep"


def test_a_stack_that_is_nearly_full_makes_a_record_too_deep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overflow(_: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr(json_text, "_decode", overflow)
    assert reason(TASKS, b"{}") == "too_deep"


def test_a_json_column_may_not_be_too_deep_either() -> None:
    assert reason(TASKS, task(dependencies="[" * 300 + "]" * 300)) == "too_deep"


@pytest.mark.parametrize("seq", [-1, 2**63, "-1", "x", "", "7 ", str(2**63), 1.5, True, [], "٣"])
def test_a_version_that_is_none_is_a_bad_version(seq: object) -> None:
    assert reason(TASKS, envelope(DOCUMENTS[TASKS], source={"seq": seq})) == "bad_version"
    assert reason(TASKS, envelope(DOCUMENTS[TASKS], source={"lsn": seq})) == "bad_version"


@pytest.mark.parametrize("minor", [-1, 2**31, "1", 1.5, True])
def test_a_minor_that_is_none_is_a_bad_version(minor: object) -> None:
    source = {"seq": 1, "minor": minor}
    assert reason(TASKS, envelope(DOCUMENTS[TASKS], source=source)) == "bad_version"


@pytest.mark.parametrize("value", [b"7", b"offset:", b"offset:-1", b"seq:7", b"offset:\xff"])
def test_a_version_header_that_is_none_is_a_bad_version(value: bytes) -> None:
    given = envelope(DOCUMENTS[TASKS], source=None)
    assert reason(TASKS, given, headers=[("nova_version", value)]) == "bad_version"


def test_messages_name_place_finding_and_what_is_allowed_but_never_whole_values() -> None:
    long = "very " * 5000
    errors = [
        rejected(lambda: read(TASKS, task(status=long))),
        rejected(lambda: read(TASKS, task(createdAt=long))),
        rejected(lambda: read(TASKS, task(id=long))),
        rejected(lambda: read(TASKS, task(dependencies=long))),
        rejected(lambda: read(TASKS, task(title=[long] * 50))),
        rejected(lambda: read(TASKS, task(title={long: long}))),
        rejected(lambda: read(TASKS, task(phase=10**2000))),
        rejected(lambda: read(TASKS, envelope(DOCUMENTS[TASKS], long))),
        rejected(lambda: read(TASKS, [long])),
        rejected(lambda: read(TASKS, dumps(long) + b"x")),
        rejected(lambda: read(TASKS, task(title=f"\x00{long}"))),
    ]
    assert all(len(str(error)) < 300 for error in errors)
    assert str(errors[0]) == (
        "$.after.status is 'very very very very very very very very very very very very…; "
        "allowed is pending, ready, running, done, failed, blocked"
    )
    wrapped = rejected(lambda: read(TASKS, {"payload": task(status="x")}))
    assert str(wrapped).startswith("$.payload.after.status is 'x'")


def test_an_unforeseen_failure_is_a_rejection_with_its_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(module, "open_envelope", fail)
    with pytest.raises(RejectedError, match="no room") as caught:
        module.Decoder(TASKS).decode(Record(b"{}"), 0)
    assert caught.value.reason == "undecodable"
    assert isinstance(caught.value.__cause__, MemoryError)


def test_the_marks_of_values_left_out_are_no_status() -> None:
    assert reason(TASKS, task(status=f"{MARK} ")) == "bad_status"


@pytest.mark.parametrize("escape", [b'\\"', b"\\\\", b"\\n", b'\\""'])
def test_a_text_that_is_cut_off_is_looked_at_once(escape: bytes) -> None:
    """A megabyte would take hours if each of its quotes were tried as the start of a text."""
    data = b"[" * 257 + b'"' + escape * 500_000
    assert too_deep(data) in (True, False)
    assert has_more_values(b"," * 600 + data, 500) in (True, False)
