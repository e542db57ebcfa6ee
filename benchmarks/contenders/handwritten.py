"""A hand-written consumer: aiokafka, msgspec, batched unnest upserts, offsets in the transaction.

What a good engineer would write for this one job and tune: the same tables, columns and indexes as
nova-stream's, its version guard, exact under duplicates and crashes. No statistics, no dead
letters, no second worker. The next batch is fetched and decoded while the one before is committed.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

BATCH = 8000

Change = tuple[Any, ...]


class Source(msgspec.Struct, gc=False):
    seq: int
    minor: int = 0
    ts_ms: int = 0


class Record(msgspec.Struct, gc=False):
    op: str
    after: msgspec.Raw
    source: Source


class Agent(msgspec.Struct, rename="camel", gc=False):
    id: str
    name: str
    created_at: datetime | None = None


class Build(msgspec.Struct, rename="camel", gc=False):
    id: str
    status: str
    started_at: datetime | None = None
    completed_at: datetime | None = None


class Task(msgspec.Struct, rename="camel", gc=False):
    id: str
    build_id: str
    agent: str
    status: str
    created_at: datetime | None = None


class Execution(msgspec.Struct, rename="camel", gc=False):
    id: str
    task_id: str
    agent: str
    duration: int | float
    timestamp: datetime | None = None


class Activity(msgspec.Struct, rename="camel", gc=False):
    id: str
    timestamp: datetime | None = None


class User(msgspec.Struct, rename="camel", gc=False):
    id: str
    created_at: datetime | None = None
    last_active_at: datetime | None = None


class Kind(NamedTuple):
    """An entity: its table, the document's type, and the typed columns with their types."""

    table: str
    document: type[msgspec.Struct]
    columns: dict[str, str]

    def upsert(self) -> str:
        """One statement that writes a batch."""
        columns = {
            "version": "bigint",
            "version_minor": "int",
            "changed_at": "timestamptz",
            "src_partition": "int",
            "src_offset": "bigint",
            "doc": "text",
            **self.columns,
        }
        names = ", ".join(columns)
        arrays = ", ".join(f"${n}::{t}[]" for n, t in enumerate(columns.values(), 2))
        values = ", ".join(
            {"doc": "doc::jsonb", "duration": "duration::numeric"}.get(c, c) for c in columns
        )
        return f"""
INSERT INTO {self.table} AS t (id, {names})
SELECT id, {values} FROM unnest($1::text[], {arrays}) AS u (id, {names})
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in columns)}
WHERE (excluded.version, excluded.version_minor) > (t.version, t.version_minor)"""


KINDS = {
    "agents": Kind("agents", Agent, {"name": "text", "created_at": "timestamptz"}),
    "builds": Kind(
        "builds",
        Build,
        {"status": "text", "started_at": "timestamptz", "completed_at": "timestamptz"},
    ),
    "tasks": Kind(
        "tasks",
        Task,
        {"build_id": "text", "agent": "text", "status": "text", "created_at": "timestamptz"},
    ),
    "executions": Kind(
        "executions",
        Execution,
        {"task_id": "text", "agent": "text", "duration": "float8", "timestamp": "timestamptz"},
    ),
    "activities": Kind("agent_activity_feed", Activity, {"timestamp": "timestamptz"}),
    "users": Kind(
        "user_profiles", User, {"created_at": "timestamptz", "last_active_at": "timestamptz"}
    ),
}
UPSERTS = {name: kind.upsert() for name, kind in KINDS.items()}

POSITIONS = "SELECT topic, partition, next_offset FROM stream_positions"
MOVE = """
INSERT INTO stream_positions (topic, partition, next_offset)
SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""

_record = msgspec.json.Decoder(Record).decode
_documents = {name: msgspec.json.Decoder(kind.document).decode for name, kind in KINDS.items()}
_fields = {name: kind.document.__struct_fields__[1:] for name, kind in KINDS.items()}


class Batch(NamedTuple):
    """The newest change of each document by entity, and where reading goes on."""

    changes: dict[str, dict[str, Change]]
    positions: dict[TopicPartition, int]


def decode(fetched: dict[TopicPartition, list[Any]]) -> Batch:
    """ON CONFLICT cannot touch a row twice, so only the newest change of an id stays."""
    batch = Batch({}, {})
    for place, records in fetched.items():
        name = place.topic.rpartition(".")[2]
        read, partition = _documents[name], place.partition
        newest = batch.changes.setdefault(name, {})
        for record in records:
            if record.value is None:
                continue
            found = _record(record.value)
            source = found.source
            document: Any = read(found.after)
            known = newest.get(document.id)
            if known is not None and known[1:3] >= (source.seq, source.minor):
                continue
            newest[document.id] = (
                document.id,
                source.seq,
                source.minor,
                datetime.fromtimestamp(source.ts_ms / 1000, UTC),
                partition,
                record.offset,
                str(found.after, "utf-8"),
                *msgspec.structs.astuple(document)[1:],
            )
        batch.positions[place] = records[-1].offset + 1
    return batch


async def commit(connection: asyncpg.Connection[Any], batch: Batch) -> None:
    """Write a batch with its offsets in one transaction."""
    async with connection.transaction():
        for name, newest in batch.changes.items():
            if newest:
                columns = list(zip(*newest.values(), strict=True))
                await connection.execute(UPSERTS[name], *columns)
        await connection.execute(
            MOVE,
            [place.topic for place in batch.positions],
            [place.partition for place in batch.positions],
            list(batch.positions.values()),
        )


async def run() -> None:
    """Read on from the database's offsets, for ever."""
    prefix = os.environ["NOVA_TOPIC_PREFIX"]
    partitions = range(int(os.environ["NOVA_PARTITIONS"]))
    connection = await asyncpg.connect(os.environ["NOVA_DATABASE_URL"])
    consumer = AIOKafkaConsumer(
        bootstrap_servers=os.environ["NOVA_KAFKA_BROKERS"], enable_auto_commit=False
    )
    await consumer.start()
    places = [TopicPartition(f"{prefix}.{name}", p) for name in KINDS for p in partitions]
    consumer.assign(places)
    known = {(row[0], row[1]): row[2] for row in await connection.fetch(POSITIONS)}
    for place in places:
        consumer.seek(place, known.get((place.topic, place.partition), 0))

    committing: asyncio.Task[None] | None = None
    while True:
        fetched = await consumer.getmany(timeout_ms=200, max_records=BATCH)
        batch = decode(fetched) if fetched else None
        if committing is not None:
            await committing
            committing = None
        if batch is not None:
            committing = asyncio.create_task(commit(connection, batch))


if __name__ == "__main__":
    uvloop.run(run())
