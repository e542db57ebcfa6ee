"""Kafka in memory: logs, and what of Faust's and aiokafka's consumers the product's transport uses.

A fetch reads from where the partition stands, steps over what is no record, and begins at the
log's start where its place is out of range. A consumer knows a topic by its id: of one that was
made again it reads nothing. There is no group protocol: the world says who has what, and when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.types import TP

from nova_stream.kafka.model import FoundTopic
from nova_stream.stream.fetching import FetchService
from nova_stream.stream.seeking import Source
from nova_stream.stream.transport import ChunkConsumer
from tests.simulation.loop import of_nobody


class Record(NamedTuple):
    """A record as aiokafka's C code reads it; one without a ``timestamp`` is a marker."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: tuple[()] = ()

    @property
    def is_marker(self) -> bool:
        return self.timestamp < 0


class Log:
    """One partition in one life of its topic."""

    def __init__(self) -> None:
        self.entries: list[Record] = []
        self.begin = 0

    @property
    def end(self) -> int:
        return len(self.entries)

    def append(self, key: bytes | None, value: bytes | None, timestamp: int) -> Record:
        record = Record(self.end, key, value, timestamp)
        self.entries.append(record)
        return record


class Broker:
    """All topics; the calls of all clients are counted, and some fail."""

    def __init__(self, random: Random, partitions: Mapping[str, int], faults: frozenset[int]):
        self._random = random
        self._partitions = dict(partitions)
        self.faults = faults
        self.calls = 0
        self.lookers = 0
        self.lives: dict[str, int] = {}
        self.logs: dict[tuple[str, int, int], Log] = {}
        self._more: list[asyncio.Future[None]] = []
        for topic in partitions:
            self.make(topic)

    def make(self, topic: str) -> None:
        """Make a topic, again where it is there."""
        life = self.lives[topic] = self.lives.get(topic, -1) + 1
        for partition in range(self._partitions[topic]):
            self.logs[topic, partition, life] = Log()

    def log(self, tp: tuple[str, int]) -> Log:
        return self.logs[tp[0], tp[1], self.lives[tp[0]]]

    def append(self, tp: TP, key: bytes | None, value: bytes | None, timestamp: int) -> Record:
        record = self.log(tp).append(key, value, timestamp)
        for future in self._more:
            if not future.done():
                future.set_result(None)
        self._more.clear()
        return record

    async def call(self) -> None:
        """A request and its answer."""
        number = self.calls
        self.calls += 1
        await asyncio.sleep(self._random.choice((0.0005, 0.001, 0.002, 0.01)))
        if number in self.faults:
            raise KafkaError("the broker does not answer")

    async def wait_for_more(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._more.append(future)
        await asyncio.wait({future}, timeout=seconds)

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """While a worker notes what topics there are."""
        self.lookers += 1
        try:
            yield
        finally:
            self.lookers -= 1

    async def describe(self, topics: Iterable[str]) -> dict[str, FoundTopic]:
        await asyncio.sleep(0.001)
        return {t: FoundTopic(f"{t}#{self.lives[t]}", self._partitions[t]) for t in topics}


def life_of(topic_id: str) -> int:
    """Which life of a topic its id is of."""
    return int(topic_id.partition("#")[2])


class _State:
    """Where a partition stands in aiokafka."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.has_valid_position = True


class Fetcher:
    """What the transport uses of ``AIOKafkaConsumer``."""

    def __init__(self, broker: Broker, lives: Mapping[str, int]) -> None:
        self._broker = broker
        self._lives = lives
        self._states: dict[TP, _State] = {}
        self._paused: set[TP] = set()
        self._subscription = SimpleNamespace(
            subscription=SimpleNamespace(assignment=None), fetch_context=self._fetch_context
        )
        self._max_poll_records = None

    def assign(self, tps: set[TP]) -> None:
        self._states = {tp: _State(self._broker.log(tp).begin) for tp in sorted(tps)}
        self._paused.clear()
        states = self._states
        self._subscription.subscription.assignment = SimpleNamespace(
            tps=states.keys(), state_value=states.__getitem__
        )

    def seek(self, places: Mapping[TP, int]) -> None:
        for tp, place in places.items():
            if tp in self._states:
                self._states[tp].position = place

    def take(self, active: set[TP], at_most: int) -> dict[TP, list[Record]]:
        found: dict[TP, list[Record]] = {}
        for tp, state in self._states.items():
            readable = self._broker.lives[tp.topic] == self._lives[tp.topic]
            if tp not in active or tp in self._paused or not readable:
                continue
            log = self._broker.log(tp)
            if not log.begin <= state.position <= log.end:
                state.position = log.begin
            read = log.entries[state.position : state.position + at_most]
            state.position += len(read)
            if records := [entry for entry in read if not entry.is_marker]:
                found[tp] = records
        return found

    def assignment(self) -> set[TP]:
        return set(self._states)

    def paused(self) -> set[TP]:
        return set(self._paused)

    def pause(self, *tps: TP) -> None:
        self._paused |= set(tps)

    def resume(self, *tps: TP) -> None:
        self._paused -= set(tps)

    @contextmanager
    def _fetch_context(self) -> Iterator[None]:
        yield


class _FaustThread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """In the place of Faust's thread around aiokafka: all happens in the one loop."""

    def __init__(
        self, consumer: Any, broker: Broker, lives: Mapping[str, int], random: Random
    ) -> None:
        self.consumer = consumer
        self.broker = broker
        self.fetcher = Fetcher(broker, lives)
        self._random = random

    def _ensure_consumer(self) -> Any:
        return self.fetcher

    async def getmany(self, active_partitions: Any, timeout: float) -> Any:
        # Who asked may have been left behind; the thread goes on.
        work = self._fetch_records(self.fetcher, active_partitions, timeout, None)
        fetch = asyncio.ensure_future(work)
        fetch.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return await asyncio.shield(fetch)

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: Any = None, max_records: Any = None
    ) -> Any:
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        most = self._random.choice((1, 3, max_records))
        while True:
            await self.broker.call()
            found = consumer.take(active_partitions, most)
            if found or loop.time() >= until:
                return found
            await self.broker.wait_for_more(until - loop.time())

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        await self.broker.call()
        self.fetcher.seek(partitions)


