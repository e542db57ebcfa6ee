"""The executions of an agent that took longest in a range of time."""

from __future__ import annotations

from functools import partial

from nova_stream.storage.bounded import fetch_within
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.lists.catalogue import EXECUTIONS
from nova_stream.storage.lists.rows import ListedExecution
from nova_stream.storage.stats.buckets import Range
from nova_stream.storage.stats.read import Bounds, in_turns, known_name, read_row

# The index of an agent's times has the durations in it, too: rows are looked up for those alone
# that are shown.
_SLOWEST = """
WITH longest AS MATERIALIZED (
    SELECT DISTINCT w.timestamp, w.duration FROM (
        SELECT timestamp, duration FROM executions
        WHERE agent = $1 AND timestamp >= $2 AND timestamp < $3 AND duration IS NOT NULL
        ORDER BY duration DESC, timestamp DESC LIMIT $4
    ) w
)
SELECT {columns} FROM longest JOIN executions t USING (timestamp, duration)
WHERE t.agent = $1 ORDER BY t.duration DESC, t.timestamp DESC, t.id LIMIT $4
"""
_FIGURES = _SLOWEST.format(columns=EXECUTIONS.columns)
_DOCUMENTS = _SLOWEST.format(columns=f"{EXECUTIONS.columns}, {EXECUTIONS.documents}")


async def slowest(
    connection: Connection,
    name: str,
    asked: Range,
    bounds: Bounds,
    *,
    unregistered: bool,
    documents: bool,
) -> list[ListedExecution] | None:
    """The longest first, of equal ones the newest; None where ``known_name`` finds none. Raises
    what asyncpg raises, and needs a connection that is in no transaction.
    """
    statement = _DOCUMENTS if documents else _FIGURES
    async with snapshot(connection):
        if await known_name(connection, name, unregistered=unregistered) is None:
            return None
        arguments = (name, asked.start, asked.end, bounds.rows)
        found = await fetch_within(connection, statement, *arguments, **bounds._asdict())
    return await in_turns(partial(read_row, ListedExecution), found.rows)
