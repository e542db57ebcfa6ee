"""The one client that looks at brokers, topics, logs and groups, and makes topics.

It is aiokafka's, in the event loop of whoever asks: librdkafka's admin client has ended the whole
process when a broker was killed while it was asking.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Self, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import BrokerResponseError, KafkaConnectionError, KafkaError, for_code
from aiokafka.protocol.admin import CreatePartitionsRequest, CreateTopicsRequest

from nova_stream.errors import TopicError
from nova_stream.kafka import queries, rights
from nova_stream.kafka.faults import told, unavailable
from nova_stream.kafka.model import FoundTopic, Group, Key, LackingRight, Log, OpenTransaction
from nova_stream.kafka.opening import Client, opened
from nova_stream.kafka.options import client_options
from nova_stream.settings import Settings

T = TypeVar("T")

_LIMIT_S = 10.0
_LOOK_AGAIN_S = 0.02
_CLOSE_LIMIT_S = 1.0
_TOPIC_EXISTS, _BAD_PARTITIONS, _NOT_CONTROLLER = 36, 37, 41


class KafkaAdmin:
    """Asks Kafka; used by one event loop, by any number of tasks at a time.

    It connects at the first question, and again after a failure; ``close`` (or ``async with``)
    ends that. Every question raises KafkaUnavailableError when no broker answers it within
    ``limit`` seconds, and SettingsError.
    """

    def __init__(self, settings: Settings, limit: float = _LIMIT_S) -> None:
        self._settings = settings
        self._limit = limit
        self._client: Client | None = None
        self._closed = False
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections; whoever still asks, or asks again, is told that nobody answers."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await _end(client)

    # -- questions -------------------------------------------------------------------------------

    async def ping(self) -> None:
        """Return when a broker has answered."""
        await self._ask(lambda client: queries.metadata_of(client, []))

    async def topics(self) -> dict[str, FoundTopic]:
        """All topics of the cluster."""
        return await self._ask(queries.topics_of)

    async def describe(self, topics: Collection[str]) -> dict[str, FoundTopic]:
        """Those of ``topics`` that exist."""
        return await self._ask(lambda client: queries.describe(client, topics))

    async def logs(self, topics: Collection[str]) -> dict[Key, Log]:
        """The logs of all partitions of those of ``topics`` that exist."""
        return await self._ask(lambda client: queries.logs_of(client, topics))

    async def open_transactions(self, places: Collection[Key]) -> dict[Key, list[OpenTransaction]]:
        """The open transactions of partitions, those that began first being first.

        What this user may not ask, or an old broker does not know, is absent.
        """
        return await self._ask(lambda client: queries.open_transactions_of(client, places))

    async def group(self, group: str) -> Group:
        """A consumer group; one that nobody has ever used is ``Dead``, without members."""
        return await self._ask(lambda client: queries.group_of(client, group))

    async def lacking_rights(self, topics: Collection[str], group: str) -> list[LackingRight]:
        """What ACLs refuse of reading ``topics`` as a member of ``group``."""
        return await self._ask(lambda client: rights.lacking_rights(client, topics, group))

    async def remove_member(self, group: str, member: str) -> None:
        """Let a member leave its group, whose process is known to have ended."""
        await self._ask(lambda client: queries.remove_member(client, group, member))

    # -- changes ---------------------------------------------------------------------------------

    async def make_topics(self, wanted: Mapping[str, int], config: Mapping[str, str]) -> None:
        """Make topics with so many partitions; returns once brokers show them.

        One that is there already is left alone. Raises TopicError where Kafka refuses one.
        """
        if not wanted:
            return
        replication = self._settings.replication
        named = list(config.items())
        request = CreateTopicsRequest(
            [(topic, count, replication, [], named) for topic, count in wanted.items()],
            timeout=int(self._limit * 1000),
            validate_only=False,
        )
        await self._change(request, "cannot be made", _TOPIC_EXISTS)
        await self._see(dict.fromkeys(wanted, 1))

    async def add_partitions(self, wanted: Mapping[str, int]) -> None:
        """Give topics so many partitions in all; returns once brokers show them.

        One that has as many already is left alone. Raises TopicError where Kafka refuses it.
        """
        if not wanted:
            return
        request = CreatePartitionsRequest(
            [(topic, (count, None)) for topic, count in wanted.items()],
            timeout=int(self._limit * 1000),
            validate_only=False,
        )
        await self._change(request, "cannot be enlarged", _BAD_PARTITIONS)
        await self._see(wanted)

    async def _change(self, request: Any, what: str, allowed: int) -> None:
        async def change(client: AIOKafkaClient) -> None:
            metadata = await queries.metadata_of(client, [])
            response = await client.send(metadata.controller_id, request)
            for topic, code, message in response.topic_errors:
                if code == _NOT_CONTROLLER:
                    raise for_code(code)
                if code not in (0, allowed):
                    raise TopicError(
                        f"topic {topic} {what}: {message or told(for_code(code)())} (partitions: "
                        f"NOVA_PARTITIONS={self._settings.partitions}, replication: "
                        f"NOVA_REPLICATION={self._settings.replication})"
                    )

        await self._ask(change)

    async def _see(self, wanted: Mapping[str, int]) -> None:
        """Wait until the brokers show topics with so many partitions: they answer before that."""
        hidden = list(wanted)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limit):
                while hidden:
                    found = await self.describe(wanted)
                    hidden = [
                        t for t, n in wanted.items() if t not in found or found[t].partitions < n
                    ]
                    if hidden:
                        await asyncio.sleep(_LOOK_AGAIN_S)
        if hidden:
            raise TopicError(f"topic {hidden[0]} was made, but no broker shows it")

    # -- the connection --------------------------------------------------------------------------

    async def _ask(self, work: Callable[[AIOKafkaClient], Awaitable[T]]) -> T:
        client = None
        answered: BrokerResponseError | None = None
        try:
            async with asyncio.timeout(self._limit):
                while True:
                    before, client = client, await self._connected()
                    try:
                        return await work(client)
                    except BrokerResponseError as error:
                        # A leader or coordinator that is just changing.
                        if not error.retriable:
                            raise
                        answered = error
                        await asyncio.sleep(_LOOK_AGAIN_S)
                    except (KafkaError, OSError):
                        await self._drop(client)
                        if before is not None:
                            raise
        except (KafkaError, NotImplementedError, OSError) as error:
            # A connection on which nobody answers is not worth keeping.
            if client is not None and not isinstance(error, BrokerResponseError):
                await self._drop(client)
            # Brokers that answer are there: what they answer tells more than that time is over.
            why = answered if answered and isinstance(error, TimeoutError) else error
            raise unavailable(why, self._settings) from None

    async def _connected(self) -> Client:
        async with self._lock:
            if self._client is None:
                client = Client(
                    **client_options(self._settings),
                    client_id="nova-stream-admin",
                    request_timeout_ms=int(self._limit * 1000),
                    retry_backoff_ms=50,
                )
                try:
                    await opened(client.bootstrap())
                except BaseException:
                    await _end(client)
                    raise
                if self._closed:
                    await _end(client)
                    raise KafkaConnectionError("the client was closed meanwhile")
                self._client = client
            return self._client

    async def _drop(self, client: Client) -> None:
        if self._client is client:
            self._client = None
            await _end(client)


async def _end(client: Client) -> None:
    # A peer that does not answer would hold up the farewell of TLS.
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(_CLOSE_LIMIT_S):
            await client.close()


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


class TopicAdmin(KafkaAdmin):
    """An admin client that makes the topics as the stream needs them.

    Raises TopicError, too, when a topic cannot work.
    """

    async def partitions(self) -> dict[str, int]:
        """All topics of the cluster with their number of partitions."""
        return {topic: found.partitions for topic, found in (await self.topics()).items()}

    async def prepare_sources(self) -> dict[str, int]:
        """Make the six topics where they are missing; gives their partitions."""
        settings = self._settings
        found = await self.partitions()
        missing = {t: settings.partitions for t in settings.topics() if t not in found}
        await self.make_topics(missing, _SOURCE_CONFIG)
        # Somebody with another setting may have been quicker.
        described = await self.describe(list(settings.topics()))
        return {topic: item.partitions for topic, item in described.items()}

    async def prepare_changelogs(self, wanted: Mapping[str, int]) -> None:
        """Make the tables' changelog topics, each with the partitions of its source topic.

        Faust would stop with a mismatch else: a changelog that is too small is enlarged, one
        that is too large is a TopicError that says how to be rid of it.
        """
        found = await self.partitions()
        missing = {t: n for t, n in wanted.items() if t not in found}
        await self.make_topics(missing, _CHANGELOG_CONFIG)
        await self.add_partitions({t: n for t, n in wanted.items() if found.get(t, n) < n})
        for topic, count in wanted.items():
            if found.get(topic, count) > count:
                raise TopicError(
                    f"topic {topic} has {found[topic]} partitions, its source has {count}: stop "
                    f"all workers and delete the topic {topic}; what it holds is made again"
                )
