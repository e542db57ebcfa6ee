# mypy: disable-error-code="misc, untyped-decorator"
"""A Faust app that is exact in Postgres, by what Faust's documentation offers.

Records as models, an agent a topic, batches by ``stream.take``. Faust delivers at least once, so a
batch is written by one statement that has no effect the second time: it upserts rows whose version
is newer and adds to the statistics what that changed. Rows and statistics are one transaction.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import asyncpg
import faust

BATCH = 2000
WITHIN = 0.05


class Source(faust.Record):
    seq: int


class Change(faust.Record):
    after: dict[str, Any]
    source: Source


#: The columns that are not the document, with their types.
COLUMNS = {
    "agents": {"name": "text"},
    "builds": {"status": "text"},
    "tasks": {"agent": "text", "status": "text"},
    "executions": {"agent": "text", "duration": "bigint"},
}
#: What a row counts for in which table of statistics, by its key.
COUNTS = {
    "builds": (
        "faust_build_stats",
        "1",
        {
            "total": "1",
            "completed": "(status = 'completed')::int",
            "failed": "(status = 'failed')::int",
            "running": "(status = 'running')::int",
        },
    ),
    "tasks": (
        "faust_agent_stats",
        "agent",
        {
            "total": "1",
            "completed": "(status = 'done')::int",
            "failed": "(status = 'failed')::int",
        },
    ),
    "executions": ("faust_agent_stats", "agent", {"executions": "1", "duration_sum": "duration"}),
}


def statement(name: str) -> str:
    """Writes a batch's newest changes, and what they change in the statistics."""
    columns = {"seq": "bigint", "doc": "text", **COLUMNS[name]}
    names = ", ".join(columns)
    arrays = ", ".join(f"${n}::{t}[]" for n, t in enumerate(columns.values(), 2))
    upsert = f"""
INSERT INTO faust_{name} AS t (id, {names}) SELECT * FROM incoming
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in columns)}
WHERE excluded.seq > t.seq RETURNING t.*"""
    incoming = f"WITH incoming AS (SELECT * FROM unnest($1::text[], {arrays}) AS u (id, {names}))"
    if name not in COUNTS:
        return incoming + upsert
    table, key, counts = COUNTS[name]
    added = ", ".join(f"{value} AS {figure}" for figure, value in counts.items())
    taken = ", ".join(f"-({value})" for value in counts.values())
    figures = ", ".join(counts)
    key_column = "agent" if key == "agent" else "id"
    sums = ", ".join(f"sum({figure}) AS {figure}" for figure in counts)
    return f"""
{incoming},
before AS (SELECT t.* FROM faust_{name} AS t JOIN incoming AS i USING (id)
    WHERE i.seq > t.seq),
written AS ({upsert}),
moved AS (SELECT {key} AS key, {added} FROM written
    UNION ALL SELECT {key}, {taken} FROM before)
INSERT INTO {table} AS s ({key_column}, {figures})
SELECT key, {sums} FROM moved GROUP BY key ORDER BY key
ON CONFLICT ({key_column}) DO UPDATE SET
    {", ".join(f"{figure} = s.{figure} + excluded.{figure}" for figure in counts)}"""


STATEMENTS = {name: statement(name) for name in COLUMNS}

app = faust.App(
    os.environ["NOVA_CONSUMER_GROUP"],
    broker=f"kafka://{os.environ['NOVA_KAFKA_BROKERS']}",
    store="memory://",
    topic_partitions=int(os.environ["NOVA_PARTITIONS"]),
    value_serializer="json",
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
    # Until a killed worker's partitions are given to the next: 60 s is the default.
    broker_session_timeout=10.0,
    broker_heartbeat_interval=3.0,
)
_pool: list[asyncpg.Pool[Any]] = []
_making = asyncio.Lock()


async def pool() -> asyncpg.Pool[Any]:
    """The connections, made by the first who asks."""
    async with _making:
        if not _pool:
            url = os.environ["NOVA_DATABASE_URL"]
            _pool.append(await asyncpg.create_pool(url, min_size=4, max_size=4))
    return _pool[0]


async def write(name: str, changes: list[Change]) -> None:
    """One transaction for a batch; the newest change of an id counts."""
    newest: dict[str, Change] = {}
    for change in changes:
        known = newest.get(change.after["id"])
        if known is None or change.source.seq > known.source.seq:
            newest[change.after["id"]] = change
    documents = [change.after for change in newest.values()]
    columns = ([document[column] for document in documents] for column in COLUMNS[name])
    async with (await pool()).acquire() as connection, connection.transaction():
        # So that the statement sees what a worker that was killed meanwhile may still commit.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", name)
        await connection.execute(
            STATEMENTS[name],
            list(newest),
            [change.source.seq for change in newest.values()],
            [json.dumps(document) for document in documents],
            *columns,
        )


def consume(name: str) -> None:
    """An agent for a topic."""
    topic = app.topic(
        f"{os.environ['NOVA_TOPIC_PREFIX']}.{name}",
        key_type=str,
        key_serializer="raw",
        value_type=Change,
    )

    @app.agent(topic, name=f"on_{name}")
    async def on_changes(stream: Any) -> None:
        async for changes in stream.take(BATCH, within=WITHIN):
            await write(name, changes)


for one in COLUMNS:
    consume(one)

if __name__ == "__main__":
    app.main()
