"""How soon a published change is at a bare consumer: what Kafka, its client and the machine take of
freshness, which no worker can be faster than.
"""

from __future__ import annotations

import asyncio
import time
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from nova_stream.events.change import Entity
from nova_stream.kafka.options import client_options
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings


def probe(number: int) -> dict[str, str]:
    """A task of the probes' agent."""
    return {"id": f"probe-{number}", "agent": "PROBE", "status": "done", "title": "a probe"}


class BareConsumer:
    """Takes the records of every partition and does nothing with them."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = AIOKafkaConsumer(**client_options(settings), enable_auto_commit=False)
        self._places = [
            TopicPartition(settings.topic(entity), partition)
            for entity in Entity
            for partition in range(settings.partitions)
        ]
        self._arrivals: dict[bytes, asyncio.Future[float]] = {}
        #: Records that came.
        self.received = 0

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._places)
        await self._consumer.seek_to_beginning()
        self._consuming = asyncio.create_task(self._consume())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._consuming.cancel()
        await self._consumer.stop()

    async def one(self, publisher: ChangePublisher, number: int) -> float:
        """Milliseconds from the call that publishes to the record's arrival."""
        document = probe(number)
        arrival: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._arrivals[document["id"].encode()] = arrival
        begun = time.perf_counter()
        publishing = asyncio.create_task(publisher.task(document))
        passed = await arrival - begun
        await publishing
        return passed * 1000

    async def _consume(self) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=1000)).values():
                self.received += len(records)
                for record in records:
                    if arrival := self._arrivals.pop(record.key, None):
                        arrival.set_result(time.perf_counter())
