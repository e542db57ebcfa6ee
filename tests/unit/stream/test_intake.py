"""The growing chunk: what is appended comes out once, in order, in pieces that bound memory."""

from __future__ import annotations

import tracemalloc
from typing import NamedTuple

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from nova_stream.events.change import Entity, SourceRecord
from nova_stream.events.records import Records
from nova_stream.kafka.large_batches import BoundedRecords
from nova_stream.kafka.unread_batches import Look
from nova_stream.stream import intake as module
from nova_stream.stream.intake import Budget, Intake


class Record(NamedTuple):
    offset: int
    value: bytes | None = b"x"
    key: bytes | None = None
    timestamp: int = 0
    headers: tuple[()] = ()


def intake(budget: Budget, start: int = 0) -> Intake:
    return Intake("t", Entity.TASKS, 0, start=start, generation=0, budget=budget)


def records(*offsets: int, value: bytes | None = b"x") -> list[SourceRecord]:
    return [Record(offset, value) for offset in offsets]


def memory_of(found: list[SourceRecord]) -> int:
    return Records.of(found).memory


def test_nothing_waits_at_first() -> None:
    fresh = intake(Budget(1))
    assert (fresh.waiting, fresh.take(5)) == (False, None)


def test_a_chunk_begins_where_the_one_before_ended_also_across_holes() -> None:
    found = intake(Budget(10**9), start=5)
    found.append(records(7, 8))
    found.append(records(12))
    assert found.next_offset == 13
    first = found.take(2)
    assert first is not None
    assert (first.start, first.end, [r.offset for r in first.records]) == (5, 9, [7, 8])
    second = found.take(2)
    assert second is not None
    assert (second.start, second.end) == (9, 13)


def test_a_closed_intake_gives_and_takes_nothing() -> None:
    budget = Budget(10**9)
    found = intake(budget)
    found.append(records(0, 1))
    found.close()
    found.append(records(2))
    assert (budget.used, found.waiting, found.take(9)) == (0, False, None)


@given(
    steps=st.lists(st.tuples(st.sampled_from(["append", "reach", "take"]), st.integers(1, 5))),
)
def test_what_a_close_drops_is_never_stepped_over(steps: list[tuple[str, int]]) -> None:
    budget = Budget(10**9)
    found = intake(budget)
    for step, count in steps:
        at = found.next_offset
        if step == "append":
            found.append(records(*range(at, at + count)))
        elif step == "reach":
            found.reach(at + count)
        elif batch := found.take(count):
            found.give_back(batch.size)
    found.close()
    assert not found.steps(float("inf"))
    assert found.take(1000) is None
    assert found.take_step(float("inf")) is None
    assert budget.used == 0


def test_what_was_taken_before_the_close_is_still_given_back() -> None:
    budget = Budget(10**9)
    found = intake(budget)
    found.append(records(0, 1, 2))
    batch = found.take(2)
    assert batch is not None
    found.close()
    found.give_back(batch.size)
    assert budget.used == 0


def test_large_records_make_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 10_000)
    found = intake(Budget(10**9))
    for offset in range(6):
        found.append(records(offset, value=b"x" * 6000))
    sizes = []
    while (batch := found.take(1000)) is not None:
        sizes.append(len(batch.records))
    assert sizes == [2, 2, 2]


def test_tombstones_and_empty_values_weigh_something() -> None:
    assert memory_of(records(0, value=None)) == memory_of(records(0, value=b"")) > 0


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), max_size=8),
    st.lists(st.integers(1, 7), min_size=40, max_size=40),
    st.integers(0, 100),
)
def test_all_that_is_appended_comes_out_in_order_and_the_budget_returns(
    fetches: list[list[int]], limits: list[int], start: int
) -> None:
    """Each fetch is a list of distances to the record before, so that there are holes."""
    budget = Budget(10**9)
    found = intake(budget, start)
    offset, appended = start - 1, list[int]()
    for distances in fetches:
        fetched: list[SourceRecord] = []
        for distance in distances:
            offset += 1 + distance
            fetched.append(Record(offset, b"x" * distance))
        assert found.append(fetched) == memory_of(fetched)
        appended += [record.offset for record in fetched]
    assert found.waiting == bool(appended)

    taken, place = list[int](), start
    for limit in limits:
        batch = found.take(limit)
        if batch is None:
            break
        assert batch.start == place
        assert 1 <= len(batch.records) <= limit
        assert batch.size == batch.records.memory
        place = batch.end
        taken += [record.offset for record in batch.records]
        found.give_back(batch.size)
    assert taken == appended
    assert (found.waiting, budget.used) == (False, 0)


