"""One worker of the stream: the product's parts, put together as ``stream/worker.py`` does it.

Its fetch loop and its agents' iterations, which are Faust's, stand here in their plainest form.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from nova_stream.events.change import Entity
from nova_stream.kafka.model import FoundTopic
from nova_stream.settings import load_settings
from nova_stream.storage.kept_connection import KeptConnection
from nova_stream.stream import worker as product
from nova_stream.stream.flusher import Flusher
from nova_stream.stream.intake import Budget, Intake
from nova_stream.stream.letter_limit import LetterLimit
from nova_stream.stream.partial_tables import PartialTables
from nova_stream.stream.patience import patiently
from nova_stream.stream.pumps import Pumps, decoders_of
from nova_stream.stream.seeking import Source
from tests.simulation.kafka import Broker, SimulatedConsumer, life_of
from tests.simulation.process import NOTHING, Process, connect

_SETTINGS = load_settings()
_DECODERS = decoders_of(_SETTINGS, None)


class StreamWorker(product.Worker):
    """A worker in one process; ``wanted`` are the partitions that the group has given it."""

    def __init__(self, process: Process, broker: Broker, topics: dict[str, Entity]) -> None:
        self.process = process
        self.wanted: set[TP] = set()
        self.changed = asyncio.Event()
        self.consumer: SimulatedConsumer | None = None
        self._broker = broker
        self._topics = topics
        named = {entity: topic for topic, entity in topics.items()}
        self._settings: Any = SimpleNamespace(
            process=process,
            consumer_group=_SETTINGS.consumer_group,
            topic=lambda entity: named.get(entity, next(iter(topics))),
        )
        self._metrics = NOTHING
        self._budget = Budget(100_000)
        self._rebuild = asyncio.Event()
        self._admin: Any = broker
        self._lookup = KeptConnection(
            lambda: connect(self._settings, "worker")  # type: ignore[arg-type, return-value]
        )
        self._lookup_lock = asyncio.Lock()
        self._found: dict[str, FoundTopic] = {}
        self.tables = PartialTables({})
        self.stored: dict[Entity, dict[Any, Any]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def main(self) -> None:
        """Live until killed, or until a topic was made again: then another takes its place."""
        await asyncio.sleep(self.process.random.choice((0.0, 0.0, 0.4, 1.3, 2.2)))
        await patiently("Kafka and Postgres", self._recognise_all)
        await self._live()
        self.process.kill(0.1)

    async def _recognise_all(self) -> None:
        with self._broker.looked_at():
            self._found = await self._broker.describe(list(self._topics))
            for topic, found in self._found.items():
                await self._recognise(topic, found)

    async def _live(self) -> None:
        self.stored = {entity: {} for entity in self._topics.values()}
        self.tables = tables = PartialTables(self.stored)
        source = Source(
            entities=self._topics,
            budget=self._budget,
            read_positions=self._read_positions,
            restart_topic=self._restart_topic,
            wake_wanted=tables.due,
            forget=tables.forget,
            chunks=True,
        )
        lives = {topic: life_of(found.id) for topic, found in self._found.items()}
        random = self.process.random
        self.consumer = consumer = SimulatedConsumer(source, self._broker, lives, random)
        flusher = Flusher(
            lambda: connect(self._settings, "flush"),  # type: ignore[arg-type, return-value]
            tables.expected,
            NOTHING,
            self.process.clock,
            limit=20,
        )
        pumps = Pumps(
            flusher,
            tables,
            NOTHING,
            _DECODERS,
            reread=consumer.seek_again,
            acknowledge=consumer.acknowledge,
            chunk_records=4,
            limit=LetterLimit(_SETTINGS, NOTHING, self._note_stop, asyncio.get_running_loop().time),
        )
        app: Any = SimpleNamespace(consumer=consumer)
        works = [
            flusher.run(),
            pumps.failed(),
            self._watch_topics(app),
            self._watch_positions(app),
            self._follow_group(consumer, pumps),
        ]
        tasks = [asyncio.ensure_future(work) for work in works]
        rebuild = asyncio.ensure_future(self._rebuild.wait())
        done, _ = await asyncio.wait({*tasks, rebuild}, return_when=asyncio.FIRST_COMPLETED)
        self.process.faults += [
            f"a part of {self.process.name} ended: {'' if t.cancelled() else t.exception()!r}"
            for t in done - {rebuild}
            if t is not tasks[2] or t.cancelled() or t.exception()
        ]
        await consumer.on_partitions_revoked(set())
        for task in [*tasks, rebuild, *([self._reading] if self._reading else [])]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._lookup.disconnect()

    @property
    def waiting_bytes(self) -> int:
        """What its budget says that waits for its flush."""
        return self._budget.used

    def kept(self, topic: str, partition: int) -> dict[str, Any]:
        """The figures of a partition in its table, with what waits to be written there."""
        entity = self._topics[topic]
        tables, key = self.tables, (topic, partition)
        if key in tables._staged:
            tables.write(entity, key, 0.0)
        table = self.stored[entity].items()
        return {name: _numbers(row) for (place, name), row in table if place == partition}

    # -- what Faust does ---------------------------------------------------------------------------

    async def _follow_group(self, consumer: SimulatedConsumer, pumps: Pumps) -> None:
        while True:
            await self._rebalance(consumer, pumps)
            await self.changed.wait()

    async def _rebalance(self, consumer: SimulatedConsumer, pumps: Pumps) -> None:
        self.changed.clear()
        consumer.flow_active = False
        consumer.can_resume_flow.clear()
        await consumer.on_partitions_revoked(consumer.assignment())
        if self._reading is not None:
            self._reading.cancel()  # the fetch goes on in its thread, left behind
        await self._broker_time()
        consumer.app.consumer_generation_id += 1
        consumer.assign(self.wanted)
        await consumer.seek_to_committed()
        consumer.flow_active = True
        consumer.can_resume_flow.set()
        self._reading = asyncio.ensure_future(self._read(consumer, pumps))

    async def _broker_time(self) -> None:
        await asyncio.sleep(self.process.random.choice((0.0, 0.01, 0.3)))

    async def _read(self, consumer: SimulatedConsumer, pumps: Pumps) -> None:
        agents: asyncio.Queue[Intake] = asyncio.Queue()
        iterating = asyncio.ensure_future(self._iterate(agents, pumps))
        try:
            while True:
                async for _, message in consumer.getmany(1.0):
                    agents.put_nowait(message.value)
        finally:
            iterating.cancel()  # Faust drops its queues at a rebalance

    async def _iterate(self, agents: asyncio.Queue[Intake], pumps: Pumps) -> None:
        while True:
            pumps.on_announcement(await agents.get())


def _numbers(row: Any) -> dict[str, Any]:
    return {name: Decimal(n) if isinstance(n, str) else n for name, n in row.items()}
