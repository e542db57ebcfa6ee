"""What healthCheck reads from the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from nova_stream.kafka.model import AppliedPosition, Key
from nova_stream.storage import signs_of_life
from nova_stream.storage.apply import positions
from nova_stream.storage.database import POLITE, Connection
from nova_stream.storage.dead_letters.sql import COUNT_OPEN
from nova_stream.storage.maintenance import sql


class DatabaseHealth(msgspec.Struct, frozen=True):
    """Sizes count live entities. ``growth`` is how many rows a table gains a day, None
    while too little is known. ``positions`` are how far partitions are applied,
    ``last_run_age_seconds`` how long ago each job last ended well, None where it never has,
    ``workers`` those that live.
    """

    sizes: dict[str, int]
    growth: dict[str, float | None]
    positions: dict[Key, AppliedPosition]
    dead_letters: int
    workers: int
    last_run_age_seconds: dict[str, float | None]


async def database_health(
    connection: Connection, jobs: Sequence[str], own: str, now: datetime
) -> DatabaseHealth:
    """Read it all, on one core of the server; growth is what earlier runs of the job ``own`` found
    until ``now``. Raises what asyncpg raises.
    """
    await connection.execute(POLITE)
    sizes = await connection.fetchrow(sql.TABLE_SIZES)
    growth = await connection.fetchrow(sql.GROWTH, own, now)
    assert sizes is not None
    assert growth is not None
    return DatabaseHealth(
        sizes=dict(sizes),
        growth={name: None if day is None else round(day, 1) for name, day in growth.items()},
        positions=await positions.standing(connection),
        dead_letters=await connection.fetchval(COUNT_OPEN),
        workers=len(await signs_of_life.held(connection)),
        last_run_age_seconds={
            # A worker's clock may be ahead of the database's.
            row["job"]: None if row["age"] is None else round(max(0.0, row["age"]), 1)
            for row in await connection.fetch(sql.LAST_RUNS, list(jobs))
        },
    )
