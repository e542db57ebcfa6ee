"""The producer: how it is made, replaced when Kafka refused something, and ended in time.

aiokafka's idempotent producer numbers what it sends. When Kafka refuses a batch the numbers have a
gap, and all that follows for that partition would be refused too: so it is replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.codec import has_lz4
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MessageSizeTooLargeError,
    NotLeaderForPartitionError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from nova_stream.errors import PublishError, TopicError, UsageError
from nova_stream.kafka.faults import unavailable
from nova_stream.kafka.lives import TopicLives
from nova_stream.kafka.opening import start
from nova_stream.kafka.options import client_options
from nova_stream.kafka.records import Outgoing, partition_of
from nova_stream.settings import Settings

#: The largest batch, in bytes; the topics that nova-stream makes take as much.
_REQUEST_BYTES = 10 * 1024 * 1024
_BATCH_BYTES = 128 * 1024
#: Seconds for what nobody waits for any more.
_STOP_LIMIT_S = 3.0
_LOOKS = 4
_LOOK_PAUSE_S = 0.25


#: What sends; a name for those who hand one around.
Producer = AIOKafkaProducer


class Connection:
    """A producer that is always usable, or says why not, within ``timeout`` seconds."""

    def __init__(self, settings: Settings, timeout: float) -> None:
        self.timeout = timeout
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._refused = False
        self._topics: set[str] = set()
        self._lock = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._lives = TopicLives()
        self._looking = asyncio.Lock()

    @property
    def brokers(self) -> str:
        """The configured addresses, for messages."""
        return ", ".join(self._settings.kafka_brokers)

    async def start(self) -> None:
        """Connect; raises KafkaUnavailableError or SettingsError."""
        async with self._lock:
            if self._producer is None:
                self._producer = await self._connect()

    async def close(self) -> None:
        """Disconnect, in seconds even when Kafka is away."""
        async with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                await stop_producer(producer, _STOP_LIMIT_S)
            if self._retiring:
                await asyncio.wait(self._retiring)

    async def producer(self) -> AIOKafkaProducer:
        """The producer to use now: a new one when the last was refused something."""
        if self._producer is None:
            raise UsageError("this publisher is not open; use: async with ChangePublisher() as p")
        if not self._refused:
            return self._producer
        async with self._lock:
            if self._refused and self._producer is not None:
                fresh = await self._connect()
                self._retire(self._producer)
                self._producer, self._refused = fresh, False
        return await self.producer()

    async def send(self, record: Outgoing) -> tuple[str, int, int]:
        """Send one record; its topic, partition and offset once Kafka has acknowledged it.

        Raises PublishError, TopicError.
        """
        topic = self._settings.topic(record.entity)
        async with self.failing(topic, f"{record.entity.value} {record.id!r}"):
            async with asyncio.timeout(self.timeout):
                try:
                    return await self._send(record, topic)
                except (OutOfOrderSequenceNumber, ProducerClosed):
                    # Kafka has refused somebody else's record: this one was in its way, and is
                    # certainly not there.
                    self._refused = True
                    return await self._send(record, topic)

    async def _send(self, record: Outgoing, topic: str) -> tuple[str, int, int]:
        producer = await self.producer()
        partition = partition_of(record.key, await self.partitions(producer, topic))
        future = await producer.send(
            topic, record.value, record.key, partition, headers=record.headers
        )
        return topic, partition, offset_of(await future, topic)

    async def life(self, topic: str, offsets: Mapping[int, int]) -> str | None:
        """Kafka's id of the topic in which records are now, by partition the offset of the last;
        None when it cannot be told.
        """
        producer = await self.producer()
        return await self._lives.of(producer.client, topic, offsets)

    async def partitions(self, producer: AIOKafkaProducer, topic: str) -> int:
        """How many partitions a topic has.

        Raises TopicError within a second or so for a topic that does not exist, where aiokafka
        would wait.
        """
        if topic not in self._topics:
            # One look for all who want to send: brokers would be asked as often as there are calls.
            async with self._looking:
                if topic not in self._topics:
                    await self._look_for(producer, topic)
                    self._topics.add(topic)
        return len(await producer.partitions_for(topic))

    async def _look_for(self, producer: AIOKafkaProducer, topic: str) -> None:
        # More than once: not every broker knows at once of a topic that was just made.
        for _ in range(_LOOKS):
            known = await producer.client.fetch_all_metadata()
            if known.partitions_for_topic(topic):
                return
            await asyncio.sleep(_LOOK_PAUSE_S)
        raise TopicError(
            f"the topic {topic} does not exist in Kafka at {self.brokers}. A worker makes the "
            "topics when it starts: nova-stream worker. Is NOVA_TOPIC_PREFIX right? See: "
            "nova-stream doctor"
        )

    @asynccontextmanager
    async def failing(self, topic: str, what: str) -> AsyncIterator[None]:
        """Turns what goes wrong with Kafka inside into a PublishError that names ``what``."""
        try:
            yield
        except (TimeoutError, KafkaTimeoutError):
            cause = (
                f"no answer within {self.timeout:g} s. It may still arrive; repeating it does "
                "no harm"
            )
        except KafkaError as error:
            self._refused = True
            self._topics.discard(topic)
            self._lives.forget(topic)
            cause = _cause(error, topic)
        else:
            return
        raise PublishError(f"{topic}: {what}: not acknowledged by Kafka at {self.brokers}: {cause}")

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **client_options(self._settings),
            client_id="nova-stream-publisher",
            enable_idempotence=True,
            acks="all",
            compression_type="lz4" if has_lz4() else None,
            max_batch_size=_BATCH_BYTES,
            max_request_size=_REQUEST_BYTES,
            # Twice within our limit, since a lost answer shows only when it is over.
            request_timeout_ms=max(int(self.timeout * 500), 1),
        )
        try:
            async with asyncio.timeout(self.timeout):
                await start(producer)
        except (KafkaError, OSError, TimeoutError) as error:
            await producer.stop()
            raise unavailable(error, self._settings) from None
        except BaseException:
            await producer.stop()
            raise
        return producer

    def _retire(self, producer: AIOKafkaProducer) -> None:
        """Let others, who still wait for this producer's answers, have them; then end it."""
        task = asyncio.create_task(stop_producer(producer, _STOP_LIMIT_S))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def offset_of(metadata: Any, topic: str) -> int:
    """The offset in Kafka's acknowledgement; raises PublishError when it has none."""
    offset = int(metadata.offset)
    if offset < 0:
        raise PublishError(
            f"{topic}: Kafka has the record already, but no longer its offset; publish it again"
        )
    return offset


