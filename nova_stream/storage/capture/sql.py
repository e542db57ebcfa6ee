"""Statements of captures: cursor, lease and ids published, by name.

Each is one statement and so one short transaction: an instance that is stopped between two holds
no lock. Leases are measured by the server's clock. What writes checks the epoch in the same
statement: an instance that was overtaken writes nothing.
"""

from __future__ import annotations

_CURSOR = """
    address, phase, snapshot, snapshot_table, snapshot_page, snapshot_documents, cursor,
    caught_up_at, updated_at, epoch, holder,
    coalesce(lease_until > clock_timestamp(), false) AS held
"""

#: $1 source, $2 address.
KNOW = """
INSERT INTO source_cursors (source, address) VALUES ($1, $2) ON CONFLICT (source) DO NOTHING
"""

#: $1 source.
READ = f"SELECT {_CURSOR} FROM source_cursors WHERE source = $1"  # noqa: S608 - our own text

#: $1 source, $2 holder, $3 seconds, $4 address.
ACQUIRE = f"""
UPDATE source_cursors SET holder = $2, epoch = epoch + 1,
    lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE source = $1 AND address = $4 AND coalesce(lease_until < clock_timestamp(), true)
RETURNING {_CURSOR}
"""  # noqa: S608 - our own text

#: $1 source, $2 epoch, $3 seconds.
RENEW = """
UPDATE source_cursors SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE source = $1 AND epoch = $2 RETURNING epoch
"""

#: $1 source, $2 epoch.
RELEASE = """
UPDATE source_cursors SET lease_until = NULL, holder = NULL WHERE source = $1 AND epoch = $2
"""

#: $1 source, $2 address. Whoever holds it is overtaken, and begins anew.
BEGIN_ANEW = """
INSERT INTO source_cursors (source, address) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET address = excluded.address, phase = 'new', snapshot = NULL,
    snapshot_table = NULL, snapshot_page = NULL, snapshot_documents = 0, cursor = NULL,
    epoch = source_cursors.epoch + 1, holder = NULL, lease_until = NULL, updated_at = now()
"""

#: $1 source, $2 epoch, $3 entities, $4 ids, $5 seen. Gives how many rows had the epoch: 0 or 1.
NOTE = """
WITH held AS (
    SELECT source FROM source_cursors WHERE source = $1 AND epoch = $2 FOR SHARE
), noted AS (
    INSERT INTO source_documents (source, entity, id, seen)
    SELECT h.source, d.entity, d.id, $5
    FROM held h, unnest($3::text[], $4::text[]) AS d (entity, id)
    ORDER BY d.entity, d.id
    ON CONFLICT (source, entity, id)
    DO UPDATE SET seen = greatest(source_documents.seen, excluded.seen)
    WHERE source_documents.seen < excluded.seen
)
SELECT count(*) FROM held
"""

#: $1 source, $2 epoch, $3 phase, $4 snapshot, $5 table, $6 page, $7 documents, $8 cursor,
#: $9 whether nothing more was to be read, $10 entities, $11 ids of what is deleted.
STORE = """
WITH held AS (
    UPDATE source_cursors SET phase = $3, snapshot = $4, snapshot_table = $5, snapshot_page = $6,
        snapshot_documents = $7, cursor = $8, updated_at = clock_timestamp(),
        caught_up_at = CASE WHEN $9::boolean THEN clock_timestamp() ELSE caught_up_at END
    WHERE source = $1 AND epoch = $2 RETURNING source
), forgotten AS (
    DELETE FROM source_documents s USING held h, unnest($10::text[], $11::text[]) AS d (entity, id)
    WHERE s.source = h.source AND s.entity = d.entity AND s.id = d.id
)
SELECT count(*) FROM held
"""

#: $1 source, $2 the snapshot's time, $3 entity and $4 id to go on after, $5 rows at most.
GONE = """
SELECT entity, id FROM source_documents
WHERE source = $1 AND seen < $2 AND (entity, id) > ($3, $4)
ORDER BY entity, id LIMIT $5
"""

#: $1 topics. What kind of version each has, where it has one.
VERSION_KINDS = """
SELECT topic, version_kind FROM stream_topics
WHERE topic = ANY($1::text[]) AND version_kind IS NOT NULL
"""
