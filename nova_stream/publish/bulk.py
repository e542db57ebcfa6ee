"""Many records at once: batches made here, a bounded number of them on their way at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from nova_stream.events.change import Entity
from nova_stream.kafka.producer import Connection, Producer, offset_of
from nova_stream.kafka.records import Outgoing, partition_of
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings

#: Batches that wait for Kafka's acknowledgement at most; with 128 KiB each, that is the memory.
_ON_THE_WAY = 64
#: Records between two chances for the network to go on.
_TURN = 256


class _Batch(NamedTuple):
    """Records of one partition; ``first`` names the batch in errors."""

    topic: str
    partition: int
    builder: Any
    first: Outgoing


class BulkWriter:
    """Sends records in batches; made for one call."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self._connection = connection
        self._settings = settings
        self._places: dict[Entity, tuple[str, int]] = {}
        self._filling: dict[tuple[Entity, int], _Batch] = {}
        self._on_the_way: dict[asyncio.Future[Any], _Batch] = {}
        self._reached: dict[str, dict[int, int]] = {}

    async def write(self, records: Iterable[Outgoing]) -> PositionToken:
        """Send all records; returns once Kafka has acknowledged them.

        Raises PublishError or TopicError; some of the records may be there then.
        """
        try:
            await self._write(await self._connection.producer(), records)
        finally:
            for future in self._on_the_way:
                future.cancel()  # nobody asks any more: not the sending, only the answer
        lives = {}
        for topic, ends in self._reached.items():
            life = await self._connection.life(topic, {p: end - 1 for p, end in ends.items()})
            if life is not None:
                lives[topic] = life
        return PositionToken(self._reached, lives)

    async def _write(self, producer: Producer, records: Iterable[Outgoing]) -> None:
        for count, record in enumerate(records, 1):
            place = self._places.get(record.entity) or await self._find(producer, record)
            full = self._add(producer, record, place)
            if full is not None:
                await self._submit(producer, full)
            elif count % _TURN == 0:
                await asyncio.sleep(0)
        for batch in self._filling.values():
            await self._submit(producer, batch)
        while self._on_the_way:
            await self._wait()

    async def _find(self, producer: Producer, record: Outgoing) -> tuple[str, int]:
        """The topic and the number of partitions of the record's entity."""
        topic = self._settings.topic(record.entity)
        async with self._connection.failing(topic, _named(record)):
            async with asyncio.timeout(self._connection.timeout):
                partitions = await self._connection.partitions(producer, topic)
        self._places[record.entity] = (topic, partitions)
        return topic, partitions

    def _add(self, producer: Producer, record: Outgoing, place: tuple[str, int]) -> _Batch | None:
        """Put a record into its partition's batch; the batch before when that one was full."""
        topic, partitions = place
        partition = partition_of(record.key, partitions)
        batch = self._filling.get((record.entity, partition))
        if batch is not None and _append(batch, record):
            return None

        fresh = _Batch(topic, partition, producer.create_batch(), record)
        _append(fresh, record)
        self._filling[record.entity, partition] = fresh
        return batch

    async def _submit(self, producer: Producer, batch: _Batch) -> None:
        while len(self._on_the_way) >= _ON_THE_WAY:
            await self._wait()
        # Else single records that are sent meanwhile would join it.
        batch.builder.close()
        async with self._failing(batch):
            future = await producer.send_batch(
                batch.builder, batch.topic, partition=batch.partition
            )
        self._on_the_way[future] = batch

    async def _wait(self) -> None:
        """Wait for the next acknowledgement, and note what has been acknowledged."""
        done, _ = await asyncio.wait(
            self._on_the_way,
            timeout=self._connection.timeout,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not done:
            async with self._failing(next(iter(self._on_the_way.values()))):
                raise TimeoutError
        for future in done:
            batch = self._on_the_way.pop(future)
            async with self._failing(batch):
                offset = offset_of(future.result(), batch.topic)
            end = offset + batch.builder.record_count()
            known = self._reached.setdefault(batch.topic, {})
            known[batch.partition] = max(known.get(batch.partition, 0), end)

    def _failing(self, batch: _Batch) -> Any:
        others = batch.builder.record_count() - 1
        more = f" and {others} more" if others else ""
        return self._connection.failing(batch.topic, f"{_named(batch.first)}{more}")


def _append(batch: _Batch, record: Outgoing) -> bool:
    """Whether the record found place; the first one of a batch always does.

    Its time is now, not the change's: Kafka deletes by it what seems to be old.
    """
    added = batch.builder.append(
        timestamp=None, key=record.key, value=record.value, headers=record.headers
    )
    return added is not None


def _named(record: Outgoing) -> str:
    return f"{record.entity.value} {record.id!r}"
