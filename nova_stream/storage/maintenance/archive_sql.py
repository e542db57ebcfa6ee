"""Statements of the executions' archive, by name."""

from __future__ import annotations

from nova_stream.storage import locks

#: Held by who compacts, for as long as its session lives.
ONE_COMPACTION = f"SELECT pg_try_advisory_lock({locks.SPACE}, {locks.COMPACTION})"

#: What tells one document of a row from another. A version alone does not: of one lsn the later
#: place counts, and a row of a snapshot brings fields to the version that is known.
STATE = ("version", "version_minor", "version_generation", "src_offset")


def _same(other: str) -> str:
    """That a row has the document of before still."""
    return " AND ".join(f"{other}.{column} = e.{column}" for column in ("id", *STATE))


#: Rows as they were read: $1 ids, $2 to $5 their states.
_READ = f"""executions e
    JOIN unnest($1::text[], $2::bigint[], $3::int[], $4::int[], $5::bigint[])
        AS u (id, {", ".join(STATE)}) ON {_same("u")}"""
_PUT_BACK = f"EXISTS (SELECT FROM archive_restores r WHERE {_same('r')})"

_HOT = f"e.doc IS NOT NULL AND e.timestamp < $1 AND NOT {_PUT_BACK}"

#: $1 cutoff.
COUNT_HOT = f"SELECT count(*) FROM executions e WHERE {_HOT}"  # noqa: S608 - our own text

#: The next documents older than the cutoff $1, behind the place ($2, $3): $4 rows, or fewer that
#: have more than $5 bytes.
HOT = f"""
WITH candidate AS MATERIALIZED (
    SELECT e.id, e.timestamp, pg_column_size(e.doc) AS size FROM executions e
    WHERE {_HOT} AND (e.timestamp, e.id) > ($2::text::timestamptz, $3::text)
    ORDER BY e.timestamp, e.id LIMIT $4
), few AS MATERIALIZED (
    SELECT id FROM (
        SELECT id, sum(size) OVER (ORDER BY timestamp, id) - size AS before FROM candidate) c
    WHERE before < $5
)
SELECT e.id, e.task_id, e.agent, e.duration, e.timestamp, {", ".join(f"e.{c}" for c in STATE)},
    e.doc::text AS doc, e.timestamp::text AS place
FROM executions e
WHERE e.id = ANY (ARRAY(SELECT id FROM few)) AND e.doc IS NOT NULL AND e.timestamp < $1
ORDER BY e.timestamp, e.id
"""  # noqa: S608 - made from our own constants

BEGIN_OBJECT = """
INSERT INTO archive_objects (name, day, run_id, state, created_at)
VALUES ($1, $2, $3, 'writing', now()) RETURNING id, created_at
"""
OBJECT_WRITTEN = """
UPDATE archive_objects
SET state = 'written', rows = $2, bytes = $3, sha256 = $4, first_id = $5, last_id = $6
WHERE id = $1 AND state = 'writing'
"""
SET_STATE = "UPDATE archive_objects SET state = $2 WHERE id = $1"
FORGET_OBJECT = "DELETE FROM archive_objects WHERE id = $1 AND state = 'writing'"

_OBJECT = """
SELECT id, name, day, run_id, state, created_at, rows, bytes, sha256, first_id, last_id
FROM archive_objects"""
OBJECTS_IN = f"{_OBJECT} WHERE state = ANY($1::text[]) ORDER BY id"
OBJECTS = f"{_OBJECT} WHERE state <> 'writing' ORDER BY day, id"
OBJECTS_OF_DAY = f"{_OBJECT} WHERE day = $1 AND state IN ('written', 'done') ORDER BY id"
OBJECT = f"{_OBJECT} WHERE id = $1"
OBJECTS_OLDER = f"""{_OBJECT}
WHERE created_at < now() - make_interval(days => $1) AND state IN ('written', 'done')
ORDER BY id"""

