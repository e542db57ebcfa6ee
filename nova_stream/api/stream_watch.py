"""How the stream is doing: asked of Postgres and Kafka once a second, however many look."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from typing import NamedTuple

from nova_stream.api.coalescing import KeptAnswer
from nova_stream.api.database import Database
from nova_stream.clock import from_millis, isoformat, system_clock
from nova_stream.errors import KafkaUnavailableError
from nova_stream.jobs import compute_agent_stats, refresh_build_stats
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.lag import Backlog, Logs, backlog_of, read_logs
from nova_stream.kafka.markers import RecordCounter
from nova_stream.kafka.model import HeldBackRecords, KafkaState, Key
from nova_stream.kafka.reach import state_of_brokers
from nova_stream.settings import Settings
from nova_stream.storage.faults import DATABASE_ERRORS, PostgresState, is_away, state_of
from nova_stream.storage.stats.outlook import Outlook, outlook
from nova_stream.storage.stats.status import (
    HeldBack,
    StreamFacts,
    StreamStatus,
    TopicLag,
    stream_facts,
)

#: Seconds that either of the two may take; then it counts as away.
_LIMIT_S = 1.5
#: Seconds for one answer of Kafka.
_ANSWER_LIMIT_S = 1.2
#: Seconds for counting the records that wait; else their offsets are told.
_PATIENCE_S = 0.4
#: Seconds over which the throughput is taken, and the fewest that say something.
_SPAN_S, _FEWEST_S = 10.0, 0.3


class _Kafka(NamedTuple):
    logs: Logs
    workers: int


class StreamWatch:
    """Looks at the stream's state for all who ask; ``close`` it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._kept = KeptAnswer(self._look)
        self._admin = KafkaAdmin(settings, _ANSWER_LIMIT_S)
        self._counter = RecordCounter(settings, _PATIENCE_S)
        self._samples: deque[tuple[float, dict[Key, int]]] = deque()
        self._database_state: PostgresState = "up"
        self._kafka_state: KafkaState = "up"
        self._sessions: deque[int] = deque(maxlen=2)
        self._names_sessions = False

    async def look(self) -> StreamStatus:
        """The state, at most a second old; within two seconds, whatever is away.

        Raises SchemaVersionError.
        """
        return await self._kept.get()

    async def close(self) -> None:
        """Look no more, and end the connections to Kafka."""
        await self._kept.close()
        await self._counter.close()
        await self._admin.close()

    async def _look(self) -> StreamStatus:
        asking = asyncio.create_task(self._of_kafka())
        try:
            facts = await self._of_database()
            kafka = await asking
        finally:
            asking.cancel()  # for nobody, where the database's answer was an error
        backlog = None
        if facts is not None:
            self._samples.append(
                (time.monotonic(), {key: at.next_offset for key, at in facts.positions.items()})
            )
        if kafka and facts:
            backlog = await backlog_of(
                kafka.logs, facts.positions, self._counter.count, system_clock()
            )
        lag = backlog.lag if backlog else None
        workers = self._workers(kafka, facts)
        return StreamStatus(
            database_up=facts is not None,
            database_state=self._database_state,
            kafka_up=kafka is not None,
            kafka_state=self._kafka_state,
            lag=lag,
            topics=_topics(kafka.logs, backlog) if kafka and backlog else None,
            held_back=[_held_back(held) for held in kafka.logs.held] if kafka else None,
            partitions=len(facts.positions) if facts else None,
            throughput=self._throughput(),
            freshness_ms=facts.freshness_ms if facts else None,
            last_applied_at=isoformat(facts.applied_at) if facts and facts.applied_at else None,
            open_dead_letters=facts.open_dead_letters if facts else None,
            last_audit=facts.agents_audit if facts else None,
            last_build_audit=facts.builds_audit if facts else None,
            workers=workers,
            outlook=_outlook(facts, lag, workers) if facts else None,
        )

    def _workers(self, kafka: _Kafka | None, facts: StreamFacts | None) -> int | None:
        """Members of the group; none once no worker's session has been in Postgres for two looks.

        Kafka believes in a killed worker for its session's six seconds, Postgres sees it go at
        once. A pooler may hide whose sessions they are: then only Kafka tells.
        """
        if kafka is None:
            return None
        if facts is None:
            self._sessions.clear()
            return kafka.workers
        self._sessions.append(facts.worker_sessions)
        self._names_sessions = self._names_sessions or facts.worker_sessions > 0
        gone = len(self._sessions) == self._sessions.maxlen and not any(self._sessions)
        return 0 if gone and self._names_sessions else kafka.workers

    async def _of_database(self) -> StreamFacts | None:
        try:
            async with asyncio.timeout(_LIMIT_S), self._database.brief_look() as connection:
                facts = await stream_facts(
                    connection,
                    self._settings,
                    system_clock(),
                    agents_job=compute_agent_stats.NAME,
                    builds_job=refresh_build_stats.NAME,
                )
        except DATABASE_ERRORS as error:
            if not is_away(error):
                raise
            self._database_state = state_of(error)
            return None
        self._database_state = "up"
        return facts

    async def _of_kafka(self) -> _Kafka | None:
        try:
            async with asyncio.timeout(_LIMIT_S):
                logs, group = await asyncio.gather(
                    read_logs(self._admin, list(self._settings.topics())),
                    self._admin.group(self._settings.consumer_group),
                )
        except (KafkaUnavailableError, TimeoutError):
            self._kafka_state = await state_of_brokers(self._settings)
            return None
        self._kafka_state = "up"
        return _Kafka(logs, group.members)

    def _throughput(self) -> float | None:
        """Records a second between the newest look and the oldest one of the last seconds."""
        now = time.monotonic()
        while self._samples and now - self._samples[0][0] > _SPAN_S:
            self._samples.popleft()
        if not self._samples:
            return None
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        if ended - began < _FEWEST_S:
            return None
        # A topic that was made again starts at 0.
        applied = sum(max(0, offset - before.get(key, 0)) for key, offset in after.items())
        return round(applied / (ended - began), 1)


def _outlook(facts: StreamFacts, lag: int | None, workers: int | None) -> Outlook:
    partitions = Counter(topic for topic, _ in facts.positions)
    most = max(partitions.values(), default=0)
    return outlook(facts.moments, lag, most, system_clock(), workers)


def _topics(logs: Logs, backlog: Backlog) -> list[TopicLag]:
    partitions = Counter(topic for topic, _ in logs.logs)
    waiting = backlog.by_topic
    return [
        TopicLag(
            topic=topic,
            lag=sum(waiting.get(topic, ())),
            partitions=partitions[topic],
            partitions_waiting=len(waiting.get(topic, ())),
        )
        for topic in sorted(partitions)
    ]


def _held_back(held: HeldBackRecords) -> HeldBack:
    transaction = held.transaction
    return HeldBack(
        topic=held.topic,
        partition=held.partition,
        records=held.records,
        producer_id=transaction.producer_id if transaction else None,
        transactional_id=transaction.name if transaction else None,
        last_write_at=isoformat(from_millis(transaction.last_write_ms)) if transaction else None,
    )
