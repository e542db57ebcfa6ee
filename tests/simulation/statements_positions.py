"""The statements of positions and topics, as Postgres answers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nova_stream.storage.apply import positions, sql
from tests.simulation.database import Row, Transaction

TOPICS, POSITIONS = "stream_topics", "stream_positions"


async def ensure_topics(tx: Transaction, topics: Sequence[str]) -> list[Row]:
    for topic in sorted(topics):
        if await tx.claim(TOPICS, topic):
            made = {"topic_id": None, "generation": 0, "version_kind": None, "flattened": False}
            tx.put(TOPICS, topic, made)
    return []


async def ensure_positions(
    tx: Transaction, topics: Sequence[str], partitions: Sequence[int]
) -> list[Row]:
    for key in sorted(zip(topics, partitions, strict=True)):
        if tx.get(POSITIONS, key) is not None:
            continue
        topic = await tx.lock(TOPICS, key[0])
        if topic is not None and await tx.claim(POSITIONS, key):
            row = {"generation": topic["generation"], "next_offset": 0, "epoch": 0}
            tx.put(POSITIONS, key, row)
    return []


async def read_positions(
    tx: Transaction, topics: Sequence[str], partitions: Sequence[int]
) -> list[Row]:
    keys = zip(topics, partitions, strict=True)
    return [_named(key, row) for key in keys if (row := tx.get(POSITIONS, key)) is not None]


async def lock_positions(
    tx: Transaction, topics: Sequence[str], partitions: Sequence[int]
) -> list[Row]:
    # A topic's row is not locked: what it was when the statement began is what counts.
    known = {topic: tx.get(TOPICS, topic) for topic in topics}
    found = []
    for key in sorted(zip(topics, partitions, strict=True)):
        topic = known[key[0]]
        row = await tx.lock(POSITIONS, key)
        if row is not None and topic is not None:
            more = {"version_kind": topic["version_kind"], "flattened": topic["flattened"]}
            source = {
                "source_generation": 0,
                "source_offsets": [],
                "lsn_high": None,
                "mixed": False,
            }
            found.append(_named(key, row) | more | source | {"truncation": None})
    return found


async def fix_version_kind(tx: Transaction, topic: str, kind: str) -> list[Row]:
    if not await tx.lock_where(TOPICS, topic, _without_kind):
        return []
    row = tx.get(TOPICS, topic)
    assert row is not None
    tx.put(TOPICS, topic, row | {"version_kind": kind})
    return [{"version_kind": kind}]


def _without_kind(row: Row | None) -> bool:
    assert row is not None
    return row["version_kind"] is None


async def read_topics(tx: Transaction, topics: Sequence[str]) -> list[Row]:
    rows = {topic: tx.get(TOPICS, topic) for topic in topics}
    told = ("version_kind", "flattened")
    return [{"topic": t} | {name: row[name] for name in told} for t, row in rows.items() if row]


async def lock_topic(tx: Transaction, topic: str) -> list[Row]:
    row = await tx.lock(TOPICS, topic)
    return [] if row is None else [{k: row[k] for k in ("topic_id", "generation")}]


async def lock_topic_positions(tx: Transaction, topic: str) -> list[Row]:
    for key in sorted(key for key in tx.scan(POSITIONS) if key[0] == topic):
        await tx.lock(POSITIONS, key)
    return []


async def set_topic_id(tx: Transaction, topic: str, topic_id: str) -> list[Row]:
    row = await tx.lock(TOPICS, topic)
    assert row is not None
    tx.put(TOPICS, topic, row | {"topic_id": topic_id})
    return []


async def next_generation(tx: Transaction, topic: str, topic_id: str | None) -> list[Row]:
    row = await tx.lock(TOPICS, topic)
    assert row is not None
    number = row["generation"] + 1
    tx.put(TOPICS, topic, row | {"topic_id": topic_id, "generation": number, "flattened": False})
    return [{"generation": number}]


async def restart_positions(tx: Transaction, topic: str, generation: int) -> list[Row]:
    for key in sorted(key for key in tx.scan(POSITIONS) if key[0] == topic):
        row = await tx.lock(POSITIONS, key)
        assert row is not None
        begun = {"generation": generation, "next_offset": 0, "epoch": row["epoch"] + 1}
        tx.put(POSITIONS, key, begun)
    return []


async def note_partitions(_tx: Transaction, _topic: str, _partitions: int) -> list[Row]:
    return [{"mixed": False}]


async def nothing(_tx: Transaction, *_: Any) -> list[Row]:
    """What is of no consequence here."""
    return []


def _named(key: tuple[str, int], row: Row) -> Row:
    return {"topic": key[0], "partition": key[1], **row}


HANDLERS: dict[str, tuple[str, Callable[..., Any]]] = {
    sql.BEGIN: ("BEGIN", nothing),
    "BEGIN": ("BEGIN", nothing),
    sql.COMMIT: ("COMMIT", nothing),
    sql.ROLLBACK: ("ROLLBACK", nothing),
    sql.ENSURE_TOPICS: ("ENSURE_TOPICS", ensure_topics),
    sql.ENSURE_POSITIONS: ("ENSURE_POSITIONS", ensure_positions),
    sql.READ_POSITIONS: ("READ_POSITIONS", read_positions),
    sql.LOCK_POSITIONS: ("LOCK_POSITIONS", lock_positions),
    sql.FIX_VERSION_KIND: ("FIX_VERSION_KIND", fix_version_kind),
    sql.READ_TOPICS: ("READ_TOPICS", read_topics),
    sql.LOCK_TOPIC: ("LOCK_TOPIC", lock_topic),
    sql.LOCK_TOPIC_POSITIONS: ("LOCK_TOPIC_POSITIONS", lock_topic_positions),
    sql.SET_TOPIC_ID: ("SET_TOPIC_ID", set_topic_id),
    sql.NEXT_GENERATION: ("NEXT_GENERATION", next_generation),
    sql.RESTART_POSITIONS: ("RESTART_POSITIONS", restart_positions),
    sql.FORGET_PARTITIONS: ("FORGET_PARTITIONS", nothing),
    sql.BEGIN_WITH_SOURCE: ("BEGIN_WITH_SOURCE", nothing),
    sql.NOTE_PARTITIONS: ("NOTE_PARTITIONS", note_partitions),
    positions._NOTE_STOP: ("NOTE_STOP", nothing),
}
