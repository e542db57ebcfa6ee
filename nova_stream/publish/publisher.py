"""The publisher: change events into Kafka, acknowledged or a loud error."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sized

from nova_stream.clock import Clock, system_clock
from nova_stream.events.lines import ChangeLine
from nova_stream.kafka.producer import Connection
from nova_stream.kafka.records import Outgoing, RecordMaker
from nova_stream.publish.bulk import BulkWriter
from nova_stream.publish.interface import Document, Publisher, made
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings, load_settings
from nova_stream.tracing import Headers, publishing, tracer_of

#: Records made between two chances for others in the event loop.
_TURN = 256


class ChangePublisher(Publisher):
    """Publishes changes to Kafka: ``async with ChangePublisher() as publisher``.

    ``settings`` are read from the environment if not given; ``source_name`` says in every record
    who published it; ``clock`` gives times and versions where the caller has none. With NOVA_OTEL a
    call is a span, which its records name. Calls may run at the same time. Besides RejectedError
    they raise

    - PublishError when Kafka has not acknowledged within ``delivery_timeout`` seconds, or refuses:
      the change may be there or not. To publish it again is safe;
    - TopicError at once when the topic does not exist.

    ``start`` and ``async with`` raise KafkaUnavailableError, or SettingsError; a call raises
    KafkaUnavailableError when it must connect anew and cannot.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        source_name: str = "main-app",
        clock: Clock = system_clock,
        delivery_timeout: float = 30.0,
    ) -> None:
        self._settings = settings or load_settings()
        self._maker = RecordMaker(source_name, clock)
        self._connection = Connection(self._settings, delivery_timeout)
        self._tracer = tracer_of(self._settings)

    async def start(self) -> None:
        await self._connection.start()

    async def close(self) -> None:
        await self._connection.close()

    async def publish(self, changes: Iterable[ChangeLine | Document]) -> PositionToken:
        """Publish many changes, of any entities, in their order; see ``Publisher.publish``.

        A list or tuple is checked as a whole before anything is sent; of another iterable the
        changes before the one that is rejected may have been published.
        """
        if self._tracer is None:
            return await self._publish(changes, [])
        with publishing(self._tracer, _size_of(changes)) as headers:
            return await self._publish(changes, headers)

    async def _publish(
        self, changes: Iterable[ChangeLine | Document], headers: Headers
    ) -> PositionToken:
        make = self._maker.make
        records: Iterator[Outgoing] = made(changes, lambda change: make(change, headers))
        if isinstance(changes, list | tuple):
            records = iter(await _all_of(records))
        return await BulkWriter(self._connection, self._settings).write(records)

    async def _publish_one(self, change: ChangeLine) -> PositionToken:
        if self._tracer is None:
            return await self._send(self._maker.make(change))
        topic = self._settings.topic(change.entity)
        with publishing(self._tracer, {"messaging.destination.name": topic}) as headers:
            return await self._send(self._maker.make(change, headers))

    async def _send(self, record: Outgoing) -> PositionToken:
        topic, partition, offset = await self._connection.send(record)
        life = await self._connection.life(topic, {partition: offset})
        return PositionToken({topic: {partition: offset + 1}}, {topic: life} if life else {})


def _size_of(changes: Iterable[object]) -> dict[str, int]:
    return {"messaging.batch.message_count": len(changes)} if isinstance(changes, Sized) else {}


async def _all_of(records: Iterable[Outgoing]) -> list[Outgoing]:
    found = []
    for record in records:
        found.append(record)
        if len(found) % _TURN == 0:
            await asyncio.sleep(0)
    return found
