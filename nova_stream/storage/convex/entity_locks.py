"""One at a time with an entity, in this process and in all others on the same database."""

from __future__ import annotations

import asyncio
import time

import msgspec

from nova_stream.settings import Settings
from nova_stream.storage import locks
from nova_stream.storage.convex import sql
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.faults import DATABASE_ERRORS, is_away

#: Seconds between two attempts while another process holds a lock.
_PAUSE_S = 0.01
_STATEMENT_LIMIT_S = 5.0


class Lease(msgspec.Struct, eq=False):
    """A lock that is held."""

    number: int
    connection: Connection


class _Turn:
    """Those of this process who want one lock."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class EntityLocks:
    """Advisory locks of one session, which Postgres lets go of when this process dies."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns: dict[int, _Turn] = {}
        self._session = asyncio.Lock()
        self._connection: Connection | None = None

    async def acquire(self, name: str, timeout: float) -> Lease:
        """Hold the lock of this name; TimeoutError when others do for ``timeout`` seconds.

        Raises DatabaseUnavailableError, or what asyncpg raises.
        """
        deadline = time.monotonic() + timeout
        number = locks.entity(name)
        turn = self._turns.setdefault(number, _Turn())
        turn.users += 1
        try:
            async with asyncio.timeout(timeout):
                await turn.lock.acquire()
            try:
                return await self._lock(number, deadline)
            except BaseException:
                turn.lock.release()
                raise
        except BaseException:
            self._leave(number, turn)
            raise

    async def release(self, lease: Lease) -> None:
        """Let the next one have it, whatever comes of it. Raises what asyncpg raises, but where
        Postgres is away: the session's end has let go of it then.
        """
        try:
            if self.holds(lease):
                await self._ask(sql.UNLOCK, lease.number)
        except DATABASE_ERRORS as error:
            if not is_away(error):
                raise
        finally:
            turn = self._turns[lease.number]
            turn.lock.release()
            self._leave(lease.number, turn)

    def holds(self, lease: Lease) -> bool:
        """Whether the session that has the lock is still there, as far as is known here."""
        return lease.connection is self._connection and not lease.connection.is_closed()

    async def close(self) -> None:
        """End the session, and with it every lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _lock(self, number: int, deadline: float) -> Lease:
        while True:
            if await self._ask(sql.TRY_LOCK, number):
                assert self._connection is not None
                return Lease(number, self._connection)
            if time.monotonic() >= deadline:
                raise TimeoutError
            await asyncio.sleep(_PAUSE_S)

    async def _ask(self, statement: str, number: int) -> bool:
        async with self._session:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._settings, "api locks")
            try:
                return bool(
                    await self._connection.fetchval(statement, number, timeout=_STATEMENT_LIMIT_S)
                )
            except BaseException:
                # Whether the lock was given is not known: only the session's end takes it back.
                await self.close()
                raise

    def _leave(self, number: int, turn: _Turn) -> None:
        turn.users -= 1
        if turn.users == 0:
            del self._turns[number]
