"""A worker as a process of its own, records for it in a real Kafka, and what became of them."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from nova_stream.events.change import Entity
from nova_stream.kafka.admin import TopicAdmin
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.database import connect
from nova_stream.storage.migrate import migrate
from tests.confluent import admin_options
from tests.programs import Program, environment_of

LIMIT = 60.0
_NOT_YET_LED = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


async def until(what: str, ask: Callable[[], Awaitable[Any]], limit: float = LIMIT) -> Any:
    """What ``ask`` gives as soon as it is true; AssertionError that names ``what`` else."""
    end = time.monotonic() + limit
    while not (found := await ask()):
        assert time.monotonic() < end, f"not within {limit:.0f} s: {what}"
        await asyncio.sleep(0.05)
    return found


class Worker(Program):
    """A ``nova-stream worker`` that runs; its log is read from a file."""

    stopped = False

    async def says(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait for a line of this event with these fields."""

        async def look() -> dict[str, Any] | None:
            self.must_run()
            found = (line for line in self.lines(event) if fields.items() <= line.items())
            return next(found, None)

        line: dict[str, Any] = await until(f"{event} {fields} in the log:\n{self.log}", look)
        return line

    def must_run(self) -> None:
        """AssertionError with the end of the log when the worker ended without being told to."""
        ended = not self.stopped and self.process.poll() is not None
        assert not ended, f"the worker ended:\n{self.log[-4000:]}"

    def stop(self) -> int:
        """SIGTERM; gives the exit status, and fails when the worker does not go."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.stopped = True
        try:
            return self.process.wait(10)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


class Stage:
    """Topics, a migrated database, and workers on them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.workers: list[Worker] = []
        self._folder = folder
        self._admin = AdminClient(admin_options(settings))
        self._producer = self.producer()

    @property
    def worker(self) -> Worker:
        return self.workers[-1]

    def start_worker(self, module: str = "nova_stream.cli.main", **settings: str) -> Worker:
        """One more worker; ``settings`` are environment variables without their NOVA_, ``module``
        is what is run.
        """
        environment = environment_of(
            self.settings, partitions=str(self.settings.partitions), **settings
        )
        path = self._folder / f"worker-{len(self.workers)}.log"
        self.workers.append(Worker(["worker"], environment, path, module))
        return self.worker

    # -- Kafka -----------------------------------------------------------------------------------

    def producer(self, **options: Any) -> Producer:
        return Producer(
            {
                "bootstrap.servers": ",".join(self.settings.kafka_brokers),
                "message.max.bytes": 9_000_000,
                "linger.ms": 0,
                **{name.replace("_", "."): value for name, value in options.items()},
            }
        )

    def publish(
        self,
        entity: Entity,
        *values: bytes | None,
        key: bytes | None = b"k",
        partition: int = 0,  # -1: by the key
        producer: Producer | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> list[int]:
        """Publish values in order; gives their offsets once Kafka has them."""
        offsets: list[int] = []

        def delivered(error: Any, message: Any) -> None:
            assert error is None, error
            offsets.append(message.offset())

        producer = producer or self._producer
        for value in values:
            producer.produce(
                self.settings.topic(entity),
                value,
                key,
                partition,
                on_delivery=delivered,
                headers=headers,
            )
        assert producer.flush(30) == 0
        return offsets

    def make_topic(self, entity: Entity, partitions: int = 1, **config: str) -> None:
        named = {name.replace("_", "."): value for name, value in config.items()}
        topic = NewTopic(self.settings.topic(entity), partitions, 1, config=named)
        self._settle(self._admin.create_topics([topic]))

    def make_compacted(self, entity: Entity) -> str:
        """Follow a topic of another name instead, which Kafka compacts at once; its name."""
        other = f"{self.settings.topic_prefix}.compacted"
        self.settings = self.settings.model_copy(update={f"topic_{entity.value}": other})
        self.make_topic(
            entity,
            2,
            cleanup_policy="compact",
            segment_ms="200",
            min_cleanable_dirty_ratio="0.01",
            min_compaction_lag_ms="0",
            max_compaction_lag_ms="200",
        )
        return other

    def delete_topic(self, entity: Entity) -> None:
        self._settle(self._admin.delete_topics([self.settings.topic(entity)]))

    def add_partitions(self, entity: Entity, total: int) -> None:
        self._settle(
            self._admin.create_partitions([NewPartitions(self.settings.topic(entity), total)])
        )

    def delete_records(self, entity: Entity, before: int, partition: int = 0) -> None:
        topic = self.settings.topic(entity)
        self._settle(self._admin.delete_records([TopicPartition(topic, partition, before)]))

    def log_range(self, entity: Entity, partition: int = 0) -> tuple[int, int]:
        """First offset of a log, and the one after its last."""
        options = {**admin_options(self.settings), "group.id": "nobody"}
        consumer = Consumer(options)
        try:
            return _watermarks(consumer, TopicPartition(self.settings.topic(entity), partition))
        finally:
            consumer.close()

    def count(self, entity: Entity, partition: int = 0) -> int:
        """How many records a log has; a compacted one has fewer than its offsets tell."""
        end = self.log_range(entity, partition)[1]
        options = {
            **admin_options(self.settings),
            "group.id": "nobody",
            "enable.auto.commit": False,
        }
        consumer = Consumer(options)
        try:
            consumer.assign([TopicPartition(self.settings.topic(entity), partition, 0)])
            found, last = 0, -1
            while last < end - 1:
                message = consumer.poll(5)
                assert message is not None, f"nothing after offset {last} of {end}"
                assert message.error() is None, message.error()
                found, last = found + 1, message.offset()
            return found
        finally:
            consumer.close()

    @staticmethod
    def _settle(futures: dict[Any, Any]) -> None:
        for future in futures.values():
            future.result(20)

    # -- Postgres --------------------------------------------------------------------------------

    async def fetch(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        connection = await connect(self.settings, "test")
        try:
            return [dict(row) for row in await connection.fetch(query, *arguments)]
        finally:
            await connection.close()

    async def row(self, table: str, id_: str, **fields: Any) -> dict[str, Any]:
        """Wait for an entity's row, with these fields."""

        async def look() -> dict[str, Any] | None:
            for worker in self.workers:
                worker.must_run()
            rows = await self.fetch(f"SELECT * FROM {table} WHERE id = $1", id_)
            return next((row for row in rows if fields.items() <= row.items()), None)

        found: dict[str, Any] = await until(f"{table} {id_} {fields}", look)
        return found

    async def caught_up(self) -> None:
        """Wait until the positions stand at the ends of all logs (without transactions)."""
        ends = {
            (self.settings.topic(entity), partition): self.log_range(entity, partition)[1]
            for entity in Entity
            for partition in range(self.settings.partitions)
        }
        query = "SELECT topic, partition, next_offset FROM stream_positions"

        async def look() -> bool:
            rows = await self.fetch(query)
            return {(row["topic"], row["partition"]): row["next_offset"] for row in rows} == ends

        await until("the positions stand at the ends of the logs", look)

    async def position(self, entity: Entity, partition: int = 0) -> dict[str, Any]:
        topic = self.settings.topic(entity)
        query = "SELECT * FROM stream_positions WHERE topic = $1 AND partition = $2"
        found = await self.fetch(query, topic, partition)
        return found[0]

    async def dead_letter(self, entity: Entity, offset: int, partition: int = 0) -> dict[str, Any]:
        """The dead letter of a record that has been passed already."""
        query = """SELECT * FROM dead_letters WHERE topic = $1 AND partition = $2 AND "offset" = $3
            ORDER BY id DESC"""
        found = await self.fetch(query, self.settings.topic(entity), partition, offset)
        assert found, f"{entity.value} {partition}/{offset} is no dead letter"
        return found[0]


def _watermarks(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Asks again while the broker does not lead the partition: the metadata name a topic that was
    just made before the broker has taken up its partitions.
    """
    end = time.monotonic() + LIMIT
    while True:
        try:
            begin, after = consumer.get_watermark_offsets(place, timeout=10)
        except KafkaException as error:
            if error.args[0].code() not in _NOT_YET_LED or time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return begin, after


async def _make_topics(settings: Settings) -> None:
    async with TopicAdmin(settings) as admin:
        await admin.prepare_sources()


@contextmanager
def open_stage(brokers: str, database: str, prefix: str, folder: Path) -> Iterator[Stage]:
    """A stage with two partitions a topic and no worker yet. At its end every worker must go at
    SIGTERM, and the caches must equal the recount.
    """
    settings = load_settings(
        kafka_brokers=brokers,
        database_url=database,
        topic_prefix=prefix,
        consumer_group=prefix,
        partitions=2,
    )
    asyncio.run(migrate(settings))
    asyncio.run(_make_topics(settings))
    stage = Stage(settings, folder)
    try:
        yield stage
    finally:
        statuses = [worker.stop() for worker in stage.workers]
    assert statuses == [0] * len(statuses), stage.worker.log
    assert asyncio.run(audit(settings)).differences == []
