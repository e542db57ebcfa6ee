"""Which chunks go into which flush."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from nova_stream.clock import system_clock
from nova_stream.events.change import Entity
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.stream import flusher as module
from nova_stream.stream.flusher import Flusher
from nova_stream.stream.metrics import Metrics


def chunk(partition: int, start: int) -> Chunk:
    return Chunk(
        topic="nova.tasks",
        entity=Entity.TASKS,
        partition=partition,
        generation=0,
        start=start,
        end=start + 1,
        records=[],
        changes=[],
        dead=[],
        tombstones=[],
        dead_tombstones=[],
        size=1,
    )


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

    async def connect() -> Any:
        return Mock(is_closed=lambda: False)

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
