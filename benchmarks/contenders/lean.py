"""A lean consumer: the hand-written one with all left out that its own figures do not need.

Tables of its own with an id, a version, what the figures count, and the document as text; no index
but the primary keys, no time of a change, no place in Kafka. Changes are coalesced by Kafka's key,
which every change of a document must have, and only the newest document is read. Exact under
duplicates and crashes; one process. The next batch is fetched and read while one is committed.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, NamedTuple

import asyncpg
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

BATCH = 8000


class Source(msgspec.Struct, gc=False):
    seq: int
    minor: int = 0


class Record(msgspec.Struct, gc=False):
    after: msgspec.Raw
    source: Source


class Document(msgspec.Struct, gc=False):
    id: str


class Build(Document, gc=False):
    status: str


class Task(Document, gc=False):
    agent: str
    status: str


class Execution(Document, gc=False):
    agent: str
    duration: float


class Kind(NamedTuple):
    """An entity: the document's type, and the columns that the figures need."""

    document: type[Document]
    columns: dict[str, str]

    def table(self, name: str) -> str:
        """The statement that makes the table."""
        columns = ", ".join(f"{c} {t} NOT NULL" for c, t in self.columns.items())
        return f"""
CREATE TABLE IF NOT EXISTS lean_{name} (id text PRIMARY KEY, seq bigint NOT NULL,
    minor int NOT NULL, doc text NOT NULL{columns and ", "}{columns})"""

    def upsert(self, name: str) -> str:
        """One statement that writes a batch."""
        columns = {"seq": "bigint", "minor": "int", "doc": "text", **self.columns}
        names = ", ".join(columns)
        arrays = ", ".join(f"${n}::{t}[]" for n, t in enumerate(columns.values(), 2))
        return f"""
INSERT INTO lean_{name} AS t (id, {names}) SELECT * FROM unnest($1::text[], {arrays})
ON CONFLICT (id) DO UPDATE SET {", ".join(f"{c} = excluded.{c}" for c in columns)}
WHERE (excluded.seq, excluded.minor) > (t.seq, t.minor)"""


KINDS = {
    "agents": Kind(Document, {}),
    "builds": Kind(Build, {"status": "text"}),
    "tasks": Kind(Task, {"agent": "text", "status": "text"}),
    "executions": Kind(Execution, {"agent": "text", "duration": "float8"}),
    "activities": Kind(Document, {}),
    "users": Kind(Document, {}),
}
UPSERTS = {name: kind.upsert(name) for name, kind in KINDS.items()}

TABLES = [kind.table(name) for name, kind in KINDS.items()]
TABLES.append("""
CREATE TABLE IF NOT EXISTS lean_positions (topic text, partition int, next_offset bigint NOT NULL,
    PRIMARY KEY (topic, partition))""")
POSITIONS = "SELECT topic, partition, next_offset FROM lean_positions"
MOVE = """
INSERT INTO lean_positions SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = excluded.next_offset"""

_record = msgspec.json.Decoder(Record).decode
_documents = {name: msgspec.json.Decoder(kind.document).decode for name, kind in KINDS.items()}


class Batch(NamedTuple):
    """Columns by entity, and where reading goes on."""

    columns: dict[str, list[list[Any]]]
    positions: dict[TopicPartition, int]


def decode(fetched: dict[TopicPartition, list[Any]]) -> Batch:
    """Every record is read as far as its version; only the newest of a key is more than that."""
    newest: dict[str, dict[bytes, tuple[int, int, Any]]] = {name: {} for name in KINDS}
    positions = {}
    for place, records in fetched.items():
        known = newest[place.topic.rpartition(".")[2]]
        for record in records:
            found = _record(record.value)
            source, key = found.source, record.key
            change = (source.seq, source.minor, found.after)
            if key not in known or change[:2] > known[key][:2]:
                known[key] = change
        positions[place] = records[-1].offset + 1
    columns = {name: _columns(name, list(some.values())) for name, some in newest.items() if some}
    return Batch(columns, positions)


def _columns(name: str, changes: list[tuple[int, int, Any]]) -> list[list[Any]]:
    read = _documents[name]
    documents = [read(after) for _, _, after in changes]
    return [
        [document.id for document in documents],
        [seq for seq, _, _ in changes],
        [minor for _, minor, _ in changes],
        [str(after, "utf-8") for _, _, after in changes],
        *([getattr(document, c) for document in documents] for c in KINDS[name].columns),
    ]


async def commit(connection: asyncpg.Connection[Any], batch: Batch) -> None:
    """Write a batch with its offsets in one transaction."""
    async with connection.transaction():
        for name, columns in batch.columns.items():
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
    for table in TABLES:
        await connection.execute(table)
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
