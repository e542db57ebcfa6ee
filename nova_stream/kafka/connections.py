"""aiokafka's connections on uvloop, which has a word of its own for one that has just broken."""

from __future__ import annotations

from typing import Any

from aiokafka import conn
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


class BrokerConnection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection that is broken is KafkaConnectionError, on uvloop too.

    asyncio drops what is written to a transport that the other end has reset; uvloop raises
    RuntimeError until whoever reads there has seen it. aiokafka expects OSError alone: the tasks
    that keep its metadata, its membership and its fetching end with anything else, and nobody
    starts them again.
    """

    def send(self, *request: Any, **options: Any) -> Any:
        """As aiokafka's."""
        try:
            return super().send(*request, **options)
        except RuntimeError as error:
            raise self._broken(error) from error

    def _send_sasl_token(self, *payload: Any, **options: Any) -> Any:
        try:
            return super()._send_sasl_token(*payload, **options)
        except RuntimeError as error:
            raise self._broken(error) from error

    def _broken(self, error: RuntimeError) -> Exception:
        if self._writer is None or not self._writer.transport.is_closing():
            return error
        self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
        broken: Exception = KafkaConnectionError(
            f"Connection at {self.host}:{self.port} broken: {error}"
        )
        return broken


def use_own_connections() -> None:
    """Have all clients of this process make their connections so: aiokafka offers no place to say
    so for one.
    """
    conn.AIOKafkaConnection = BrokerConnection
