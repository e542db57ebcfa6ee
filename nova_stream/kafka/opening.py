"""aiokafka's clients, so that no connection stays open behind them, and none stands still.

aiokafka loses a connection in two places. ``bootstrap`` asks its first question on one that nobody
else knows, and does not close it when it is cut off; and a connection that is being made while
``close`` runs is filed afterwards, where nobody closes it any more.

And it learns where everything is in a task that any unforeseen error ends: whoever waits for it
then, as each who has lost a broker does, waits for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from traceback import walk_tb
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError

from nova_stream.kafka.connections import use_own_connections

# Not structlog's: an application that only publishes need not have it.
_log = logging.getLogger(__name__)

#: Seconds between two questions for metadata that fail for a reason that nobody foresaw.
_LONGEST_PAUSE_S = 5.0


async def opened(opening: Coroutine[Any, Any, None]) -> None:
    """Await a client's opening; cut off, it leaves no connection open.

    What the client itself knows is left to its own ``close`` or ``stop``.
    """
    use_own_connections()
    try:
        await opening
    except BaseException as error:
        # Only the frame that was cut off still knows its connection.
        for frame, _ in walk_tb(error.__traceback__):
            for value in frame.f_locals.values():
                if isinstance(value, AIOKafkaConnection):
                    value.close()
        raise


async def start(user: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Start a producer or consumer, whose client becomes a ``Client``; cut off, it leaves no
    connection open that its own ``stop`` does not know.
    """
    adopt(user)
    await opened(user.start())


async def stop(user: AIOKafkaProducer | AIOKafkaConsumer, limit: float) -> None:
    """Stop a producer or consumer, which may take ``limit`` seconds; then its connections are
    closed, however that went.
    """
    # In a task of its own: where its start was cut off, it ends as if it was cancelled.
    stopping = asyncio.create_task(user.stop())
    try:
        done, _ = await asyncio.wait({stopping}, timeout=limit)
        await asyncio.gather(*done, return_exceptions=True)
    finally:
        await _client_of(user).close()


def adopt(user: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Make the client of a producer or consumer that has not started a ``Client``."""
    use_own_connections()
    _client_of(user).__class__ = Client


def _client_of(user: AIOKafkaProducer | AIOKafkaConsumer) -> AIOKafkaClient:
    return user.client if isinstance(user, AIOKafkaProducer) else user._client


class Client(AIOKafkaClient):  # type: ignore[misc]
    """aiokafka's client, for several who ask at once; after ``close`` it opens nothing more.

    It goes on learning where everything is, whatever went wrong with that.
    """

    _ended = False

    async def _md_synchronizer(self) -> None:
        pause, told = self._retry_backoff, None
        while not self._ended:
            try:
                await super()._md_synchronizer()
            except Exception as error:
                if repr(error) != told:
                    told = repr(error)
                    _log.warning(f"Kafka's metadata was not read: {told}; asking again")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                self._wake()

    def force_metadata_update(self) -> asyncio.Future[bool]:
        """As aiokafka's, also where an update that nobody forced was given up on its way."""
        asked: asyncio.Future[bool] = super().force_metadata_update()
        self._wake()
        return asked

    def _wake(self) -> None:
        # aiokafka wakes its task only for the first who asks, and forgets him where it begins anew.
        if not self._md_update_waiter.done():
            self._md_update_waiter.set_result(None)

    async def send(self, *request: Any, **options: Any) -> Any:
        """As aiokafka's."""
        try:
            return await super().send(*request, **options)
        except KeyError as error:
            # It timed out, and its connection had been replaced before it could be closed.
            raise RequestTimedOutError from error

    async def close(self) -> None:
        """Close all connections, those too that are just being made."""
        self._ended = True
        await super().close()

    async def _get_conn(self, node_id: Any, *, group: int = ConnectionGroup.DEFAULT) -> Any:
        connection = None if self._ended else await super()._get_conn(node_id, group=group)
        if self._ended:
            if connection is not None:
                connection.close(reason=CloseReason.SHUTDOWN)
            raise KafkaConnectionError("the client was closed meanwhile")
        return connection
