"""What a pump hands over while a flush of its partition runs, and after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from unittest import mock

import pytest

from nova_stream.events.change import Entity, SourceRecord
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.stream import intake
from nova_stream.stream.intake import Budget, Intake
from nova_stream.stream.metrics import Metrics
from nova_stream.stream.pumps import Pumps
from tests.unit.stream.test_intake import records

#: Records that a chunk takes here.
MOST = 2 * intake._FEW_RECORDS


class Flusher:
    """Keeps what it gets until it is told to answer."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []
        self.waiting: list[asyncio.Future[AppliedChunk]] = []

    def submit(self, chunk: Chunk, _: Callable[[], bool]) -> asyncio.Future[AppliedChunk]:
        self.chunks.append(chunk)
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]

    def answer(self) -> None:
        chunk = self.chunks[len(self.chunks) - len(self.waiting)]
        self.waiting.pop(0).set_result(AppliedChunk(chunk.end, 0))

    def sizes(self) -> list[int]:
        return [len(chunk.records) for chunk in self.chunks]


class Platform:
    """A pump of one partition."""

    def __init__(self) -> None:
        self.flusher = Flusher()
        self.decoded: list[int] = []
        self.acknowledged: list[int] = []
        self.intake = Intake("t", Entity.TASKS, 0, start=0, generation=0, budget=Budget(10**9))
        tables, limit = mock.Mock(), mock.AsyncMock()
        tables.due.return_value = False
        decoder = mock.Mock()
        decoder.decode_plain.side_effect = self._decode
        self.pumps = Pumps(
            self.flusher,  # type: ignore[arg-type]
            tables,
            Metrics(),
            {Entity.TASKS: decoder},
            reread=mock.AsyncMock(),
            acknowledge=lambda _, offset: self.acknowledged.append(offset),
            chunk_records=MOST,
            limit=limit,
        )

    def _decode(self, found: Sequence[SourceRecord], _: int) -> list[object]:
        self.decoded.append(len(found))
        return [object()] * len(found)

    async def arrive(self, count: int) -> None:
        start = self.intake.next_offset
        self.intake.append(records(*range(start, start + count)))
        self.pumps.on_announcement(self.intake)
        await settled()

    async def answer(self) -> None:
        self.flusher.answer()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_few_that_come_during_a_flush_go_into_the_next_one_together() -> None:
    platform = Platform()
    for count in (1, 2, 3):
        await platform.arrive(count)
    assert platform.flusher.sizes() == [1]
    await platform.answer()
    assert platform.flusher.sizes() == [1, 5]
    await platform.answer()
    assert platform.acknowledged == [1, 6]
    assert not platform.intake.pumping


async def test_the_many_that_wait_when_a_flush_begins_are_decoded_meanwhile() -> None:
    platform = Platform()
    await platform.arrive(2 * MOST)
    assert platform.decoded == [MOST, MOST]
    assert platform.flusher.sizes() == [MOST]
    await platform.arrive(1)
    await platform.answer()
    assert platform.flusher.sizes() == [MOST, MOST]
    await platform.answer()
    assert platform.flusher.sizes() == [MOST, MOST, 1]
    await platform.answer()
    assert platform.acknowledged == [MOST, 2 * MOST, 2 * MOST + 1]
    assert not platform.intake.pumping


async def test_a_few_large_ones_are_many() -> None:
    platform = Platform()
    await platform.arrive(1)
    platform.flusher.answer()
    large = b"x" * intake._FEW_BYTES
    platform.intake.append(records(1, value=large))
    platform.intake.append(records(*range(2, MOST + 2), value=large))
    await settled()
    assert platform.decoded == [1, MOST, 1]
    assert platform.flusher.sizes() == [1, MOST]


@pytest.mark.parametrize("waiting", [2, 2 * MOST])
async def test_of_a_partition_that_is_taken_away_during_a_flush_nothing_is_acknowledged(
    waiting: int,
) -> None:
    platform = Platform()
    await platform.arrive(waiting)
    platform.intake.close()
    while platform.flusher.waiting:
        await platform.answer()
    assert platform.acknowledged == []
    assert not platform.intake.pumping
    assert platform.intake._budget.used == 0
