"""A connection that stays open between uses."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

from nova_stream.storage.database import Connection


class KeptConnection:
    """Made by ``connect`` when it is first wanted, and anew once it has broken; for one user at a
    time.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    async def connected(self) -> Connection:
        """The open connection; raises what ``connect`` raises."""
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        return self._connection

    def disconnect(self) -> None:
        """Close it, without a farewell: a server that does not answer must not hold us."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            with contextlib.suppress(Exception):
                connection.terminate()
