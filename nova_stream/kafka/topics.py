"""Topics: made with the right partitions and settings before Faust starts, watched afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from nova_stream.errors import KafkaUnavailableError, TopicError
from nova_stream.kafka.options import admin_options
from nova_stream.settings import Settings

_TIMEOUT = 10.0
_LOOK_AGAIN = 0.02

_SOURCE_CONFIG = {"cleanup.policy": "delete", "max.message.bytes": str(10 * 1024 * 1024)}
#: The tables can be rebuilt from Postgres at any time, and are small: compact them eagerly, so
#: that a worker has them back within a second.
_CHANGELOG_CONFIG = {
    "cleanup.policy": "compact,delete",
    "retention.ms": str(24 * 3600 * 1000),
    "segment.ms": str(5 * 60 * 1000),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "60000",
}


class Found(NamedTuple):
    """A topic as Kafka has it: one that is made again has another id."""

    id: str
    partitions: int


class TopicAdmin:
    """Looks at topics and makes them, through librdkafka's admin client in a thread.

    Raises KafkaUnavailableError when no broker answers, TopicError when one cannot work.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = AdminClient(admin_options(settings))

    async def partitions(self) -> dict[str, int]:
        """All topics of the cluster with their number of partitions."""
        return await asyncio.to_thread(self._partitions)

    async def describe(self, topics: list[str]) -> dict[str, Found]:
        """Those of ``topics`` that exist."""
        return await asyncio.to_thread(self._describe, topics)

    async def prepare_sources(self) -> dict[str, int]:
        """Make the six topics where they are missing; gives their partitions."""
        settings = self._settings
        found = await self.partitions()
        missing = {t: settings.partitions for t in settings.topics() if t not in found}
        await asyncio.to_thread(self._create, missing, _SOURCE_CONFIG)
        # Somebody with another setting may have been quicker.
        described = await self.describe(list(settings.topics()))
        return {topic: item.partitions for topic, item in described.items()}

    async def prepare_changelogs(self, wanted: Mapping[str, int]) -> None:
        """Make the tables' changelog topics, each with the partitions of its source topic.

        Faust would stop with a mismatch else: a changelog that is too small is enlarged, one
        that is too large is a TopicError that says how to be rid of it.
        """
        found = await self.partitions()
        await asyncio.to_thread(
            self._create, {t: n for t, n in wanted.items() if t not in found}, _CHANGELOG_CONFIG
        )
        small = {t: n for t, n in wanted.items() if found.get(t, n) < n}
        await asyncio.to_thread(self._enlarge, small)
        for topic, count in wanted.items():
            if found.get(topic, count) > count:
                raise TopicError(
                    f"topic {topic} has {found[topic]} partitions, its source has {count}: stop "
                    f"all workers and delete the topic {topic}; what it holds is made again"
                )

    def _partitions(self) -> dict[str, int]:
        try:
            metadata = self._client.list_topics(timeout=_TIMEOUT)
        except KafkaException as error:
            raise self._unavailable(error) from None
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def _describe(self, topics: list[str]) -> dict[str, Found]:
        futures = self._client.describe_topics(TopicCollection(topics), request_timeout=_TIMEOUT)
        found = {}
        for topic, future in futures.items():
            try:
                described = future.result()
                found[topic] = Found(str(described.topic_id), len(described.partitions))
            except KafkaException as error:
                if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                    raise self._unavailable(error) from None
        return found

    def _create(self, wanted: Mapping[str, int], config: Mapping[str, str]) -> None:
        if not wanted:
            return
        topics = [
            NewTopic(topic, count, self._settings.replication, config=dict(config))
            for topic, count in wanted.items()
        ]
        futures = self._client.create_topics(topics, operation_timeout=_TIMEOUT)
        self._settle(futures, "cannot be made", allowed="TOPIC_ALREADY_EXISTS")
        self._see(dict.fromkeys(wanted, 1))

    def _enlarge(self, wanted: Mapping[str, int]) -> None:
        if not wanted:
            return
        futures = self._client.create_partitions([NewPartitions(t, n) for t, n in wanted.items()])
        self._settle(futures, "cannot be enlarged", allowed="INVALID_PARTITIONS")
        self._see(wanted)

    def _see(self, wanted: Mapping[str, int]) -> None:
        """Wait until the brokers show topics with so many partitions: they answer before that."""
        deadline = time.monotonic() + _TIMEOUT
        while True:
            found = self._describe(list(wanted))
            hidden = [t for t, n in wanted.items() if t not in found or found[t].partitions < n]
            if not hidden:
                return
            if time.monotonic() > deadline:
                raise TopicError(f"topic {hidden[0]} was made, but no broker shows it")
            time.sleep(_LOOK_AGAIN)

    def _settle(self, futures: Mapping[str, Any], what: str, allowed: str) -> None:
        for topic, future in futures.items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].name() != allowed:
                    raise TopicError(
                        f"topic {topic} {what}: {error.args[0].str()} (partitions: "
                        f"NOVA_PARTITIONS={self._settings.partitions}, replication: "
                        f"NOVA_REPLICATION={self._settings.replication})"
                    ) from None

    def _unavailable(self, error: KafkaException) -> KafkaUnavailableError:
        brokers = ",".join(self._settings.kafka_brokers)
        return KafkaUnavailableError(
            f"no Kafka broker answers at {brokers} ({error.args[0].name()}). "
            "Check NOVA_KAFKA_BROKERS, or start everything here with: nova-stream dev"
        )