def _cause(error: KafkaError, topic: str) -> str:
    """A Kafka error in words that say what to do, where that is known."""
    if isinstance(error, MessageSizeTooLargeError):
        return f"the topic takes no record of this size (raise its max.message.bytes): {error}"
    if isinstance(error, TopicAuthorizationFailedError):
        return "this user may not write to the topic (NOVA_KAFKA_USERNAME, or its ACLs)"
    if isinstance(error, LeaderNotAvailableError | NotLeaderForPartitionError):
        return f"no broker leads the partition now ({type(error).__name__})"
    if isinstance(error, UnknownTopicOrPartitionError):
        return f"the topic {topic} is not there any more (nova-stream doctor)"
    return str(error)


async def stop_producer(producer: AIOKafkaProducer, limit: float) -> None:
    """End ``producer``; what it has not sent after ``limit`` seconds is given up.

    Its own ``stop`` waits until everything is sent: for ever when Kafka is away, since with
    idempotence nothing expires.
    """
    stopping = asyncio.create_task(producer.stop())
    done, _ = await asyncio.wait({stopping}, timeout=limit)
    if not done:
        await _give_up(producer)
    # A producer that has failed for good says so once more.
    with contextlib.suppress(Exception):
        await stopping


async def _give_up(producer: AIOKafkaProducer) -> None:
    # aiokafka's inside, as in ``large_batches.py`` and ``stream/fetching.py``.
    sender = producer._sender.sender_task
    while not sender.done():
        # The first one makes it wait for its requests, the next gives those up too.
        sender.cancel()
        await asyncio.wait({sender}, timeout=0.05)

    accumulator = producer._message_accumulator
    queued = [batch for batches in accumulator._batches.values() for batch in batches]
    # A batch that is to be tried again is not in here, and removes itself when it ends.
    accumulator._pending_batches.update(queued)
    given_up = list(accumulator._pending_batches)
    accumulator.fail_all(ProducerClosed())
    for batch in given_up:
        for future in (batch.future, batch._drain_waiter):
            if future.done() and not future.cancelled():
                future.exception()  # seen: those who waited have been told already