def test_offsets_without_records_belong_to_the_batch_before_them() -> None:
    found = intake(Budget(10**9))
    found.append(records(0, 1))
    assert found.reach(4)
    assert not found.steps(0.0), "records wait, too"
    batch = found.take(9)
    assert batch is not None
    assert (batch.start, batch.end, len(batch.records)) == (0, 4, 2)
    assert found.take_step(0.0) is None


def test_batches_without_a_record_are_few() -> None:
    found = intake(Budget(10**9))
    taken = []
    for tick in range(100):
        now = tick / 100
        found.reach(tick + 1)
        if (batch := found.take_step(now)) is not None:
            taken.append((batch.start, batch.end))
    assert 5 <= len(taken) <= 1 / module.STEP_EVERY + 1
    assert [start for start, _ in taken] == [0, *(end for _, end in taken[:-1])]


def test_offsets_behind_records_that_are_on_their_way_wait_for_these() -> None:
    found = intake(Budget(10**9))
    found.next_offset = 2  # one message an event: 0 and 1 are with Faust
    assert found.reach(3)
    assert not found.steps(0.0)
    found.append(records(0))
    first = found.take(9)
    assert first is not None
    assert first.end == 1
    found.append(records(1))
    second = found.take(9)
    assert second is not None
    assert (second.start, second.end) == (1, 3)


def test_a_closed_intake_reaches_nothing() -> None:
    found = intake(Budget(10**9))
    found.close()
    assert not found.reach(5)
    assert found.take_step(0.0) is None


def built(
    count: int, key: bytes | None, headers: list[tuple[str, bytes | None]], codec: int = 0
) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**31 - 1)
    for offset in range(count):
        assert builder.append(offset, 0, key, b'{"source":{"seq":1}}', headers)
    return bytes(builder.build())


LARGE_PARTS: list[tuple[bytes | None, list[tuple[str, bytes | None]]]] = [
    (b"k" * 8000, []),
    (None, [("name", b"x" * 100_000)]),
    (None, [("n" * 100_000, None)]),
    (None, [("n", b"")] * 10_000),
]


@pytest.mark.parametrize(("key", "headers"), LARGE_PARTS)
def test_keys_and_headers_weigh_what_they_take(
    key: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    data = built(20, key, headers)
    tracemalloc.start()
    try:
        fetched = list(MemoryRecords(data).next_batch())
        taken = sum(each.size for each in tracemalloc.take_snapshot().traces)
    finally:
        tracemalloc.stop()
    assert memory_of(fetched) >= taken * 0.9


@pytest.mark.parametrize(("key", "headers"), [*LARGE_PARTS, (b"k", [])])
@pytest.mark.parametrize("codec", [0, 3])
async def test_batches_weigh_what_they_are_kept_with(
    key: bytes | None, headers: list[tuple[str, bytes | None]], codec: int
) -> None:
    batches = BoundedRecords(built(1000 if key == b"k" else 20, key, headers, codec))
    batches.unread = True
    look = Look(list(batches.next_batch()), 1000)
    tracemalloc.start()
    try:
        fetched = await look.read()
        taken = sum(each.size for each in tracemalloc.take_snapshot().traces)
    finally:
        tracemalloc.stop()
    assert taken * 0.9 <= fetched.memory <= taken + 2000 + 40 * len(fetched)
