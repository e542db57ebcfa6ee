"""How the stream is doing: asked of Postgres and Kafka once a second, however many look."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import NamedTuple

import asyncpg
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from nova_stream.api.database import Database
from nova_stream.clock import isoformat
from nova_stream.errors import DatabaseUnavailableError
from nova_stream.kafka.offsets import Offsets, lag_of, log_ends_by
from nova_stream.kafka.options import admin_options
from nova_stream.settings import Settings
from nova_stream.storage.database import UNAVAILABLE
from nova_stream.storage.read_status import StreamFacts, StreamStatus, stream_facts

#: Seconds for which a look is shown to others.
_KEEP = 1.0
#: Seconds that either of the two may take; then it counts as away.
_LIMIT = 1.5
#: Seconds over which the throughput is taken, and the fewest that say something.
_SPAN, _FEWEST = 10.0, 0.3


class _Kafka(NamedTuple):
    ends: Offsets
    workers: int


class StreamWatch:
    """Looks at the stream's state for all who ask."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._lock = asyncio.Lock()
        self._client: AdminClient | None = None
        self._asking: asyncio.Task[_Kafka | None] | None = None
        self._samples: deque[tuple[float, dict[tuple[str, int], int]]] = deque()
        self._status: StreamStatus | None = None
        self._looked_at = float("-inf")

    async def look(self) -> StreamStatus:
        """The state, at most a second old; within two seconds, whatever is away.

        Raises SchemaVersionError.
        """
        async with self._lock:
            if self._status is None or time.monotonic() - self._looked_at > _KEEP:
                self._status = await self._look()
                self._looked_at = time.monotonic()
            return self._status

    async def _look(self) -> StreamStatus:
        kafka, facts = await asyncio.gather(self._of_kafka(), self._of_database())
        if facts is not None:
            self._samples.append((time.monotonic(), facts.positions))
        return StreamStatus(
            database_up=facts is not None,
            kafka_up=kafka is not None,
            lag=lag_of(kafka.ends, facts.positions) if kafka and facts else None,
            partitions=len(facts.positions) if facts else None,
            throughput=self._throughput(),
            freshness_ms=facts.freshness_ms if facts else None,
            last_applied_at=isoformat(facts.applied_at) if facts and facts.applied_at else None,
            open_dead_letters=facts.open_dead_letters if facts else None,
            last_audit=facts.agents_audit if facts else None,
            last_build_audit=facts.builds_audit if facts else None,
            workers=kafka.workers if kafka else None,
        )

    async def _of_database(self) -> StreamFacts | None:
        try:
            async with asyncio.timeout(_LIMIT), self._database.connection() as connection:
                return await stream_facts(connection, self._settings)
        except (DatabaseUnavailableError, *UNAVAILABLE, asyncpg.OperatorInterventionError):
            return None

    async def _of_kafka(self) -> _Kafka | None:
        # A thread cannot be cut off: one that still asks is not joined by a second.
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._ask))
        done, _ = await asyncio.wait({self._asking}, timeout=_LIMIT)
        if not done:
            return None
        asked, self._asking = self._asking, None
        return asked.result()

    def _ask(self) -> _Kafka | None:
        if self._client is None:
            self._client = AdminClient(admin_options(self._settings))
        try:
            ends = log_ends_by(self._client, self._settings, _LIMIT)
            return _Kafka(ends, self._members(self._client))
        except KafkaException:
            return None

    def _members(self, client: AdminClient) -> int:
        group = self._settings.consumer_group
        described = client.describe_consumer_groups([group], request_timeout=_LIMIT)
        try:
            return len(described[group].result(_LIMIT).members)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise

    def _throughput(self) -> float | None:
        """Records a second between the newest look and the oldest one of the last seconds."""
        now = time.monotonic()
        while self._samples and now - self._samples[0][0] > _SPAN:
            self._samples.popleft()
        if not self._samples:
            return None
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        if ended - began < _FEWEST:
            return None
        # A topic that was made again starts at 0.
        applied = sum(max(0, offset - before.get(key, 0)) for key, offset in after.items())
        return round(applied / (ended - began), 1)
