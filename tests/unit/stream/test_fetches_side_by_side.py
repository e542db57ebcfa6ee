"""What a fetch tells of the places between which it read is true, also beside one that was left
behind: Faust starts its fetcher anew at a rebalance, and the fetch before goes on in its thread.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from nova_stream.stream.fetching import FetchService

TP = TopicPartition("nova.tasks", 0)


class Log:
    """A consumer of a partition whose records 0 to 9 come later, for whoever is first to take."""

    def __init__(self) -> None:
        self.position = 0
        self.came = asyncio.Event()
        states = SimpleNamespace(tps={TP}, state_value=lambda _: self)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=states))
        self.has_valid_position = True

    def paused(self) -> set[TopicPartition]:
        return set()

    def assignment(self) -> set[TopicPartition]:
        return {TP}

    async def fetched(self, _thread: Any, *_: Any, **__: Any) -> dict[TopicPartition, list[int]]:
        await self.came.wait()
        taken = list(range(self.position, 10))
        self.position = 10
        return {TP: taken} if taken else {}


async def test_records_that_another_fetch_took_are_not_stepped_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log()
    monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", log.fetched)
    thread = object.__new__(FetchService)
    left_behind = asyncio.ensure_future(thread._fetch_records(log, {TP}))
    await asyncio.sleep(0)
    ours = asyncio.ensure_future(thread._fetch_records(log, {TP}))
    await asyncio.sleep(0)
    log.came.set()
    fetches = [await left_behind, await ours, await thread._fetch_records(log, {TP})]
    for fetch in fetches:
        for tp, (start, end) in fetch.read.items():
            assert fetch.get(tp, []) == list(range(start, end))
    assert [fetch.read for fetch in fetches] == [{TP: (0, 10)}, {}, {TP: (10, 10)}]
