"""One database session that several tasks share, one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, check_schema, connect
from nova_stream.storage.kept_connection import KeptConnection

#: Nothing done in it takes this long unless Postgres is away. Seconds.
_LIMIT_S = 10.0


class Session:
    """A session that is opened when it is needed, and anew after anything went wrong in it."""

    def __init__(self, settings: Settings, application: str) -> None:
        self._lock = asyncio.Lock()
        self.settings = settings
        self._kept = KeptConnection(lambda: connect(self.settings, application, timeout=5.0))

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """The connection, for one caller at a time and for a few seconds.

        Raises DatabaseUnavailableError, TimeoutError, or what the caller's statements raise.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(_LIMIT_S):
                    yield await self._kept.connected()
            except BaseException:
                # Whatever the session was in the middle of, it is not used again.
                self.close()
                raise

    async def check_schema(self) -> None:
        """Raise SchemaVersionError unless the database has the schema of this version."""
        async with self.use() as connection:
            await check_schema(connection)

    def close(self) -> None:
        """Drop the connection; a later use opens another."""
        self._kept.disconnect()
