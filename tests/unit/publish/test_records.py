"""Records: what is published is what the stream decodes, on the partition of every Kafka client."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka.partitioner import murmur2 as aiokafkas_murmur2
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity, VersionKind
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.kafka.records import (
    MAX_RECORD_BYTES,
    Outgoing,
    RecordMaker,
    check_parts,
    murmur2,
    partition_of,
)
from tests.decoding import decode

from .helpers import NOON_MS, TASK, noon

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@dataclass(frozen=True)
class Record:
    """A Kafka record as it arrives."""

    value: bytes | None
    key: bytes | None
    headers: Any
    offset: int = 9
    timestamp: int = 1


def make(**fields: Any) -> Outgoing:
    return RecordMaker("main-app", noon).make(change_line({"entity": "tasks", **fields}))


def arrived(record: Outgoing) -> Record:
    return Record(record.value, record.key, record.headers)


@given(st.binary(max_size=70))
def test_keys_are_hashed_as_by_every_other_client(key: bytes) -> None:
    assert murmur2(key) == aiokafkas_murmur2(key)


@pytest.mark.parametrize(
    ("key", "expected"),
    # From the tests of Kafka's own clients (UtilsTest.testMurmur2), as unsigned numbers.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_keys_are_hashed_as_by_java(key: bytes, expected: int) -> None:
    assert murmur2(key) == expected % 2**32
    assert partition_of(key, 8) == (expected & 0x7FFFFFFF) % 8


@given(
    st.dictionaries(st.sampled_from([*TASK, "note", "build_id", "error"]), JSON, max_size=3),
    st.dictionaries(st.text(max_size=5), JSON, max_size=2) | st.none(),
    st.sampled_from("curd"),
    st.none() | st.integers(),
    st.none() | st.integers(),
)
def test_what_is_accepted_never_becomes_a_dead_letter(
    fields: dict[str, Any],
    before: dict[str, Any] | None,
    op: str,
    seq: int | None,
    ts_ms: int | None,
) -> None:
    if op == "d":
        before = {**(before or {}), "id": fields.get("id", "t-1")}
    change = {"op": op, "after": TASK | fields, "before": before, "seq": seq, "ts_ms": ts_ms}
    try:
        record = make(**change)
    except RejectedError:
        return

    decoded = decode(Entity.TASKS, arrived(record), 0)

    assert decoded is not None
    assert decoded.id == record.id == record.key.decode()
    assert decoded.deleted == (op == "d")
    assert decoded.kind is VersionKind.SEQ
    assert seq is None or decoded.number == seq


def test_a_record_tells_the_version_the_time_and_the_source() -> None:
    record = RecordMaker("shop", noon).make(
        change_line({"entity": "tasks", "after": TASK, "seq": 7, "minor": 2, "before": {"a": 1}})
    )

    assert json.loads(record.value) == {
        "op": "u",
        "ts_ms": NOON_MS,
        "before": {"a": 1},
        "after": TASK,
        "source": {"connector": "nova", "name": "shop", "seq": 7, "minor": 2, "ts_ms": NOON_MS},
    }
    headers = dict(record.headers)
    assert headers["ce_type"] == b"nova.tasks.updated"
    assert headers["ce_source"] == b"shop"
    assert headers["ce_subject"] == record.key == b"t-1"


def test_versions_rise_though_the_clock_stands_still() -> None:
    maker = RecordMaker("main-app", noon)
    change = change_line({"entity": "tasks", "after": TASK})

    numbers = [json.loads(maker.make(change).value)["source"]["seq"] for _ in range(3)]

    assert numbers == [NOON_MS * 1000, NOON_MS * 1000 + 1, NOON_MS * 1000 + 2]


@pytest.mark.parametrize("ts_ms", [-1, 0, 5, 10**11 - 1, 10**14])
def test_a_time_that_readers_would_take_for_another_unit_is_refused(ts_ms: int) -> None:
    change = ChangeLine(Entity.TASKS, "t-1", "u", 1, 0, ts_ms, TASK, None)

    with pytest.raises(RejectedError, match="ts_ms") as caught:
        RecordMaker("main-app", noon).make(change)
    with pytest.raises(RejectedError, match="ts_ms"):
        check_parts(change)

    assert caught.value.reason == "bad_time"


def test_a_record_larger_than_the_topics_take_is_refused() -> None:
    with pytest.raises(RejectedError, match=r"tasks 't-1' makes a record of \d+ bytes") as caught:
        make(after=TASK | {"output": "x" * MAX_RECORD_BYTES})

    assert caught.value.reason == "too_large"
    assert len(make(after=TASK | {"output": "x" * (MAX_RECORD_BYTES - 1000)}).value) > 10**7


def test_a_document_that_is_too_deep_inside_of_its_record_is_refused() -> None:
    def nested(levels: int) -> Any:
        note: Any = "x"
        for _ in range(levels):
            note = [note]
        return TASK | {"note": note}

    depth = next(
        levels for levels in range(200, 300) if not _publishable({"after": nested(levels)})
    )

    record = make(after=nested(depth - 1))
    assert decode(Entity.TASKS, arrived(record), 0) is not None
    assert not _publishable({"after": TASK, "before": nested(depth + 1)})


def _publishable(fields: dict[str, Any]) -> bool:
    try:
        make(**fields)
    except RejectedError as error:
        assert error.reason == "too_deep"
        return False
    return True
