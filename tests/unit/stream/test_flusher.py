"""Which chunks go into which flush."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from unittest.mock import Mock

import pytest

from nova_stream.clock import system_clock
from nova_stream.events.change import Entity
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.stream import flusher as module
from nova_stream.stream.flusher import Flusher
from nova_stream.stream.metrics import Metrics


def chunk(partition: int, start: int, records: int = 0) -> Chunk:
    return Chunk(
        topic="nova.tasks",
        entity=Entity.TASKS,
        partition=partition,
        generation=0,
        start=start,
        end=start + 1,
        records=cast("Any", [None] * records),
        changes=[],
        dead=[],
        tombstones=[],
        dead_tombstones=[],
        size=1,
    )


async def connect() -> Any:
    return Mock(is_closed=lambda: False)


def flushes_that_stand(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[list[int]]:
    """Have flushes never end, as those that wait for a lock; gives the partitions of each."""
    begun: asyncio.Queue[list[int]] = asyncio.Queue()

    class Flush:
        def __init__(self, _connection: Any, chunks: list[Chunk], _expected: Any) -> None:
            begun.put_nowait([one.partition for one in chunks])

        async def run(self) -> list[AppliedChunk]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(module, "Flush", Flush)
    return begun


async def test_what_a_partition_has_ready_when_its_flush_ends_joins_the_next_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flushes: list[list[tuple[int, int]]] = []
    first_is_under_way, first_may_end = asyncio.Event(), asyncio.Event()

    class Flush:
        def __init__(self, _connection: Any, chunks: list[Chunk], _expected: Any) -> None:
            self._chunks = chunks

        async def run(self) -> list[AppliedChunk]:
            flushes.append([(one.partition, one.start) for one in self._chunks])
            if len(flushes) == 1:
                first_is_under_way.set()
                await first_may_end.wait()
            return [AppliedChunk(one.end, 0) for one in self._chunks]

    async def pump(partition: int) -> None:
        for start in (0, 1):
            await flusher.submit(chunk(partition, start), lambda: True)

    monkeypatch.setattr(module, "Flush", Flush)
    flusher = Flusher(connect, {}, Metrics(), system_clock, 8000)
    running = asyncio.create_task(flusher.run())
    pumps = [asyncio.create_task(pump(partition)) for partition in (0, 1)]
    await first_is_under_way.wait()
    late = asyncio.create_task(pump(2))
    await asyncio.sleep(0)
    first_may_end.set()
    await asyncio.gather(*pumps, late)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert flushes == [[(0, 0), (1, 0)], [(0, 1), (1, 1), (2, 0)], [(2, 1)]]


@pytest.mark.parametrize(
    ("waiting", "taken"),
    [
        # Half of what waits is worth a flush beside another.
        ([module._WORTH_IT] * 4, [2, 1, 1]),
        ([10] * 4, [4]),
        ([4000] * 4, [2, 1, 1]),
        ([9000] * 4, [1, 1, 1]),
    ],
)
async def test_while_postgres_is_at_work_on_one_half_the_other_is_made_ready(
    monkeypatch: pytest.MonkeyPatch, waiting: list[int], taken: list[int]
) -> None:
    begun = flushes_that_stand(monkeypatch)
    flusher = Flusher(connect, {}, Metrics(), system_clock, 8000)
    for partition, records in enumerate(waiting):
        flusher.submit(chunk(partition, 0, records), lambda: True)
    running = asyncio.create_task(flusher.run())
    for _ in range(20):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [len(begun.get_nowait()) for _ in range(begun.qsize())] == taken


async def test_a_flush_that_stands_holds_nothing_else_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = flushes_that_stand(monkeypatch)
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    flusher = Flusher(connect, {}, Metrics(), system_clock, 8000)
    running = asyncio.create_task(flusher.run())
    flusher.submit(chunk(0, 0), lambda: True)
    assert await begun.get() == [0]
    flusher.submit(chunk(1, 0), lambda: True)
    for _ in range(20):
        await asyncio.sleep(0)
    assert begun.empty()
    assert await asyncio.wait_for(begun.get(), 10) == [1]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
