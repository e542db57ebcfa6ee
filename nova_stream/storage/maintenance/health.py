"""What healthCheck reads from the database."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nova_stream.kafka.model import AppliedPosition, Key
from nova_stream.storage.apply import positions
from nova_stream.storage.database import POLITE, Connection
from nova_stream.storage.dead_letters.sql import COUNT_OPEN
from nova_stream.storage.maintenance import sql as sql_job_work


class DatabaseHealth(msgspec.Struct, frozen=True):
    """Sizes count live entities. ``positions`` are how far partitions are applied,
    ``last_runs`` the seconds since each job last ended well, None where it never has.
    """

    sizes: dict[str, int]
    positions: dict[Key, AppliedPosition]
    dead_letters: int
    last_runs: dict[str, float | None]


async def database_health(connection: Connection, jobs: Sequence[str]) -> DatabaseHealth:
    """Read it all, on one core of the server; raises what asyncpg raises."""
    await connection.execute(POLITE)
    sizes = await connection.fetchrow(sql_job_work.TABLE_SIZES)
    assert sizes is not None
    return DatabaseHealth(
        sizes=dict(sizes),
        positions=await positions.standing(connection),
        dead_letters=await connection.fetchval(COUNT_OPEN),
        last_runs={
            row["job"]: None if row["age"] is None else round(row["age"], 1)
            for row in await connection.fetch(sql_job_work.LAST_RUNS, list(jobs))
        },
    )
