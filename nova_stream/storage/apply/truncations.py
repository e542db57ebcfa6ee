"""What a truncation (op t) leaves without effect: everything up to its version, in its order.

A topic's partitions are read at different speeds, so each of them keeps what the last truncations
mean for it, for as long as older changes may still come.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec

from nova_stream.events.change import COLUMNS, Change, Entity, VersionKind
from nova_stream.events.versions import GENERATION_BITS
from nova_stream.storage.apply.fold import Rank, is_placed, rank_of
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.apply.upserts_sql import FINISHED_AT, with_moves
from nova_stream.storage.database import Connection

#: Which rows a truncation takes whose version is $2 (the source's generation), $3 and $4 and which
#: stood in partition $1 at place $5 at the time $6. Where the versions of two partitions do not
#: compare, the times do.
_TAKEN: dict[VersionKind, str] = {
    VersionKind.SEQ: "(t.version, t.version_minor) <= ($3, $4)",
    VersionKind.OFFSET: f"""CASE WHEN t.src_partition = $1
        THEN (t.version, t.version_minor) <= ($3, $4)
        ELSE t.changed_at < $6 OR t.version >> {GENERATION_BITS} < $3 >> {GENERATION_BITS} END""",
    VersionKind.LSN: f"""CASE
        WHEN (t.version_generation, t.version) = (0, 0) AND t.version_minor < 0
        THEN CASE WHEN t.src_partition = $1 THEN t.src_offset < $5
            ELSE t.changed_at < $6
                OR t.src_offset >> {GENERATION_BITS} < $5 >> {GENERATION_BITS} END
        ELSE (t.version_generation, t.version, t.version_minor) < ($2, $3, $4)
            OR (t.version_generation, t.version, t.version_minor) = ($2, $3, $4)
                AND NOT (t.src_partition = $1 AND t.src_offset > $5) END""",
}


def _take(table: str, kind: VersionKind) -> str:
    # Rows that were deleted before stand in nobody's way afterwards, where versions alone do not
    # tell what comes after the truncation.
    left = "t.version_minor > -2147483648" if kind is VersionKind.LSN else "t.deleted_at IS NULL"
    return f"""
WITH of AS (SELECT $1::int, $2::int, $3::bigint, $4::int, $5::bigint, $6::timestamptz)
SELECT t.id FROM {table} t
WHERE {left} AND t.id > $7 AND {_TAKEN[kind]}
ORDER BY t.id LIMIT $8 FOR UPDATE"""  # noqa: S608 - made from our own constants


def _empty(entity: Entity) -> str:
    cleared = [*COLUMNS[entity], *(FINISHED_AT.values() if entity is Entity.TASKS else ())]
    columns = "".join(f", {column} = NULL" for column in cleared)
    changed = f"""
    UPDATE {TABLES[entity]} AS t SET version_generation = $3, version = $4, version_minor = $5,
        changed_at = $6, deleted_at = $6, src_partition = $7, src_offset = $8, doc = NULL{columns}
    FROM unnest($1::text[]) AS taken (id) WHERE t.id = taken.id AND $2::text IS NOT NULL"""  # noqa: S608 - made from our own constants
    return with_moves(entity, changed, "$2")


#: Locks and gives up to $8 ids behind $7 that a truncation takes.
_TAKE: dict[tuple[Entity, VersionKind], str] = {
    (entity, kind): _take(TABLES[entity], kind) for entity in Entity for kind in VersionKind
}
#: Makes tombstones of the rows $1 of topic $2, of the version $3 (source's generation), $4 and $5,
#: time $6, partition $7 and place $8. Gives what ``upserts_sql.UPSERT`` gives.
_EMPTY: dict[Entity, str] = {entity: _empty(entity) for entity in Entity}

#: $1 topic, $2 partitions, $3 what it means for each of them, as JSON.
_NOTE_TRUNCATION = """
UPDATE stream_positions s SET truncation = u.truncation::jsonb
FROM unnest($2::int[], $3::text[]) AS u (partition, truncation)
WHERE s.topic = $1 AND s.partition = u.partition
"""
#: $1 topic, $2 what it means for partitions that are new.
_NOTE_TRUNCATION_OF_TOPIC = "UPDATE stream_topics SET truncation = $2::jsonb WHERE topic = $1"
_TRUNCATION_OF_TOPIC = """
SELECT truncation::text FROM stream_topics WHERE topic = $1 FOR UPDATE
"""
#: What workers hold of these partitions' figures is out of date ($1 topic).
RAISE_EPOCHS = "UPDATE stream_positions SET epoch = epoch + 1 WHERE topic = $1"


#: Rows that one transaction empties at most: a larger entity takes several, each of which leaves
#: caches that equal the recount.
STEP_ROWS = 50_000

_LOWEST = Rank(0, 0, -(2**31))


class Floor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What truncations mean for one partition.

    ``rank`` is the highest version that they took of those that compare with this partition's,
    ``at`` its time. Changes of that very version count behind the place ``ties`` of this partition;
    none does where a truncation of another partition has it.
    ``place`` is that of the last one which stood in the partition itself. ``before`` is the newest
    time of those in other partitions, in the topic's ``life``, for changes whose versions do not
    compare.
    """

    rank: Rank | None = None
    at: datetime | None = None
    ties: int | None = None
    place: int | None = None
    before: datetime | None = None
    life: int = 0

    def raised(self, truncation: Change, life: int, *, own: bool) -> Floor:
        """The floor after a truncation; ``own`` is whether it stood in this partition."""
        kind, time = truncation.kind, truncation.changed_at
        floor = self
        if (own or kind is not VersionKind.OFFSET) and rank_of(truncation) >= (self.rank or ()):
            ties = self._ties_with(truncation, own=own)
            floor = msgspec.structs.replace(floor, rank=rank_of(truncation), at=time, ties=ties)
        if own and kind is VersionKind.LSN:
            place = truncation.place if self.place is None else max(self.place, truncation.place)
            floor = msgspec.structs.replace(floor, place=place)
        if not own:
            known = self.before if self.life == life else None
            before = time if known is None else max(known, time)
            floor = msgspec.structs.replace(floor, before=before, life=life)
        return floor

    def _ties_with(self, truncation: Change, *, own: bool) -> int | None:
        if not own or truncation.kind is not VersionKind.LSN:
            return None
        if self.rank != rank_of(truncation):
            return truncation.place
        return None if self.ties is None else max(self.ties, truncation.place)

    def admits(self, change: Change, life: int) -> bool:
        """Whether a change is of after the truncations."""
        if change.kind is VersionKind.LSN and not has_lsn(change):
            later = self.place is None or change.place > self.place
            return later and self._is_of_after(change, life)
        rank = rank_of(change)
        if self.rank is not None and rank <= self.rank:
            tied = rank == self.rank and change.kind is VersionKind.LSN
            return tied and self.ties is not None and change.place > self.ties
        return change.kind is not VersionKind.OFFSET or self._is_of_after(change, life)

    def _is_of_after(self, change: Change, life: int) -> bool:
        return self.before is None or self.life != life or change.changed_at >= self.before


