"""What the jobs share: connections and short transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from nova_stream.storage.database import INDEXES_ONLY, LASTING_LATER, Connection, read_committed

if TYPE_CHECKING:
    from nova_stream.jobs.engine.job import JobContext

#: Rows of a batch: each is one short transaction.
BATCH = 1000


@asynccontextmanager
async def connected(
    context: JobContext, *, indexes_only: bool = False
) -> AsyncIterator[Connection]:
    """A connection of the run's own, closed at the end.

    With ``indexes_only`` its statements walk indexes whatever the planner's statistics say: a
    table that was empty when they were last taken would be scanned when it is large.
    """
    connection = await context.connect()
    try:
        if indexes_only:
            await connection.execute(INDEXES_ONLY)
        yield connection
    finally:
        connection.terminate()  # all is committed or given up; a farewell would only take time


@asynccontextmanager
async def batch(
    context: JobContext, connection: Connection, *, repeatable: bool = False
) -> AsyncIterator[None]:
    """One short transaction, while the run still has its lease; rolled back in a dry run.

    A ``repeatable`` one does not wait for the disk: when the server crashes in that second, it is
    as if it had not been, and the next run does it.
    """
    if not context.dry_run:
        await context.fence()
    async with read_committed(connection, keep=not context.dry_run):
        if repeatable:
            await connection.execute(LASTING_LATER)
        yield


def run_of(context: JobContext) -> int:
    """The run's number; 0 where it has none, and then nothing that is written stays."""
    return context.run_id or 0