class _SimulatedThread(FetchService, _FaustThread):
    """The product's thread over the one above."""


class _FaustConsumer(Consumer):  # type: ignore[misc]
    """In the place of Faust's consumer."""

    def __init__(
        self, source: Source, broker: Broker, lives: Mapping[str, int], random: Random
    ) -> None:
        self.source = source
        self.broker = broker
        self.app = SimpleNamespace(consumer_generation_id=0)
        self.flow_active = False
        self.can_resume_flow = asyncio.Event()
        self._buffered_partitions: set[TP] = set()
        self._read_offset: dict[TP, int | None] = {}
        self._thread = _SimulatedThread(self, broker, lives, random)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None: ...

    def assignment(self) -> set[TP]:
        return {TP(*tp) for tp in self._thread.fetcher.assignment()}

    def _get_active_partitions(self) -> set[TP]:
        return self.assignment()

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        await self.broker.call()
        return {tp: self.broker.log(tp).begin for tp in partitions}

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        await self.broker.call()
        return {tp: self.broker.log(tp).end for tp in partitions}

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        return await self._thread.getmany(active_partitions, timeout)

    async def sleep(self, n: float) -> None:
        await asyncio.sleep(n)

    async def wait_first(self, *works: Any, timeout: float) -> None:
        tasks = [asyncio.ensure_future(work) for work in works]
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    def add_future(self, work: Any) -> Any:
        return of_nobody(work)


class SimulatedConsumer(ChunkConsumer, _FaustConsumer):
    """The product's consumer over the one above."""

    async def follow_topics(self, partitions: Mapping[str, int]) -> None:
        """Nothing: the group is assigned by the broker itself, which knows all of them."""

    def assign(self, tps: set[TP]) -> None:
        self._thread.fetcher.assign(tps)
