"""The statements about the servers that lsns come from, by name."""

from __future__ import annotations

from nova_stream.events.change import Entity
from nova_stream.storage.apply.sql import TABLES

#: Why a change of another server than those known is a dead letter.
REASON = "source_moved"

KNOWN_STATES: dict[Entity, str] = {
    entity: f"""
SELECT id, version_generation, version, version_minor, changed_at, src_partition, src_offset
FROM {table} WHERE id = ANY($1::text[])"""  # noqa: S608 - made from our own constants
    for entity, table in TABLES.items()
}

#: $1 topics, $2 partitions, $3 highest lsns, $4 how many sources have begun after the first and $5
#: where the last one did.
KEEP_SOURCES = """
UPDATE stream_positions s
SET lsn_high = u.high,
    source_offsets = s.source_offsets
        || array_fill(u.begun, ARRAY[greatest(u.sources - cardinality(s.source_offsets), 0)])
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[], $5::bigint[])
    AS u (topic, partition, high, sources, begun)
WHERE s.topic = u.topic AND s.partition = u.partition
    AND (s.lsn_high, cardinality(s.source_offsets)) IS DISTINCT FROM (u.high, u.sources)
"""

#: The first record of each partition that waits for the operator's word.
_NOTICED = f"""
SELECT d.topic, d.partition, min(d."offset") AS first, min(d.failed_at) AS noticed_at,
    count(*) AS letters
FROM dead_letters d JOIN stream_topics t USING (topic, generation)
WHERE d.state = 'open' AND d.reason = '{REASON}'
"""  # noqa: S608 - made from our own constants
NOTICED = f"{_NOTICED} GROUP BY 1, 2 ORDER BY 1, 2"

KIND = "SELECT version_kind, generation FROM stream_topics WHERE topic = $1 FOR UPDATE"
#: $1 topic.
NEXT_SOURCE = """
UPDATE stream_topics SET source_generation = source_generation + 1
WHERE topic = $1 RETURNING source_generation
"""
#: $1 topic, $2 the generation that begins. Where it has been noticed, reading goes back to there.
BEGIN_SOURCE = f"""
WITH noticed AS ({_NOTICED} AND d.topic = $1 GROUP BY 1, 2)
UPDATE stream_positions s SET
    source_generation = $2,
    source_offsets = CASE WHEN n.first IS NULL THEN s.source_offsets ELSE s.source_offsets
        || array_fill(n.first, ARRAY[$2::int - cardinality(s.source_offsets)]) END,
    lsn_high = CASE WHEN n.first IS NULL THEN s.lsn_high END,
    next_offset = least(s.next_offset, n.first), epoch = s.epoch + 1, updated_at = now()
FROM stream_positions p LEFT JOIN noticed n USING (topic, partition)
WHERE s.topic = $1 AND p.topic = s.topic AND p.partition = s.partition
RETURNING s.partition, n.first
"""  # noqa: S608 - made from our own constants
#: $1 topic, $2 its generation, $3 partitions, $4 offsets from which on they are read again.
READ_AGAIN = f"""
UPDATE dead_letters d SET state = 'retried', attempts = attempts + 1
FROM unnest($3::int[], $4::bigint[]) AS u (partition, first)
WHERE d.topic = $1 AND d.generation = $2 AND d.state = 'open' AND d.reason = '{REASON}'
    AND d.partition = u.partition AND d."offset" >= u.first
RETURNING d.id
"""  # noqa: S608 - made from our own constants
