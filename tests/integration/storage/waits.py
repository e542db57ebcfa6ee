"""Flushes that meet where a test wants them to."""

from __future__ import annotations

import asyncio
from typing import Any

from nova_stream.settings import Settings
from nova_stream.storage.apply import sql
from nova_stream.storage.database import Connection, connect
from tests.messages import statements_of


class WaitsBeforeItCommits:
    """A connection that says when it is about to commit, and waits until it may."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.about_to, self.may = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, message: str, *arguments: Any) -> Any:
        done = None
        for statement in statements_of(message):
            if statement == sql.COMMIT:
                self.about_to.set()
                await self.may.wait()
            done = await self._connection.execute(statement, *arguments)
        return done


async def until_it_waits(settings: Settings, pid: int) -> None:
    """Until the backend ``pid`` waits for a lock."""
    connection = await connect(settings, "look")
    try:
        async with asyncio.timeout(20):
            blocking = "SELECT cardinality(pg_blocking_pids($1))"
            while not await connection.fetchval(blocking, pid):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
    finally:
        await connection.close()
