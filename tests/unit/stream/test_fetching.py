"""What the consumer hands on of what it fetched, when partitions are sought anew meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from nova_stream.events.change import Entity
from nova_stream.settings import load_settings
from nova_stream.storage.apply.positions import Position
from nova_stream.stream import app as wiring
from nova_stream.stream.fetching import FetchedRecords
from nova_stream.stream.intake import Budget, Intake
from nova_stream.stream.seeking import Source

PLACE = TP("nova.tasks", 0)


class Record(NamedTuple):
    offset: int
    value: bytes = b"{}"
    key: bytes | None = None
    timestamp: int = 0
    headers: tuple[()] = ()


def records(first: int, last: int) -> list[Record]:
    return [Record(offset) for offset in range(first, last + 1)]


class Log:
    """A consumer of one partition whose broker is this object."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, chunks: bool) -> None:
        self.position = 0
        self.begin, self.end = 0, 100
        self.fetched: list[list[Record]] = []
        #: From where to where aiokafka read in each fetch; else only its records.
        self.read: list[tuple[int, int]] = []
        self.while_fetching: Callable[[], Any] | None = None
        app = wiring.build_app(load_settings())
        source = Source(
            entities={PLACE.topic: Entity.TASKS},
            budget=Budget(10**9),
            read_positions=self._positions,
            restart_topic=self._never,
            wake_wanted=lambda *_: False,
            forget=lambda: None,
            chunks=chunks,
        )
        wiring.add_transport(app, source)
        self.consumer = consumer = app.consumer
        thread = SimpleNamespace(seek_wait=self._seek, getmany=self._getmany)
        monkeypatch.setattr(consumer, "_thread", thread)
        monkeypatch.setattr(consumer, "assignment", lambda: {PLACE})
        monkeypatch.setattr(consumer, "_get_active_partitions", lambda: {PLACE})
        monkeypatch.setattr(consumer, "earliest_offsets", self._begins)
        monkeypatch.setattr(consumer, "highwaters", self._ends)
        monkeypatch.setattr(Consumer, "getmany", self._singly)

    async def _positions(self, keys: Any) -> dict[tuple[str, int], Position]:
        return {key: Position(0, self.position, 0) for key in keys}

    async def _never(self, *_: Any) -> None:
        raise AssertionError("no topic was made again")

    async def _seek(self, _: Any) -> None: ...

    async def _begins(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, self.begin)

    async def _ends(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, self.end)

    async def _getmany(self, active: set[TP], *_: Any, **__: Any) -> FetchedRecords:
        if self.while_fetching is not None:
            meanwhile, self.while_fetching = self.while_fetching, None
            await meanwhile()
        fetched = self.fetched.pop(0) if self.fetched and PLACE in active else []
        found = {PLACE: fetched} if fetched else {}
        if self.read:
            return FetchedRecords(found, {PLACE: self.read.pop(0)})
        return FetchedRecords(
            found, {PLACE: (fetched[0].offset, fetched[-1].offset + 1)} if found else {}
        )

    async def _singly(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        for record in (await self.consumer._getmany({PLACE}, timeout)).get(PLACE, []):
            yield (
                PLACE,
                ConsumerMessage(
                    *PLACE, record.offset, 0.0, 0, (), None, record.value, None, 0, 0, PLACE
                ),
            )

    async def messages(self) -> list[Any]:
        return [message async for _, message in self.consumer.getmany(1.0)]

    async def sought_messages(self) -> list[Any]:
        """``messages``, without waiting until what was to be sought again may be."""
        self.consumer._seek_at = 0.0
        return await self.messages()


@pytest.fixture(params=[True, False], ids=["chunks", "single messages"])
async def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch, chunks=request.param)


async def taken(
    log: Log, messages: list[Any], batches: list[tuple[int, int, list[int]]] | None = None
) -> list[int]:
    """The offsets that wait in the intake once the agent has seen these messages; and, in
    ``batches``, from where to where they are.
    """
    seen: list[Intake] = []
    pumps: Any = SimpleNamespace(on_announcement=seen.append)
    consume = wiring._agent(pumps)

    async def events() -> AsyncIterator[Any]:
        for message in messages:
            yield SimpleNamespace(message=message, value=message.value)

    await consume(SimpleNamespace(events=events))
    for found in seen:
        found.announced = False
    intake = log.consumer.intakes.get(PLACE)
    offsets = []
    while intake and (batch := intake.take(10**6) or intake.take_step(float("inf"))):
        offsets += [record.offset for record in batch.records]
        if batches is not None:
            batches.append((batch.start, batch.end, [record.offset for record in batch.records]))
    return offsets


async def test_what_follows_is_taken(log: Log) -> None:
    log.position = 5
    await log.consumer.seek_to_committed()
    log.fetched = [records(5, 7), records(8, 8)]
    messages = [*await log.messages(), *await log.messages()]
    assert await taken(log, messages) == [5, 6, 7, 8]


async def test_what_was_fetched_before_a_rebalance_is_not_taken_after_it(log: Log) -> None:
    await log.consumer.seek_to_committed()
    log.fetched = [records(0, 9), records(10, 19), records(0, 3)]
    first = await log.messages()
    log.while_fetching = log.consumer.seek_to_committed
    stale = await log.messages()
    assert await taken(log, first + stale) == []
    assert await taken(log, await log.sought_messages()) == [0, 1, 2, 3]


async def test_what_waits_for_the_agent_when_a_partition_is_read_again_is_dropped(
    log: Log,
) -> None:
    await log.consumer.seek_to_committed()
    log.fetched = [records(0, 9), records(5, 6)]
    waiting = await log.messages()
    log.position = 5
    await log.consumer.seek_again(tuple(PLACE))
    again = await log.sought_messages()
    assert await taken(log, [*waiting[2:], *again]) == [5, 6]


async def test_a_hole_is_believed_where_it_was_read_and_nowhere_else(log: Log) -> None:
    await log.consumer.seek_to_committed()
    log.fetched, log.read = [records(3, 4), records(9, 9)], [(0, 5), (5, 10)]
    assert await taken(log, await log.messages()) == [3, 4]
    assert await taken(log, await log.messages()) == [9]
    log.fetched, log.read = [records(15, 15), records(10, 15)], [(15, 16), (10, 16)]
    log.position = 10
    assert await taken(log, await log.messages()) == [], "10 to 14 were read by nobody"
    assert await taken(log, await log.sought_messages()) == [10, 11, 12, 13, 14, 15]


async def test_a_log_that_went_back_is_sought_again(log: Log) -> None:
    log.position = 50
    await log.consumer.seek_to_committed()
    log.fetched = [records(0, 4)]
    await log.messages()
    assert PLACE not in log.consumer.intakes
