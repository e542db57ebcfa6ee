"""Statements of dead letters, by name."""

from __future__ import annotations

#: A letter that is there stays as it is; but what was read again for a new source and failed again
#: is open again.
INSERT = """
INSERT INTO dead_letters AS d
    (topic, partition, "offset", generation, key, value, headers, record_time, reason, message)
SELECT topic, partition, "offset", generation, key, value, headers::jsonb, record_time, reason,
    message
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[], $5::bytea[], $6::bytea[], $7::text[],
    $8::timestamptz[], $9::text[], $10::text[])
    AS u (topic, partition, "offset", generation, key, value, headers, record_time, reason, message)
ON CONFLICT (topic, generation, partition, "offset") DO UPDATE
SET state = 'open', reason = excluded.reason, message = excluded.message, failed_at = now()
WHERE d.state = 'retried' AND d.reason = 'source_moved'
"""

#: A letter's columns by the names that readers see.
_COLUMNS = """
    id, topic, partition, "offset", generation, record_time AS timestamp, reason,
    message AS detail, failed_at AS recorded_at, attempts, state, octet_length(value) AS size
"""

#: A longer key comes with the whole letter only.
LIST = f"""
SELECT {_COLUMNS}, CASE WHEN octet_length(key) <= 1024 THEN key END AS key FROM dead_letters"""  # noqa: S608 - our own text

#: $1 topic, $2 reason, $3 state, each null for all.
COUNT = """
SELECT count(*) FROM dead_letters
WHERE ($1::text IS NULL OR topic = $1) AND ($2::text IS NULL OR reason = $2)
    AND ($3::text IS NULL OR state = $3)
"""

#: $1: id.
WHOLE = f"""
SELECT {_COLUMNS}, key, value, headers::text AS headers FROM dead_letters WHERE id = $1
"""  # noqa: S608 - our own text

#: $1: ids.
ORIGINALS = """
SELECT topic, partition, generation, "offset", key, value, headers::text AS headers
FROM dead_letters WHERE id = ANY($1::bigint[]) ORDER BY id
"""

#: Where the sources of $1 topics begin.
SOURCES = """
SELECT topic, generation, partition, source_offsets FROM stream_positions
WHERE topic = ANY($1::text[])
"""

EXISTING = "SELECT id FROM dead_letters WHERE id = ANY($1::bigint[])"

#: $1 reason or null. In the order in which they failed, which is a partition's own order.
OPEN = """
SELECT id FROM dead_letters
WHERE state = 'open' AND ($1::text IS NULL OR reason = $1) ORDER BY id
"""

#: $1: ids.
MARK_RETRIED = """
UPDATE dead_letters SET state = 'retried', attempts = attempts + 1 WHERE id = ANY($1::bigint[])
"""
MARK_DISCARDED = "UPDATE dead_letters SET state = 'discarded' WHERE id = ANY($1::bigint[])"

#: Letters that somebody has dealt with, and whose records failed before $1; $2 rows.
FORGET = """
DELETE FROM dead_letters WHERE id IN (
    SELECT id FROM dead_letters WHERE state IN ('retried', 'discarded') AND failed_at < $1
    ORDER BY id LIMIT $2)
"""

COUNT_OPEN = "SELECT count(*) FROM dead_letters WHERE state = 'open'"

OPEN_BY_REASON = """
SELECT reason, count(*) AS number FROM dead_letters
WHERE state = 'open' GROUP BY reason ORDER BY number DESC, reason
"""
