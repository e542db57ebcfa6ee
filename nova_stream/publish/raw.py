"""Publishing records as they are, bytes and all: what has been in Kafka before, and changes that
say themselves what their version is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from nova_stream.events.change import Entity, Version, VersionKind
from nova_stream.events.encode import Op, cloudevents_headers, encode_key
from nova_stream.events.envelope import VERSION_HEADER
from nova_stream.events.json_text import encode_json
from nova_stream.kafka.producer import Connection
from nova_stream.kafka.records import partition_of
from nova_stream.settings import Settings

#: A partition beyond every topic's, so that the key decides.
BY_KEY = 2**31 - 1


class RawRecord(NamedTuple):
    """A record and where it belongs; of a topic with fewer partitions now, its key decides. A
    header's value may be null.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class RawPublisher:
    """Sends records unchanged; an async context manager.

    Opening raises KafkaUnavailableError or SettingsError.
    """

    def __init__(self, settings: Settings, *, delivery_timeout: float = 30.0) -> None:
        self._connection = Connection(settings, delivery_timeout)

    async def __aenter__(self) -> Self:
        await self._connection.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def send(self, records: Sequence[RawRecord]) -> None:
        """Send records, each partition's in their order; returns once Kafka has acknowledged all.

        Raises TopicError, or PublishError: some may be there then.
        """
        acknowledged = [await self._hand_over(record) for record in records]
        for record, future in zip(records, acknowledged, strict=True):
            async with self._connection.failing(record.topic, _named(record)):
                async with asyncio.timeout(self._connection.timeout):
                    await future

    async def _hand_over(self, record: RawRecord) -> asyncio.Future[object]:
        async with self._connection.failing(record.topic, _named(record)):
            async with asyncio.timeout(self._connection.timeout):
                producer = await self._connection.producer()
                count = await self._connection.partitions(producer, record.topic)
                partition = record.partition
                if partition >= count:
                    partition = partition_of(record.key or b"", count)
                future: asyncio.Future[object] = await producer.send(
                    record.topic, record.value, record.key, partition, headers=record.headers
                )
        return future


def _named(record: RawRecord) -> str:
    return f"a record of partition {record.partition}"


def change_record(
    place: tuple[str, int],
    entity: Entity,
    op: Op,
    id_: str,
    version: Version,
    source: Mapping[str, Any],
    *,
    ts_ms: int,
    source_name: str,
    before: object = None,
    after: object = None,
) -> RawRecord:
    """The record of a change for ``place``, a topic and partition, unchecked.

    ``source`` is what it says of its version's origin; where that is nothing, the version is the
    offset that a header tells.
    """
    headers = cloudevents_headers(entity, op, id_, version, ts_ms=ts_ms, source_name=source_name)
    if not source:
        headers.append((VERSION_HEADER, f"{VersionKind.OFFSET.value}:{version.number}".encode()))
    origin = {
        "connector": "nova",
        "name": source_name,
        "minor": version.minor,
        "ts_ms": ts_ms,
        **source,
    }
    value = encode_json(
        {"op": op, "ts_ms": ts_ms, "before": before, "after": after, "source": origin}
    )
    return RawRecord(*place, encode_key(id_), value, headers)