def has_lsn(change: Change) -> bool:
    """False for what an incremental snapshot read without one, and what was added to that."""
    return change.number > 0 or change.minor >= 0


def read_floor(text: str | None) -> Floor:
    """A floor as it is stored."""
    return Floor() if text is None else _decode(text)


async def note(
    connection: Connection,
    topic: str,
    life: int,
    truncations: Iterable[Change],
    stored: dict[int, str | None],
) -> dict[int, Floor]:
    """Raise the floors of all partitions of a topic, which are locked; gives them.

    ``stored`` has what is known so far, by partition.
    """
    of_topic = read_floor(await connection.fetchval(_TRUNCATION_OF_TOPIC, topic))
    floors = {partition: read_floor(text) for partition, text in stored.items()}
    for truncation in truncations:
        of_topic = of_topic.raised(truncation, life, own=False)
        for partition, floor in floors.items():
            floors[partition] = floor.raised(
                truncation, life, own=partition == truncation.partition
            )
    texts = [_encode(floor) for floor in floors.values()]
    await connection.execute(_NOTE_TRUNCATION, topic, list(floors), texts)
    await connection.execute(_NOTE_TRUNCATION_OF_TOPIC, topic, _encode(of_topic))
    return floors


async def take(
    connection: Connection, entity: Entity, truncation: Change, after: str, rows: int
) -> list[str]:
    """Lock the rows that a truncation takes, up to ``rows`` behind the id ``after``."""
    found = await connection.fetch(
        _TAKE[entity, truncation.kind],
        truncation.partition if is_placed(truncation) else -1,
        *rank_of(truncation),
        truncation.place,
        truncation.changed_at,
        after,
        rows,
    )
    return [row["id"] for row in found]


async def empty(
    connection: Connection,
    entity: Entity,
    truncation: Change,
    topic: str,
    ids: list[str],
) -> list[asyncpg.Record]:
    """Make tombstones of rows; gives what moved, as ``upserts_sql.UPSERT`` does.

    Of which changes count from now on, the floors alone say where versions of two partitions do not
    compare, or rows have none: there the tombstones rank below all.
    """
    rank = rank_of(truncation) if truncation.kind is VersionKind.SEQ else _LOWEST
    place = truncation.place if truncation.kind is VersionKind.LSN else truncation.offset
    return await connection.fetch(
        _EMPTY[entity],
        ids,
        topic,
        *rank,
        truncation.changed_at,
        truncation.partition,
        place,
    )


_encoder = msgspec.json.Encoder()
_decode = msgspec.json.Decoder(Floor).decode


def _encode(floor: Floor) -> str:
    return _encoder.encode(floor).decode()
