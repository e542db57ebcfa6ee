"""The statements about the servers that lsns come from, by name."""

from __future__ import annotations

from nova_stream.events.change import Entity
from nova_stream.storage.sql import TABLES

KNOWN_VERSIONS: dict[Entity, str] = {
    entity: f"""
SELECT id, version_generation, version, version_minor, changed_at
FROM {table} WHERE id = ANY($1::text[])"""  # noqa: S608 - made from our own constants
    for entity, table in TABLES.items()
}

#: $1 topics, $2 partitions, $3 highest lsns, $4 how many sources have begun after the first and $5
#: where the last one did, $6 the first records that seem to be of another one.
KEEP_SOURCES = """
UPDATE stream_positions s
SET lsn_high = u.high,
    source_offsets = s.source_offsets
        || array_fill(u.begun, ARRAY[greatest(u.sources - cardinality(s.source_offsets), 0)]),
    moved_offset = u.moved,
    moved_at = CASE WHEN u.moved IS NOT NULL THEN coalesce(s.moved_at, now()) END
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[], $5::bigint[], $6::bigint[])
    AS u (topic, partition, high, sources, begun, moved)
WHERE s.topic = u.topic AND s.partition = u.partition
    AND (s.lsn_high, cardinality(s.source_offsets), s.moved_offset)
        IS DISTINCT FROM (u.high, u.sources, u.moved)
"""

#: $1 topic.
NEXT_SOURCE = """
UPDATE stream_topics SET source_generation = source_generation + 1
WHERE topic = $1 RETURNING source_generation
"""
#: $1 topic, $2 the generation that begins. Where it has been noticed, reading goes back to there.
BEGIN_SOURCE = """
UPDATE stream_positions SET
    source_generation = $2,
    source_offsets = CASE WHEN moved_offset IS NULL THEN source_offsets ELSE source_offsets
        || array_fill(moved_offset, ARRAY[$2 - cardinality(source_offsets)]) END,
    lsn_high = CASE WHEN moved_offset IS NULL THEN lsn_high END,
    next_offset = least(next_offset, moved_offset),
    epoch = epoch + 1, moved_offset = NULL, moved_at = NULL, updated_at = now()
WHERE topic = $1
RETURNING partition, old.moved_offset, old.next_offset
"""
MOVED = """
SELECT topic, partition, moved_offset, moved_at FROM stream_positions
WHERE moved_offset IS NOT NULL ORDER BY topic, partition
"""
#: $1 topic, $2 generation of the topic, $3 partitions, $4 offsets from which on it is read again.
READ_AGAIN = """
UPDATE dead_letters d SET state = 'retried', attempts = attempts + 1
FROM unnest($3::int[], $4::bigint[]) AS u (partition, first)
WHERE d.topic = $1 AND d.generation = $2 AND d.state = 'open' AND d.reason = 'source_moved'
    AND d.partition = u.partition AND d."offset" >= u.first
"""
