"""A repair outranks the row that is wrong, and nothing that the source may yet send."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.errors import RejectedError
from nova_stream.events.change import (
    COMPARED_MINOR,
    SNAPSHOT_MINOR,
    Entity,
    Version,
    VersionKind,
)
from nova_stream.source_audit.compare import Difference
from nova_stream.source_audit.nova import NovaRow, Topic
from nova_stream.source_audit.repair import RepairPlace, kind_for, rank_of, repair_record
from nova_stream.storage.apply.fold import Rank
from tests.decoding import decode

_NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)


class _Kafka(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


def _row(number: int, minor: int, *, generation: int = 0, live: bool = True) -> NovaRow:
    return NovaRow(generation, Version(number, minor), 3, 77, live, {}, {})


def _stands(op: str, number: int, minor: int, kind: VersionKind) -> tuple[int, int]:
    """The version that the stream gives a record."""
    return number, minor + (SNAPSHOT_MINOR if kind is VersionKind.LSN and op == "r" else 0)


_NUMBERS = st.integers(0, 2**40)


@given(
    st.sampled_from(VersionKind),
    _NUMBERS,
    st.integers(0, 3),
    st.booleans(),
    st.integers(0, 1),
    st.none() | _NUMBERS,
)
def test_a_repair_lies_above_the_row_and_below_every_change_to_come(
    kind: VersionKind, number: int, minor: int, snapshot: bool, older: int, floor: int | None
) -> None:
    snapshot, older = snapshot and kind is VersionKind.LSN, older * (kind is VersionKind.LSN)
    minor += SNAPSHOT_MINOR if snapshot else 0
    place = RepairPlace("nova.tasks", kind, older, floor)
    op, generation, stated, beside = rank_of(_row(number, minor), place)
    assert stated is not None
    assert beside >= 0
    repaired = Rank(generation, *_stands(op, stated, beside, kind))
    assert repaired > (0, number, minor)
    # What the source streams behind a snapshot's row counts, unless the repair has seen it.
    seen = floor is not None and repaired == (older, floor, SNAPSHOT_MINOR + COMPARED_MINOR)
    assert seen or repaired.of_snapshot == (snapshot and number > 0)
    first_to_come = floor if older and floor is not None else max(number, floor or 0)
    assert repaired < (older, first_to_come + 1, SNAPSHOT_MINOR)


@given(st.sampled_from(VersionKind), st.none() | _NUMBERS)
def test_a_missing_row_is_inserted_below_every_change_to_come(
    kind: VersionKind, floor: int | None
) -> None:
    op, generation, number, minor = rank_of(None, RepairPlace("nova.tasks", kind, 2, floor))
    assert (op, generation) == ("r", 2)
    if number is None:
        assert kind is VersionKind.LSN, "a snapshot's row without an lsn inserts what is unknown"
    else:
        assert (number, minor) == ((floor, COMPARED_MINOR) if floor is not None else (0, 0))


def test_a_missing_row_without_a_place_is_what_an_incremental_snapshot_writes() -> None:
    record = repair_record(
        Difference(Entity.TASKS, "t-1", "missing", []),
        {"id": "t-1", "status": "done"},
        None,
        RepairPlace("nova.tasks", VersionKind.LSN),
        lambda: _NOW,
    )
    change = decode(Entity.TASKS, _Kafka(5, 0, record.key, record.value, record.headers), 0)
    assert change is not None
    assert (change.kind, change.number, change.minor) == (VersionKind.LSN, 0, SNAPSHOT_MINOR)


@pytest.mark.parametrize("kind", VersionKind)
def test_a_record_states_its_version_as_its_topic_does(kind: VersionKind) -> None:
    record = repair_record(
        Difference(Entity.TASKS, "t-1", "different", ["status"]),
        {"id": "t-1", "status": "done", "agent": "NOVA"},
        _row(41, 0),
        RepairPlace("nova.tasks", kind, 0, 99 if kind is VersionKind.LSN else None),
        lambda: _NOW,
    )
    value = json.loads(record.value or b"")
    assert (value["op"], value["after"]["status"]) == ("r", "done")
    stated = {name: value["source"].get(name) for name in ("seq", "lsn")}
    header = dict(record.headers).get("nova_version")
    assert (stated, header) == {
        VersionKind.LSN: ({"seq": None, "lsn": 99}, None),
        VersionKind.SEQ: ({"seq": 41, "lsn": None}, None),
        VersionKind.OFFSET: ({"seq": None, "lsn": None}, b"offset:41"),
    }[kind]
    assert (record.topic, record.partition, record.key) == ("nova.tasks", 3, b"t-1")


def test_a_surplus_row_is_deleted() -> None:
    record = repair_record(
        Difference(Entity.TASKS, "t-1", "surplus", []),
        None,
        _row(41, 2),
        RepairPlace("nova.tasks", VersionKind.SEQ),
        lambda: _NOW,
    )
    value = json.loads(record.value or b"")
    assert (value["op"], value["before"], value["after"]) == ("d", {"id": "t-1"}, None)
    assert (value["source"]["seq"], value["source"]["minor"]) == (41, 3)


def test_a_row_that_would_be_a_dead_letter_is_refused() -> None:
    with pytest.raises(RejectedError, match="allowed is pending"):
        repair_record(
            Difference(Entity.TASKS, "t-1", "missing", []),
            {"id": "t-1", "status": "odd"},
            None,
            RepairPlace("nova.tasks", VersionKind.SEQ),
            lambda: _NOW,
        )


def test_a_topic_that_nobody_has_written_to_gets_the_kind_of_the_others() -> None:
    topics = {Entity.TASKS: Topic(None, 0), Entity.BUILDS: Topic(VersionKind.SEQ, 0)}
    assert kind_for(Entity.BUILDS, topics, VersionKind.LSN) is VersionKind.SEQ
    assert kind_for(Entity.TASKS, topics, VersionKind.LSN) is VersionKind.SEQ
    del topics[Entity.BUILDS]
    assert kind_for(Entity.TASKS, topics, VersionKind.LSN) is VersionKind.LSN
