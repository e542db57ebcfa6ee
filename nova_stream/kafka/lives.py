"""In which life of its topic a record was written: a topic that is made again has another id."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from nova_stream.kafka import queries

#: Seconds for which a look at a topic counts; making it again takes longer than to notice it.
_FRESH_S = 1.0
_LIMIT_S = 2.0


class TopicLives:
    """The topics' ids, as a producer needs them: looked at when it begins and once a second while
    it publishes, and at once when a partition's offsets go back.
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, float]] = {}
        #: The highest offsets acknowledged, now and when the topic was looked at.
        self._highest: dict[tuple[str, int], int] = {}
        self._before: dict[tuple[str, int], int] = {}
        self._lock = asyncio.Lock()

    async def of(
        self, client: AIOKafkaClient, topic: str, offsets: Mapping[int, int]
    ) -> str | None:
        """The id of the topic whose partitions have just acknowledged records at these offsets.

        None when it cannot be told.
        """
        if any(offset < self._before.get((topic, p), 0) for p, offset in offsets.items()):
            self.forget(topic)
        id_, looked_at = self._found.get(topic, ("", float("-inf")))
        if time.monotonic() - looked_at > _FRESH_S:
            id_ = await self._look(client, topic)
        for partition, offset in offsets.items():
            key = (topic, partition)
            self._highest[key] = max(offset, self._highest.get(key, -1))
        return id_ or None

    def forget(self, topic: str) -> None:
        """Look again: something was wrong with the topic."""
        self._found.pop(topic, None)
        for offsets in (self._highest, self._before):
            for key in [key for key in offsets if key[0] == topic]:
                del offsets[key]

    async def _look(self, client: AIOKafkaClient, topic: str) -> str:
        asked_at = time.monotonic()
        async with self._lock:
            known, looked_at = self._found.get(topic, ("", float("-inf")))
            if looked_at >= asked_at:
                return known
            started = time.monotonic()
            try:
                async with asyncio.timeout(_LIMIT_S):
                    found = await queries.describe(client, [topic])
            except (KafkaError, OSError, TimeoutError):
                return ""
            id_ = found[topic].id if topic in found else ""
            if known and known != id_:
                self.forget(topic)
            self._found[topic] = (id_, started)
            self._before |= {k: offset for k, offset in self._highest.items() if k[0] == topic}
            return id_
