"""Statements of a flush and of the positions, by name; those of the rows are in ``upserts_sql``,
those of the caches in ``figures_sql``.
"""

from __future__ import annotations

from nova_stream.events.change import Entity

TABLES: dict[Entity, str] = {
    Entity.AGENTS: "agents",
    Entity.BUILDS: "builds",
    Entity.TASKS: "tasks",
    Entity.EXECUTIONS: "executions",
    Entity.ACTIVITIES: "agent_activity_feed",
    Entity.USERS: "user_profiles",
}

BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

# -- positions -------------------------------------------------------------------------------

#: What is read of the topics here is of the moment before the positions were waited for.
LOCK_POSITIONS = """
SELECT s.topic, s.partition, s.generation, s.next_offset, s.epoch, t.version_kind, t.flattened,
    s.truncation::text AS truncation, s.source_generation, s.source_offsets, s.lsn_high,
    t.enlarged_at IS NOT NULL AS mixed
FROM stream_positions s JOIN stream_topics t USING (topic)
WHERE (s.topic, s.partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))
ORDER BY s.topic, s.partition
FOR UPDATE OF s
"""

#: As LOCK_POSITIONS, with all partitions of the topics $3.
LOCK_TOPICS = LOCK_POSITIONS.replace("ORDER BY", "    OR s.topic = ANY($3::text[])\nORDER BY")

READ_POSITIONS = """
SELECT s.topic, s.partition, s.generation, s.next_offset, s.epoch
FROM stream_positions s
WHERE (s.topic, s.partition) IN (SELECT * FROM unnest($1::text[], $2::int[]))
"""

#: A topic that was made again may have fewer partitions than before.
STANDING = """
SELECT s.topic, s.partition, s.next_offset, s.updated_at, t.topic_id
FROM stream_positions s JOIN stream_topics t USING (topic)
WHERE t.partitions IS NULL OR s.partition < t.partitions
"""

ENSURE_POSITIONS = """
INSERT INTO stream_positions
    (topic, partition, generation, truncation, source_generation, source_offsets)
SELECT u.topic, u.partition, t.generation, t.truncation, t.source_generation,
    array_fill(0::bigint, ARRAY[t.source_generation])
FROM unnest($1::text[], $2::int[]) AS u (topic, partition)
JOIN stream_topics t USING (topic)
WHERE NOT EXISTS (
    SELECT FROM stream_positions s WHERE (s.topic, s.partition) = (u.topic, u.partition))
ORDER BY 1, 2
FOR SHARE OF t
ON CONFLICT DO NOTHING
"""

ENSURE_TOPICS = """
INSERT INTO stream_topics (topic)
SELECT topic FROM unnest($1::text[]) AS topic ORDER BY 1
ON CONFLICT DO NOTHING
"""

#: ``records_end`` is null where there was no record: then it and the time stay.
MOVE_POSITIONS = """
UPDATE stream_positions s
SET next_offset = u.next_offset, records_end = coalesce(u.records_end, s.records_end),
    updated_at = CASE WHEN u.records_end IS NULL THEN s.updated_at
        ELSE date_trunc('milliseconds', clock_timestamp()) END
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
    AS u (topic, partition, next_offset, records_end)
WHERE s.topic = u.topic AND s.partition = u.partition
"""

READ_TOPICS = """
SELECT topic, version_kind, flattened FROM stream_topics WHERE topic = ANY($1::text[])
"""
#: Gives nothing where the kind is fixed already; then the row is not held, which flushes of other
#: partitions would wait for.
FIX_VERSION_KIND = """
UPDATE stream_topics SET version_kind = $2
WHERE topic = $1 AND version_kind IS NULL RETURNING version_kind
"""

SET_FLATTENED = "UPDATE stream_topics SET flattened = true WHERE topic = $1"

# -- topics made again -------------------------------------------------------------------------

LOCK_TOPIC = "SELECT topic_id, generation FROM stream_topics WHERE topic = $1 FOR UPDATE"
LOCK_TOPIC_POSITIONS = """
SELECT partition FROM stream_positions WHERE topic = $1 ORDER BY partition FOR UPDATE
"""
SET_TOPIC_ID = "UPDATE stream_topics SET topic_id = $2 WHERE topic = $1"
NEXT_GENERATION = """
UPDATE stream_topics SET topic_id = $2, generation = generation + 1, flattened = false
WHERE topic = $1 RETURNING generation
"""
FORGET_PARTITIONS = """
UPDATE stream_topics SET partitions = NULL, enlarged_at = NULL WHERE topic = $1
"""
NOTE_PARTITIONS = """
UPDATE stream_topics SET partitions = $2, enlarged_at = CASE
    WHEN partitions < $2 AND version_kind = 'offset' THEN coalesce(enlarged_at, now())
    ELSE enlarged_at END
WHERE topic = $1 RETURNING enlarged_at IS NOT NULL
"""
OFFSET_TOPICS = """
SELECT topic, partitions, enlarged_at FROM stream_topics
WHERE version_kind = 'offset' AND topic = ANY($1::text[]) ORDER BY topic
"""
RESTART_POSITIONS = """
UPDATE stream_positions
SET generation = $2, next_offset = 0, records_end = NULL, epoch = epoch + 1, updated_at = now(),
    stopped_at = NULL, stopped_why = NULL
WHERE topic = $1
"""
#: What a topic holds that was made again is of its present source.
BEGIN_WITH_SOURCE = """
UPDATE stream_positions
SET source_offsets = array_fill(0::bigint, ARRAY[source_generation]), lsn_high = NULL
WHERE topic = $1
"""
