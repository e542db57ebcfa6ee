"""Transactions that leave the error that ended them as it was."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg


@asynccontextmanager
async def read_committed(connection: asyncpg.Connection[Any]) -> AsyncIterator[None]:
    """A transaction in which every statement sees what was committed before it.

    Rolled back when its body raises. On a connection that broke, asyncpg's own would raise anew
    and a cancellation would be lost.
    """
    transaction = connection.transaction(isolation="read_committed")
    await transaction.start()
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            await transaction.rollback()
        raise
    await transaction.commit()
