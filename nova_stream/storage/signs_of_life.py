"""The locks by which living workers are known: Postgres lets go of one when its process ends."""

from __future__ import annotations

from nova_stream.storage import locks
from nova_stream.storage.database import Connection

_HOLD = f"SELECT pg_advisory_lock({locks.WORKERS}, $1)"
_HELD = """
SELECT objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND classid = $1::int::oid AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def hold(connection: Connection, number: int) -> None:
    """Hold the lock ``number`` (0 to 2**31 - 1) for as long as the connection lives."""
    await connection.execute(_HOLD, number)


async def held(connection: Connection) -> frozenset[int]:
    """The numbers of all workers that live, seen from this database."""
    return frozenset([row[0] for row in await connection.fetch(_HELD, locks.WORKERS)])
