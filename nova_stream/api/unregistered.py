"""How many names have no agent, for the readiness probe."""

from __future__ import annotations

import asyncio
import time

from nova_stream.api.database import Database
from nova_stream.storage.stats import read

#: Seconds for which a count, or that there is none, is told to others: it goes over all names, and
#: everybody may ask. And those that Postgres has for it.
_KEEP_S = 1.0
_LIMIT_S = 2.5


class UnregisteredCount:
    """Counts once for all who ask within a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: asyncio.Task[int] | None = None
        self._ended_at = float("-inf")

    async def get(self) -> int:
        """The count, at most a second old; raises what Postgres' last answer was, or TimeoutError
        after 2.5 s.
        """
        asked = self._asked
        if asked is None or (asked.done() and time.monotonic() - self._ended_at > _KEEP_S):
            asked = self._asked = asyncio.create_task(self._count())
            asked.add_done_callback(self._ended)
        return await asyncio.shield(asked)

    async def close(self) -> None:
        """Ask no more."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.gather(self._asked, return_exceptions=True)

    async def _count(self) -> int:
        async with asyncio.timeout(_LIMIT_S), self._database.look() as connection:
            return await read.count_unregistered(connection)

    def _ended(self, asked: asyncio.Task[int]) -> None:
        self._ended_at = time.monotonic()
        if not asked.cancelled():
            asked.exception()  # those who asked may all be gone
