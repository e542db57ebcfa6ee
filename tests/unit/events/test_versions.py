"""Versions order one entity's changes, and the hybrid clock gives them when nobody else does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from nova_stream.events.change import Entity, VersionKind
from nova_stream.events.envelope import VERSION_HEADER
from nova_stream.events.versions import HybridClock

from .helpers import DOCUMENTS, NOON, NOON_MS, envelope, read

TASK = DOCUMENTS[Entity.TASKS]
SEQ, LSN, OFFSET = VersionKind.SEQ, VersionKind.LSN, VersionKind.OFFSET


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"seq": 0}, (SEQ, 0, 0)),
        ({"seq": 2**63 - 1, "minor": 2**31 - 1}, (SEQ, 2**63 - 1, 2**31 - 1)),
        ({"seq": str(2**63 - 1)}, (SEQ, 2**63 - 1, 0)),
        ({"seq": 7.0, "minor": 1.0}, (SEQ, 7, 1)),
        ({"seq": 7, "lsn": 9}, (SEQ, 7, 0)),
        ({"seq": None, "lsn": 9}, (LSN, 9, 0)),
        ({"lsn": "9", "minor": None}, (LSN, 9, 0)),
        ({"lsn": None}, (OFFSET, 41, 0)),
        ({"minor": 3}, (OFFSET, 41, 3)),
        ({}, (OFFSET, 41, 0)),
        (None, (OFFSET, 41, 0)),
    ],
)
@pytest.mark.parametrize("fast", [True, False])
def test_the_version_is_seq_else_lsn_else_the_offset(
    source: dict[str, Any] | None, expected: tuple[VersionKind, int, int], fast: bool
) -> None:
    value = envelope(TASK, source=source)
    change = read(Entity.TASKS, value if fast else {"payload": value})
    assert (change.kind, change.number, change.minor) == expected


@pytest.mark.parametrize(
    "headers", [[(VERSION_HEADER, b"offset:12")], {VERSION_HEADER: b"offset:12"}]
)
def test_a_dead_letter_that_is_published_again_keeps_the_offset_that_it_had(headers: Any) -> None:
    change = read(Entity.TASKS, envelope(TASK, source=None), headers=headers)
    assert (change.kind, change.number, change.offset) == (OFFSET, 12, 41)
    with_seq = read(Entity.TASKS, envelope(TASK), headers=headers)
    assert (with_seq.kind, with_seq.number) == (SEQ, 7)


def test_other_headers_do_not_change_the_offset() -> None:
    headers = [("ce_id", b"x"), ("nova_version", None), (b"nova_version", b"offset:3")]
    assert read(Entity.TASKS, envelope(TASK, source=None), headers=headers).number == 41


def test_the_hybrid_clock_follows_the_clock_in_microseconds() -> None:
    assert HybridClock(lambda: NOON).next() == NOON_MS * 1000


def test_the_hybrid_clock_rises_when_the_clock_stands_still_or_goes_back() -> None:
    instants = iter([NOON, NOON, NOON - timedelta(hours=1), NOON + timedelta(microseconds=9)])
    clock = HybridClock(lambda: next(instants))
    assert [clock.next() - NOON_MS * 1000 for _ in range(4)] == [0, 1, 2, 9]


def test_the_hybrid_clock_gives_no_number_twice_to_several_threads() -> None:
    def now() -> datetime:
        return NOON

    clock = HybridClock(now)
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: clock.next(), range(4000)))
    assert len(set(numbers)) == 4000
