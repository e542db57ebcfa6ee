"""Who is cancelled while Postgres goes away is cancelled, and does not go on with its error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import asyncpg
import pytest

from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.database import Connection, read_committed, snapshot


class Broken:
    """A connection that answers nothing once its transaction has begun, and then is gone.

    It stands for asyncpg's, and its transaction for one of it.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def transaction(self, **_options: object) -> Broken:
        return self

    async def __aenter__(self) -> None:
        await self.start()

    async def __aexit__(self, *_error: object) -> None:
        await self.rollback()

    async def start(self) -> None:
        """Begin."""

    async def rollback(self) -> None:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle")

    async def execute(self, statement: str, *_arguments: object) -> None:
        if statement.lstrip().startswith("ROLLBACK"):
            await self.rollback()
        if not statement.lstrip().startswith("BEGIN"):
            await self.wait()

    async def fetch(self, *_arguments: object) -> None:
        await self.wait()

    async def wait(self) -> None:
        self.asked.set()
        await asyncio.sleep(3600)

    def is_closed(self) -> bool:
        return False


async def _flush(connection: Broken) -> None:
    await Flush(cast("Connection", connection), [], {}).run()


async def _read_committed(connection: Broken) -> None:
    async with read_committed(cast("Connection", connection)):
        await connection.wait()


async def _snapshot(connection: Broken) -> None:
    async with snapshot(cast("Connection", connection)):
        await connection.wait()


@pytest.mark.parametrize("use", [_flush, _read_committed, _snapshot])
async def test_it_ends_as_cancelled(use: Callable[[Broken], Awaitable[None]]) -> None:
    connection = Broken()
    task = asyncio.ensure_future(use(connection))
    await connection.asked.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