#: Empties the rows of ``_READ`` that still are as archived in the object $6 at $7; gives how many,
#: and how many somebody else has locked.
EMPTY = f"""
WITH given AS MATERIALIZED (
    SELECT e.id FROM {_READ} WHERE e.doc IS NOT NULL AND NOT {_PUT_BACK}
), locked AS MATERIALIZED (
    SELECT e.id FROM {_READ}
    WHERE e.id = ANY (ARRAY(SELECT id FROM given)) AND e.doc IS NOT NULL
    ORDER BY e.id COLLATE "C" FOR UPDATE OF e SKIP LOCKED
), emptied AS (
    UPDATE executions e SET doc = NULL, archived_at = $7, archive_object = $6
    FROM locked WHERE e.id = locked.id RETURNING e.id
)
SELECT (SELECT count(*) FROM emptied) AS emptied,
    (SELECT count(*) FROM given) - (SELECT count(*) FROM emptied) AS held
"""  # noqa: S608 - made from our own constants

#: Empties again a batch of rows ($1) that were put back and whose time is over, older than $2; not
#: where the object is there no more: they are archived anew.
EMPTY_AGAIN = f"""
WITH due AS MATERIALIZED (
    SELECT r.id, r.object_id, {", ".join(f"r.{c}" for c in STATE)}, o.created_at,
        e.id IS NOT NULL AS same
    FROM archive_restores r JOIN archive_objects o ON o.id = r.object_id
    LEFT JOIN executions e ON {_same("r")} AND e.doc IS NOT NULL AND e.timestamp < $2
        AND o.state IN ('written', 'done')
    WHERE r.until <= now()
    ORDER BY r.until, r.id LIMIT $1
), locked AS MATERIALIZED (
    SELECT e.id, d.object_id, d.created_at FROM executions e JOIN due d ON {_same("d")}
    WHERE d.same AND e.doc IS NOT NULL
    ORDER BY e.id COLLATE "C" FOR UPDATE OF e SKIP LOCKED
), emptied AS (
    UPDATE executions e SET doc = NULL, archived_at = l.created_at, archive_object = l.object_id
    FROM locked l WHERE e.id = l.id RETURNING e.id
), gone AS (
    DELETE FROM archive_restores r USING due d
    WHERE r.id = d.id AND (NOT d.same OR r.id IN (SELECT id FROM emptied)) RETURNING r.id
)
SELECT (SELECT count(*) FROM emptied) AS emptied, (SELECT count(*) FROM gone) AS gone
"""  # noqa: S608 - made from our own constants
FORGET_RESTORES_OF = "DELETE FROM archive_restores WHERE object_id = $1"

#: Puts documents ($1 ids, $2 versions, $3 minors, $4 documents) of the object $5 back for $6 days.
RESTORE = f"""
WITH locked AS MATERIALIZED (
    SELECT e.id, u.doc FROM executions e
    JOIN unnest($1::text[], $2::bigint[], $3::int[], $4::text[])
        AS u (id, version, version_minor, doc)
        ON u.id = e.id AND u.version = e.version AND u.version_minor = e.version_minor
    WHERE e.doc IS NULL AND e.deleted_at IS NULL AND e.archive_object = $5
    ORDER BY e.id COLLATE "C" FOR UPDATE OF e
), back AS (
    UPDATE executions e SET doc = l.doc::jsonb, archived_at = NULL, archive_object = NULL
    FROM locked l WHERE e.id = l.id RETURNING e.id, {", ".join(f"e.{c}" for c in STATE)}
), noted AS (
    INSERT INTO archive_restores AS r (id, object_id, {", ".join(STATE)}, until)
    SELECT id, $5, {", ".join(STATE)}, now() + make_interval(days => $6) FROM back
    ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE SET object_id = excluded.object_id, until = excluded.until,
        {", ".join(f"{c} = excluded.{c}" for c in STATE)}
)
SELECT count(*) FROM back
"""  # noqa: S608 - made from our own constants

EXECUTION = """
SELECT id, task_id, agent, duration, timestamp, deleted_at, doc::text AS doc, archived_at,
    archive_object
FROM executions WHERE id = $1
"""
