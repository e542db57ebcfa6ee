"""What the publisher writes is what the decoder reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.clock import from_millis
from nova_stream.events.change import Entity, Version, VersionKind
from nova_stream.events.encode import (
    Op,
    cloudevents_headers,
    encode_change,
    encode_key,
    validate_document,
)
from tests.decoding import decode

from .helpers import (
    DOCUMENTS,
    MARK,
    NOON,
    NOON_MS,
    NOON_TEXT,
    Record,
    doc_of,
    document,
    dumps,
    envelope,
    read,
    reason,
    rejected,
    without,
)

VERSIONS = st.builds(Version, st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1))
OPS: list[Op] = ["c", "u", "r", "d"]
LONE: Any = "\ud800"


@given(
    st.sampled_from(list(Entity)),
    st.sampled_from(OPS),
    VERSIONS,
    st.integers(10**11, 10**13),
    st.text().filter(lambda text: "\x00" not in text),
)
def test_what_is_encoded_is_decoded_to_the_same(
    entity: Entity, op: Op, version: Version, ts_ms: int, text: str
) -> None:
    given_document = DOCUMENTS[entity] | {"note": text}
    value = encode_change(entity, op, given_document, version=version, ts_ms=ts_ms)
    headers = cloudevents_headers(entity, op, "x", version, ts_ms=ts_ms)
    change = decode(entity, Record(value, key=b"x", headers=headers), 0)
    assert change is not None
    assert (change.number, change.minor, change.kind) == (*version, VersionKind.SEQ)
    assert change.changed_at == from_millis(ts_ms)
    assert change.id == given_document["id"]
    assert change.deleted == (op == "d")
    assert change.deleted or doc_of(change) == given_document


def test_a_record_has_the_contracts_form() -> None:
    value = encode_change(
        Entity.TASKS,
        "u",
        {"id": "t-1", "status": "done"},
        before={"id": "t-1", "status": "running"},
        version=Version(7, 1),
        ts_ms=NOON_MS,
        source_name="bridge",
    )
    assert json.loads(value) == {
        "op": "u",
        "ts_ms": NOON_MS,
        "before": {"id": "t-1", "status": "running"},
        "after": {"id": "t-1", "status": "done"},
        "source": {"connector": "nova", "name": "bridge", "seq": 7, "minor": 1, "ts_ms": NOON_MS},
    }


@pytest.mark.parametrize(
    ("given_document", "before"),
    [({"id": "t-1"}, None), (None, {"id": "t-1"}), ({"id": "other"}, {"id": "t-1"})],
)
def test_a_deletion_has_what_is_known_in_before_and_nothing_after(
    given_document: dict[str, Any] | None, before: dict[str, Any] | None
) -> None:
    value = encode_change(
        Entity.TASKS, "d", given_document, before=before, version=Version(1), ts_ms=NOON_MS
    )
    assert json.loads(value)["before"] == {"id": "t-1"}
    assert json.loads(value)["after"] is None


def test_a_change_that_cannot_be_written_is_rejected() -> None:
    def encode(op: Any, given_document: Any) -> str:
        version = Version(1)
        return rejected(
            lambda: encode_change(Entity.TASKS, op, given_document, version=version, ts_ms=NOON_MS)
        ).reason

    endless: list[Any] = []
    endless.append(endless)
    assert encode("x", {"id": "t-1"}) == "bad_op"
    assert encode("d", None) == "missing_id"
    assert encode("d", {"name": "x"}) == "missing_id"
    assert encode("c", {"id": "t-1", "x": object()}) == "wrong_type"
    assert encode("c", {"id": "t-1", "x": LONE}) == "unstorable_text"
    assert encode("c", {"id": "t-1", "x": endless}) == "too_deep"


def test_decimals_and_datetimes_of_python_are_written_exactly() -> None:
    given_document = document(
        Entity.EXECUTIONS, duration=Decimal("12345678901234567890.125"), timestamp=NOON
    )
    validate_document(Entity.EXECUTIONS, given_document)
    value = encode_change(Entity.EXECUTIONS, "c", given_document, version=Version(1), ts_ms=NOON_MS)
    change = read(Entity.EXECUTIONS, value)
    assert change.values[2:] == ("12345678901234567890.125", NOON)
    assert doc_of(change)["timestamp"] == NOON_TEXT


def test_a_key_is_the_id_as_text() -> None:
    assert encode_key("ключ-1") == "ключ-1".encode()
    assert rejected(lambda: encode_key("a\x00")).reason == "unstorable_text"
    assert rejected(lambda: encode_key(LONE)).reason == "unstorable_text"


def test_headers_are_cloudevents_in_binary_mode() -> None:
    headers = cloudevents_headers(Entity.TASKS, "r", "t-ключ", Version(7, 1), ts_ms=NOON_MS)
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": "tasks:7.1:t-ключ".encode(),
        "ce_source": b"main-app",
        "ce_type": b"nova.tasks.snapshot",
        "ce_time": b"2026-02-20T12:00:00.000Z",
        "ce_subject": "t-ключ".encode(),
        "content-type": b"application/json",
    }
    assert len(headers) == 7


@pytest.mark.parametrize(
    ("op", "word"), [("c", b"created"), ("u", b"updated"), ("d", b"deleted"), ("r", b"snapshot")]
)
def test_the_type_of_an_event_says_what_happened(op: Op, word: bytes) -> None:
    headers = dict(cloudevents_headers(Entity.USERS, op, "u-1", Version(1), ts_ms=NOON_MS))
    assert headers["ce_type"] == b"nova.users." + word


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Entity)), st.text(st.sampled_from("1.:"), max_size=4), VERSIONS
        ),
        unique=True,
    )
)
def test_events_have_one_id_each_and_always_the_same(
    events: list[tuple[Entity, str, Version]],
) -> None:
    def ids() -> list[bytes]:
        return [
            dict(cloudevents_headers(entity, "u", identity, version, ts_ms=NOON_MS))["ce_id"]
            for entity, identity, version in events
        ]

    assert ids() == ids()
    assert len(set(ids())) == len(events)


@pytest.mark.parametrize("ts_ms", [10**15, -(10**15), 10**30])
def test_headers_need_a_time_that_can_be_written(ts_ms: int) -> None:
    error = rejected(lambda: cloudevents_headers(Entity.TASKS, "c", "x", Version(1), ts_ms=ts_ms))
    assert error.reason == "bad_time"


@pytest.mark.parametrize("entity", Entity)
def test_good_documents_are_valid(entity: Entity) -> None:
    validate_document(entity, DOCUMENTS[entity])
    validate_document(entity, {"id": 1, "status": "running", "name": "ATLAS", "\\u0000": None})
    validate_document(entity, document(entity, createdAt=NOON_MS, timestamp=datetime.now(UTC)))


@pytest.mark.parametrize(
    ("entity", "fields"),
    [
        (Entity.TASKS, {"status": "nope"}),
        (Entity.TASKS, {"createdAt": "yesterday"}),
        (Entity.TASKS, {"title": "\x00"}),
        (Entity.TASKS, {"id": "k" * 2000}),
        (Entity.TASKS, {"id": ""}),
        (Entity.TASKS, {"agent": "é" * 600}),
        (Entity.TASKS, {"dependencies": "x"}),
        (Entity.EXECUTIONS, {"duration": -1}),
        (Entity.EXECUTIONS, {"gatesPassed": "yes"}),
        (Entity.AGENTS, {"name": None}),
        (Entity.AGENTS, {"name": 5}),
    ],
)
def test_validation_and_decoding_reject_for_the_same_reason(
    entity: Entity, fields: dict[str, Any]
) -> None:
    given_document = document(entity, **fields)
    error = rejected(lambda: validate_document(entity, given_document))
    assert error.reason == reason(entity, envelope(given_document))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"duration": float("nan")}, "unstorable_number"),
        ({"x": {"y": [float("inf")]}}, "unstorable_number"),
        ({"x": LONE}, "unstorable_text"),
        ({"x": ["\x00"]}, "unstorable_text"),
        ({"x": object()}, "wrong_type"),
    ],
)
def test_validation_sees_what_only_python_can_have(fields: dict[str, Any], expected: str) -> None:
    given_document = document(Entity.EXECUTIONS, **fields)
    error = rejected(lambda: validate_document(Entity.EXECUTIONS, given_document))
    assert error.reason == expected


def test_validation_needs_a_document_with_an_id() -> None:
    empty: Any = None
    assert rejected(lambda: validate_document(Entity.TASKS, empty)).reason == "wrong_shape"
    idless = without(DOCUMENTS[Entity.TASKS], ["id"])
    assert rejected(lambda: validate_document(Entity.TASKS, idless)).reason == "missing_id"
    marked = document(Entity.TASKS, id=MARK)
    assert rejected(lambda: validate_document(Entity.TASKS, marked)).reason == "missing_id"


def test_validation_looks_at_nesting() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    given_document = document(Entity.TASKS, deep=deep)
    assert rejected(lambda: validate_document(Entity.TASKS, given_document)).reason == "too_deep"
    assert reason(Entity.TASKS, dumps(envelope(given_document))) == "too_deep"
