"""Publishing records as they are, bytes and all: what has been in Kafka before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Self

from nova_stream.kafka.producer import Connection
from nova_stream.kafka.records import partition_of
from nova_stream.settings import Settings

#: A partition beyond every topic's, so that the key decides.
BY_KEY = 2**31 - 1


class RawRecord(NamedTuple):
    """A record and where it belongs; of a topic with fewer partitions now, its key decides. A
    header's value may be null.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class RawPublisher:
    """Sends records unchanged; an async context manager.

    Opening raises KafkaUnavailableError or SettingsError.
    """

    def __init__(self, settings: Settings, *, delivery_timeout: float = 30.0) -> None:
        self._connection = Connection(settings, delivery_timeout)

    async def __aenter__(self) -> Self:
        await self._connection.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def send(self, records: Sequence[RawRecord]) -> None:
        """Send records, each partition's in their order; returns once Kafka has acknowledged all.

        Raises TopicError, or PublishError: some may be there then.
        """
        acknowledged = [await self._hand_over(record) for record in records]
        for record, future in zip(records, acknowledged, strict=True):
            async with self._connection.failing(record.topic, _named(record)):
                async with asyncio.timeout(self._connection.timeout):
                    await future

    async def _hand_over(self, record: RawRecord) -> asyncio.Future[object]:
        async with self._connection.failing(record.topic, _named(record)):
            async with asyncio.timeout(self._connection.timeout):
                producer = await self._connection.producer()
                count = await self._connection.partitions(producer, record.topic)
                partition = record.partition
                if partition >= count:
                    partition = partition_of(record.key or b"", count)
                future: asyncio.Future[object] = await producer.send(
                    record.topic, record.value, record.key, partition, headers=record.headers
                )
        return future


def _named(record: RawRecord) -> str:
    return f"a record of partition {record.partition}"
