"""The statements that empty an entity as of a truncation, by name."""

from __future__ import annotations

from nova_stream.events.change import COLUMNS, Entity, VersionKind
from nova_stream.storage.apply.fold import GENERATION_BITS
from nova_stream.storage.apply.sql import TABLES, with_moves

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
    columns = "".join(f", {column} = NULL" for column in COLUMNS[entity])
    changed = f"""
    UPDATE {TABLES[entity]} AS t SET version_generation = $3, version = $4, version_minor = $5,
        changed_at = $6, deleted_at = $6, src_partition = $7, src_offset = $8, doc = NULL{columns}
    FROM unnest($1::text[]) AS taken (id) WHERE t.id = taken.id AND $2::text IS NOT NULL"""  # noqa: S608 - made from our own constants
    return with_moves(entity, changed, "$2")


#: Locks and gives up to $8 ids behind $7 that a truncation takes.
TAKE: dict[tuple[Entity, VersionKind], str] = {
    (entity, kind): _take(TABLES[entity], kind) for entity in Entity for kind in VersionKind
}
#: Makes tombstones of the rows $1 of topic $2, of the version $3 (source's generation), $4 and $5,
#: time $6, partition $7 and place $8. Gives what ``sql.UPSERT`` gives.
EMPTY: dict[Entity, str] = {entity: _empty(entity) for entity in Entity}

#: $1 topic, $2 partitions, $3 what it means for each of them, as JSON.
NOTE_TRUNCATION = """
UPDATE stream_positions s SET truncation = u.truncation::jsonb
FROM unnest($2::int[], $3::text[]) AS u (partition, truncation)
WHERE s.topic = $1 AND s.partition = u.partition
"""
#: $1 topic, $2 what it means for partitions that are new.
NOTE_TRUNCATION_OF_TOPIC = "UPDATE stream_topics SET truncation = $2::jsonb WHERE topic = $1"
TRUNCATION_OF_TOPIC = """
SELECT truncation::text FROM stream_topics WHERE topic = $1 FOR UPDATE
"""
#: What workers hold of these partitions' figures is out of date ($1 topic).
RAISE_EPOCHS = "UPDATE stream_positions SET epoch = epoch + 1 WHERE topic = $1"
