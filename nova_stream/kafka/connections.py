"""aiokafka's connections to a broker that is gone, or hangs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

#: Seconds that a connection has for its end: what it has not sent yet, and the farewell of TLS.
_CLOSE_LIMIT_S = 1.0


class BrokerConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection that is broken is KafkaConnectionError, on uvloop too; one that was closed ends.

    asyncio drops what is written to a transport that the other end has reset; uvloop raises
    RuntimeError until whoever reads there has seen it. aiokafka expects OSError alone: the tasks
    that keep its metadata, its membership and its fetching end with anything else, and nobody
    starts them again.
    """

    def send(self, *request: Any, **options: Any) -> Any:
        """As aiokafka's."""
        with self._told_as_broken():
            return super().send(*request, **options)

    def _send_sasl_token(self, *payload: Any, **options: Any) -> Any:
        with self._told_as_broken():
            return super()._send_sasl_token(*payload, **options)

    def close(self, reason: CloseReason | None = None, exc: Exception | None = None) -> Any:
        """As aiokafka's. A broker that hangs reads nothing more and says no farewell: without a
        limit, whoever awaits the end would wait for ever, or half a minute with TLS.
        """
        writer = self._writer
        ended = super().close(reason=reason, exc=exc)
        if writer is not None and not ended.done():
            self._loop.call_later(_CLOSE_LIMIT_S, writer.transport.abort)
        return ended

    @contextmanager
    def _told_as_broken(self) -> Iterator[None]:
        try:
            yield
        except KafkaError:  # a RuntimeError itself
            raise
        except RuntimeError as error:
            if self._writer is None or not self._writer.transport.is_closing():
                raise
            self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
            told = f"Connection at {self.host}:{self.port} broken: {error}"
            raise KafkaConnectionError(told) from error


def use_own_connections() -> None:
    """Have all clients of this process make their connections so: aiokafka offers no place to say
    so for one.
    """
    conn.AIOKafkaConnection = BrokerConnection
