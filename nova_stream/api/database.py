"""The API's connections to Postgres: opened at first use, gone and back without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from nova_stream.api.budget.spending import room_to_read
from nova_stream.api.lazy import Lazy
from nova_stream.api.postgres_watch import PostgresWatch
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, check_schema, create_pool

#: Connections that there are at most.
CONNECTIONS = 8
#: Seconds that a request may spend with the database; a reader waits no longer.
_LIMIT_S = 15.0
_CLOSE_LIMIT_S = 2.0


class Database:
    """A pool of ``size`` connections, made when the first request needs one."""

    def __init__(
        self, settings: Settings, size: int = CONNECTIONS, watch: PostgresWatch | None = None
    ) -> None:
        """``watch`` knows whether Postgres answers; without one nobody is told before its own limit
        ends.
        """
        self._settings = settings
        self._watch = watch or PostgresWatch(settings)
        self._size = size
        self._pool: Lazy[asyncpg.Pool[Any]] = Lazy(self._open, _close)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection to read for the present request, for the duration of the block, at most
        15 s: there is room then for what its route declares. At once without Postgres' answers.

        Raises what ``look`` does, and TryAgainError when there is no room.
        """
        self._watch.require_answers()
        async with room_to_read(), self.look() as connection:
            yield connection

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Connection]:
        """A connection for a small look, for the duration of the block, at most 15 s.

        Raises DatabaseUnavailableError or SchemaVersionError, TimeoutError, or what asyncpg
        raises.
        """
        async with asyncio.timeout(_LIMIT_S):
            pool = await self._pool.get()
            async with _lent(pool) as connection:
                yield connection

    @asynccontextmanager
    async def brief_look(self) -> AsyncIterator[Connection]:
        """As ``look``, for what can wait for the next one: it ends with TimeoutError as soon as
        Postgres does not answer.
        """
        async with self._watch.while_it_answers(), self.look() as connection:
            yield connection

    async def close(self) -> None:
        """Close all connections; those in use are cut off after 2 s."""
        await self._pool.close()

    async def _open(self) -> asyncpg.Pool[Any]:
        pool = await create_pool(self._settings, "api", self._size)
        try:
            async with _lent(pool) as connection:
                await check_schema(connection)
        except BaseException:
            pool.terminate()
            raise
        return pool


@asynccontextmanager
async def _lent(pool: asyncpg.Pool[Any]) -> AsyncIterator[Connection]:
    """A connection of the pool; whoever is cut off while having it leaves it closed."""
    async with pool.acquire() as connection:
        try:
            yield connection
        except BaseException:
            # Else it would go back only when the server has taken note, and one that stands still
            # never does. Of a transaction that is cut off comes another error than that.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                connection.terminate()
            raise


async def _close(pool: asyncpg.Pool[Any]) -> None:
    try:
        await asyncio.wait_for(pool.close(), _CLOSE_LIMIT_S)
    except TimeoutError:
        pool.terminate()
