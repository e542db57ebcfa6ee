"""Whether Kafka answers, for the readiness probe."""

from __future__ import annotations

import asyncio
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.options import admin_options
from nova_stream.settings import Settings

#: Seconds to wait for a broker's answer, and for which an answer counts.
_LIMIT = 2.0
_KEEP = 2.0


class KafkaProbe:
    """Asks the brokers for their metadata, at most every two seconds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._client: AdminClient | None = None
        self._error: KafkaUnavailableError | None = None
        self._asked_at = float("-inf")

    async def check(self) -> None:
        """Raise KafkaUnavailableError when no broker answers."""
        async with self._lock:
            if time.monotonic() - self._asked_at > _KEEP:
                self._error = await asyncio.to_thread(self._ask)
                self._asked_at = time.monotonic()
        if self._error is not None:
            raise self._error

    def _ask(self) -> KafkaUnavailableError | None:
        if self._client is None:
            self._client = AdminClient(admin_options(self._settings))
        try:
            self._client.list_topics(timeout=_LIMIT)
        except KafkaException:
            brokers = ", ".join(self._settings.kafka_brokers)
            return KafkaUnavailableError(f"no Kafka broker answers at {brokers}")
        return None
