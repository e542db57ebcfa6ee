"""The position moves over what is no record, never over a record, so that the lag comes to 0."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.stream.fetching import FetchedRecords
from tests.unit.stream.test_fetching import PLACE, Log, Record, records
from tests.unit.stream.test_fetching import taken as agent_takes


@pytest.fixture
async def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch, chunks=True)


def taken(log: Log) -> list[tuple[int, int, list[int]]]:
    """What the pump gets: from where, to where, and the records' offsets."""
    found = []
    intake = log.consumer.intakes[PLACE]
    intake.announced = False
    while batch := intake.take(1000) or intake.take_step(float("inf")):
        found.append((batch.start, batch.end, [record.offset for record in batch.records]))
        log.consumer.acknowledge(tuple(PLACE), batch.end)
    return found


async def lag(log: Log) -> int:
    return int((await log.consumer.lag())[tuple(PLACE)])


async def test_a_marker_behind_records_belongs_to_their_batch(log: Log) -> None:
    await log.consumer.seek_to_committed()
    log.fetched, log.read, log.end = [records(0, 9)], [(0, 11)], 11
    await log.messages()
    assert await lag(log) == 11, "nothing is applied yet"
    assert taken(log) == [(0, 11, list(range(10)))]
    assert await lag(log) == 0


async def test_a_marker_that_comes_alone_is_a_batch_of_its_own(log: Log) -> None:
    await log.consumer.seek_to_committed()
    log.fetched, log.read, log.end = [records(0, 9), []], [(0, 10), (10, 11)], 11
    await log.messages()
    assert taken(log) == [(0, 10, list(range(10)))]
    announced = await log.messages()
    assert len(announced) == 1, "the agent is told"
    assert taken(log) == [(10, 11, [])]
    assert await lag(log) == 0


async def test_what_was_not_read_from_the_expected_place_moves_nothing(log: Log) -> None:
    await log.consumer.seek_to_committed()
    # A fetch whose records nobody has got was before this one.
    log.fetched, log.read = [[], records(0, 3)], [(10, 20), (0, 4)]
    await log.messages()
    assert await lag(log) == 100
    await log.sought_messages()
    assert taken(log) == [(0, 4, [0, 1, 2, 3])], "it was read again"


async def test_retention_below_the_position_is_no_lag(log: Log) -> None:
    await log.consumer.seek_to_committed()
    log.begin = log.end = 100
    assert await lag(log) == 0


async def test_what_retention_took_while_it_was_not_read_is_told(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr("nova_stream.stream.seeking._say_gone", lambda *it: told.append(it))
    await log.consumer.seek_to_committed()
    log.begin = log.end = 70
    log.fetched, log.read = [[]], [(0, 70)]
    await log.messages()
    await asyncio.gather(*log.consumer._futures)
    assert told == [(PLACE, 0, 70)]


class Broker:
    """A log with holes, read as aiokafka does; some results get lost on their way."""

    def __init__(self, log: Log, kept: Sequence[bool]) -> None:
        self.kept = [offset for offset, is_record in enumerate(kept) if is_record]
        self.end = len(kept)
        self.at = 0
        self.count = 1
        self.lost = False
        log.end = self.end
        log.consumer._thread = SimpleNamespace(seek_wait=self._seek, getmany=self._getmany)

    async def _seek(self, wanted: dict[TP, int]) -> None:
        self.at = wanted[PLACE]

    async def _getmany(self, *_: object) -> FetchedRecords:
        start = self.at
        found = [offset for offset in self.kept if offset >= start][: self.count]
        last = len(found) < self.count
        self.at = max(start, self.end if last else found[-1] + 1)
        if self.lost:
            return FetchedRecords({}, {})
        given = {PLACE: [Record(offset) for offset in found]} if found else {}
        return FetchedRecords(given, {PLACE: (start, self.at)})


@settings(deadline=None)
@given(
    kept=st.lists(st.booleans(), max_size=12),
    steps=st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), max_size=12),
    chunks=st.booleans(),
)
async def test_every_record_is_in_a_batch_and_the_batches_leave_nothing_out(
    kept: list[bool], steps: list[tuple[int, bool, bool]], chunks: bool
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        log = Log(monkeypatch, chunks=chunks)
        broker = Broker(log, kept)
        await log.consumer.seek_to_committed()
        for count, lost, again in [*steps, *[(4, False, False)] * 12]:
            broker.count, broker.lost = count, lost
            messages = await log.sought_messages()
            if again:
                await log.consumer.seek_again(tuple(PLACE))
                continue
            batches: list[tuple[int, int, list[int]]] = []
            await agent_takes(log, messages, batches)
            for start, end, offsets in batches:
                assert start == log.position
                assert offsets == [offset for offset in broker.kept if start <= offset < end]
                log.position = end
                log.consumer.acknowledge(tuple(PLACE), end)
        assert log.position == broker.end, (kept, steps, chunks)
        assert await lag(log) == 0
