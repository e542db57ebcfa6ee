"""Where the stream stands, and topics that were made again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import asyncpg
import msgspec

from nova_stream.events.change import VersionKind
from nova_stream.kafka.model import AppliedPosition, Key
from nova_stream.storage.apply import sql
from nova_stream.storage.database import Connection, read_committed


class Position(msgspec.Struct):
    """Where a partition stands in Postgres."""

    generation: int
    next_offset: int
    epoch: int


async def ensure(connection: Connection, keys: Iterable[Key]) -> None:
    """Make the rows of partitions that are new, at offset 0 of their topic's generation."""
    ordered = sorted(keys)
    topics = [topic for topic, _ in ordered]
    await connection.execute(sql.ENSURE_TOPICS, sorted(set(topics)))
    await connection.execute(sql.ENSURE_POSITIONS, topics, [p for _, p in ordered])


async def read(connection: Connection, keys: Iterable[Key]) -> dict[Key, Position]:
    """The positions of ``keys``; those without a row are absent."""
    ordered = sorted(keys)
    rows = await connection.fetch(
        sql.READ_POSITIONS, [topic for topic, _ in ordered], [p for _, p in ordered]
    )
    return {
        (row["topic"], row["partition"]): Position(
            generation=row["generation"], next_offset=row["next_offset"], epoch=row["epoch"]
        )
        for row in rows
    }


async def version_kinds(connection: Connection, topics: Iterable[str]) -> dict[str, VersionKind]:
    """The kinds of version of ``topics``; absent where no record has fixed one yet."""
    rows = await connection.fetch(sql.READ_TOPICS, list(topics))
    return {row["topic"]: VersionKind(row["version_kind"]) for row in rows if row["version_kind"]}


async def standing(connection: Connection) -> dict[Key, AppliedPosition]:
    """How far every partition is applied."""
    return by_partition(await connection.fetch(sql.STANDING))


def by_partition(rows: Iterable[asyncpg.Record]) -> dict[Key, AppliedPosition]:
    """The rows of ``sql.STANDING``."""
    return {
        (row["topic"], row["partition"]): AppliedPosition(
            row["next_offset"], row["topic_id"], row["updated_at"]
        )
        for row in rows
    }


async def recognise(connection: Connection, topic: str, topic_id: str) -> int | None:
    """Compare a topic's id in Kafka with the one known, and note it.

    Where it differs, the topic was made again: its offsets start anew, so its generation and the
    epochs of its positions rise and they begin at 0. Gives the new generation then, else None.
    """
    async with read_committed(connection):
        await connection.execute(sql.ENSURE_TOPICS, [topic])
        # Positions first, as the flush locks them, then the topic.
        await connection.execute(sql.LOCK_TOPIC_POSITIONS, topic)
        row = await connection.fetchrow(sql.LOCK_TOPIC, topic)
        assert row is not None
        if row["topic_id"] == topic_id:
            return None
        if row["topic_id"] is None:
            await connection.execute(sql.SET_TOPIC_ID, topic, topic_id)
            return None
        await connection.execute(sql.FORGET_PARTITIONS, topic)
        await connection.execute(sql.BEGIN_WITH_SOURCE, topic)
        return await _next_generation(connection, topic, topic_id)


async def note_partitions(connection: Connection, topic: str, partitions: int) -> bool:
    """Note how many partitions a recognised topic has.

    Gives whether it got more of them, in this life of it, while its versions are offsets, or was
    found to mix those of several partitions: then changes may be taken for old ones.
    """
    return bool(await connection.fetchval(sql.NOTE_PARTITIONS, topic, partitions))


async def mixing(connection: Connection, partitions: Mapping[str, int]) -> list[str]:
    """The topics of which ``note_partitions`` says or, with these partitions, would say so."""
    rows = await connection.fetch(sql.OFFSET_TOPICS, list(partitions))
    return [
        row["topic"]
        for row in rows
        if row["enlarged_at"] is not None
        or (row["partitions"] is not None and row["partitions"] < partitions[row["topic"]])
    ]


async def restart(connection: Connection, topic: str, generation: int) -> int:
    """Begin a topic anew whose log ends below the positions of ``generation``.

    Gives the generation that is in force then; another worker may have raised it already.
    """
    async with read_committed(connection):
        await connection.execute(sql.LOCK_TOPIC_POSITIONS, topic)
        row = await connection.fetchrow(sql.LOCK_TOPIC, topic)
        assert row is not None
        if row["generation"] != generation:
            return int(row["generation"])
        return await _next_generation(connection, topic, row["topic_id"])


#: $1 topic, $2 partition, $3 why or null.
_NOTE_STOP = """
UPDATE stream_positions
SET stopped_why = $3, stopped_at = CASE WHEN $3::text IS NOT NULL THEN clock_timestamp() END
WHERE topic = $1 AND partition = $2 AND (stopped_why IS NULL) <> ($3::text IS NULL)
"""
_STOPPED = """
SELECT topic, partition, stopped_at, stopped_why FROM stream_positions
WHERE stopped_why IS NOT NULL ORDER BY topic, partition
"""


class StoppedPartition(msgspec.Struct, frozen=True):
    """A partition that stands, since when and why."""

    topic: str
    partition: int
    since: datetime
    why: str


async def note_stop(connection: Connection, key: Key, why: str | None) -> None:
    """Store why a partition stands; None: it moves."""
    await connection.execute(_NOTE_STOP, *key, why)


async def stopped(connection: Connection) -> list[StoppedPartition]:
    """The partitions that stand, by topic."""
    return [StoppedPartition(*row) for row in await connection.fetch(_STOPPED)]


async def _next_generation(connection: Connection, topic: str, topic_id: str | None) -> int:
    generation: int = await connection.fetchval(sql.NEXT_GENERATION, topic, topic_id)
    await connection.execute(sql.RESTART_POSITIONS, topic, generation)
    return generation
