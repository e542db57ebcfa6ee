"""Whether Kafka answers, for the readiness probe, and which topics it has now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.model import FoundTopic, KafkaState
from nova_stream.kafka.reach import state_of_brokers
from nova_stream.settings import Settings

#: Seconds to wait for a broker's answer, and for which an answer counts.
_LIMIT_S = 1.5
_KEEP_S = 1.0


class KafkaProbe:
    """Asks the brokers who they are, at most once a second; ``close`` it."""

    def __init__(self, settings: Settings) -> None:
        #: What the last check has found.
        self.state: KafkaState = "up"
        self._settings = settings
        self._admin = KafkaAdmin(settings, _LIMIT_S)
        self._lock = asyncio.Lock()
        self._error: KafkaUnavailableError | None = None
        self._asked_at = float("-inf")

    async def check(self) -> None:
        """Raise KafkaUnavailableError when no broker answers."""
        async with self._lock:
            if time.monotonic() - self._asked_at > _KEEP_S:
                self._error = await self._ask()
                self._asked_at = time.monotonic()
        if self._error is not None:
            raise self._error

    async def topics(self, topics: Collection[str]) -> dict[str, FoundTopic]:
        """Those of ``topics`` that exist; raises KafkaUnavailableError."""
        return await self._admin.describe(topics)

    async def close(self) -> None:
        """End the connections."""
        await self._admin.close()

    async def _ask(self) -> KafkaUnavailableError | None:
        try:
            await self._admin.ping()
        except KafkaUnavailableError as error:
            self.state = await state_of_brokers(self._settings)
            return error
        self.state = "up"
        return None
