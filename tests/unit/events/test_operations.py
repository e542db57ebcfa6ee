"""Operations and versions as connectors write them: snapshots, truncations, messages, times."""

from __future__ import annotations

from typing import Any

import pytest

from nova_stream.events.change import SNAPSHOT_MINOR, Entity, Origin, VersionKind
from nova_stream.events.envelope import VERSION_HEADER
from nova_stream.events.record_version import origin_header
from tests.decoding import decode

from .helpers import DOCUMENTS, NOON, NOON_MS, Record, dumps, envelope, read, rejected

TASKS = Entity.TASKS
TASK = DOCUMENTS[TASKS]
SEQ, LSN, OFFSET = VersionKind.SEQ, VersionKind.LSN, VersionKind.OFFSET


def source(**more: Any) -> dict[str, Any]:
    return {"connector": "postgresql", "name": "app", "ts_ms": NOON_MS, **more}


@pytest.mark.parametrize("wrapped", [False, True], ids=["fast", "careful"])
@pytest.mark.parametrize(
    ("op", "of", "expected"),
    [
        ("c", source(lsn=9), (LSN, 9, 0, False)),
        ("u", source(lsn=9, minor=2), (LSN, 9, 2, False)),
        ("r", source(lsn=9), (LSN, 9, SNAPSHOT_MINOR, False)),
        ("r", source(lsn="9"), (LSN, 9, SNAPSHOT_MINOR, False)),
        ("r", source(lsn=9, minor=2), (LSN, 9, SNAPSHOT_MINOR + 2, False)),
        ("r", source(lsn=None), (LSN, 0, SNAPSHOT_MINOR, False)),
        ("r", {"lsn": None}, (LSN, 0, SNAPSHOT_MINOR, False)),
        ("r", source(), (OFFSET, 41, 0, True)),
        ("r", source(connector="mysql"), (OFFSET, 41, 0, True)),
        ("r", source(connector="mysql", lsn=None), (OFFSET, 41, 0, True)),
        ("r", None, (OFFSET, 41, 0, True)),
        ("c", source(), (OFFSET, 41, 0, False)),
        ("c", source(lsn=None), (OFFSET, 41, 0, False)),
        ("r", source(seq=7), (SEQ, 7, 0, False)),
        ("r", source(seq=7, lsn=9), (SEQ, 7, 0, False)),
    ],
)
def test_a_snapshots_row_ranks_below_the_changes_that_have_its_lsn(
    op: str, of: dict[str, Any] | None, expected: tuple[Any, ...], wrapped: bool
) -> None:
    value = envelope(TASK, op, source=of)
    change = read(TASKS, {"payload": value} if wrapped else value)
    assert (change.kind, change.number, change.minor, change.snapshot) == expected


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (source(lsn=9), (LSN, 9)),
        (source(seq=9), (SEQ, 9)),
        (source(connector="mysql"), (OFFSET, 41)),
        (None, (OFFSET, 41)),
    ],
)
@pytest.mark.parametrize("key", [None, b"x"])
def test_a_truncation_is_a_deletion_of_everything(
    of: dict[str, Any] | None, expected: tuple[Any, ...], key: bytes | None
) -> None:
    value = {"op": "t", "ts_ms": NOON_MS, "before": None, "after": None, "source": of}
    change = read(TASKS, value, key=key)
    assert (change.kind, change.number) == expected
    assert change.truncates
    assert (change.deleted, change.doc, set(change.values)) == (True, None, {None})
    assert change.changed_at == NOON
    assert not read(TASKS, envelope(TASK)).truncates


@pytest.mark.parametrize("key", [None, b"x"])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"schema": None, "payload": v}])
def test_a_message_of_the_source_is_ignored(wrap: Any, key: bytes | None) -> None:
    message = {"prefix": "p", "content": "AAE="}
    value = {"op": "m", "ts_ms": NOON_MS, "source": source(lsn=9), "message": message}
    assert decode(TASKS, Record(dumps(wrap(value)), key=key), 3) is None


@pytest.mark.parametrize("ts_ms", [0, -1, -(2**63), 1, 0.0])
def test_a_source_time_that_cannot_be_one_says_nothing(ts_ms: int) -> None:
    given = envelope(TASK, "r", source=source(lsn=9, ts_ms=ts_ms), ts_ms=NOON_MS + 40)
    change = read(TASKS, given)
    assert ((change.changed_at - NOON).total_seconds(), change.timed) == (0.04, False)
    timeless = read(TASKS, envelope(TASK, source=source(lsn=9, ts_ms=ts_ms), ts_ms=0))
    assert timeless.changed_at == NOON, "the document's own time"


@pytest.mark.parametrize("wrapped", [False, True], ids=["fast", "careful"])
def test_only_the_sources_own_time_tells_the_order_of_its_changes(wrapped: bool) -> None:
    def timed(of: dict[str, Any]) -> bool:
        value = envelope(TASK, source=of)
        return read(TASKS, {"payload": value} if wrapped else value).timed

    assert timed(source(lsn=9))
    assert not timed({"lsn": 9})


@pytest.mark.parametrize("wrapped", [False, True], ids=["fast", "careful"])
def test_a_record_published_again_keeps_its_place_and_its_sources_generation(wrapped: bool) -> None:
    origin = Origin(generation=2, partition=5, offset=77, source_generation=1)
    value = envelope(TASK, source=source(lsn=9))
    change = read(
        TASKS,
        {"payload": value} if wrapped else value,
        headers=[("a", b"b"), origin_header(origin)],
    )
    assert (change.kind, change.number, change.offset) == (LSN, 9, 41)
    assert (change.origin, change.source_generation) == (origin, 1)
    other = read(TASKS, envelope(TASK, source=source(seq=9)), headers=[origin_header(origin)])
    assert (other.kind, other.origin) == (SEQ, None)


@pytest.mark.parametrize("text", [b"lsn:1:2:3", b"lsn:x", b"\xff", b"offset:3"])
def test_a_header_that_says_no_place_says_nothing_of_an_lsn(text: bytes) -> None:
    change = read(TASKS, envelope(TASK, source=source(lsn=9)), headers=[(VERSION_HEADER, text)])
    assert (change.number, change.origin) == (9, None)
    refused = rejected(
        lambda: read(TASKS, envelope(TASK, source=None), headers=[(VERSION_HEADER, b"lsn:1:2:3:4")])
    )
    assert refused.reason == "bad_version"


def test_only_nova_stream_says_a_sources_generation_in_the_record() -> None:
    own = read(TASKS, envelope(TASK, source=source(connector="nova", lsn=9, generation=3)))
    other = read(TASKS, envelope(TASK, source=source(lsn=9, generation=3)))
    assert (own.source_generation, other.source_generation) == (3, None)
