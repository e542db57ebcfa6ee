"""One-off statements from code that is not asynchronous."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def run_sql(url: str, *statements: str, limit: float = 30.0) -> list[tuple[Any, ...]]:
    """Run statements one by one, each in a transaction of its own; the rows of the last.

    Works whether or not the caller's thread has an event loop. Raises asyncpg's errors, OSError
    and TimeoutError.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="sql") as pool:
        return pool.submit(asyncio.run, _run(url, statements, limit)).result()


def postgres_answers(url: str, *, limit: float = 5.0) -> bool:
    """Whether a client can log in and gets an answer."""
    import asyncpg  # noqa: PLC0415  (slow to import)

    try:
        return run_sql(url, "SELECT 1", limit=limit) == [(1,)]
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


async def _run(url: str, statements: tuple[str, ...], limit: float) -> list[tuple[Any, ...]]:
    import asyncpg  # noqa: PLC0415  (slow to import)

    rows: list[Any] = []
    async with asyncio.timeout(limit):
        connection = await asyncpg.connect(url, timeout=limit)
        try:
            for statement in statements:
                rows = await connection.fetch(statement)
        finally:
            await connection.close(timeout=5)
    return [tuple(row) for row in rows]
