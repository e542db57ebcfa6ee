"""Tables in partitions by the hash of the id, as one would make them for a billion rows.

The id stays the primary key, so that all statements stay as they are. It is done before there are
rows, or by moving them; views that read the table are made anew.
"""

from __future__ import annotations

from nova_stream.storage.database import Connection, read_committed

#: Views that depend on a table, directly or through others, in the order in which they were made.
_VIEWS = """
WITH RECURSIVE found AS (
    SELECT $1::text::regclass::oid AS oid
    UNION
    SELECT r.ev_class FROM found f
    JOIN pg_depend d ON d.refobjid = f.oid AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite r ON r.oid = d.objid
)
SELECT c.oid::regclass::text AS name, pg_get_viewdef(c.oid) AS made
FROM found f JOIN pg_class c ON c.oid = f.oid WHERE c.relkind = 'v' ORDER BY c.oid
"""
_COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


async def split(connection: Connection, table: str, count: int) -> None:
    """Put ``table`` into ``count`` partitions, with its rows and indexes; grants are left to
    ``nova-stream migrate --roles``.
    """
    async with read_committed(connection):
        await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        views = await connection.fetch(_VIEWS, table)
        columns = await connection.fetchval(_COLUMNS, table)
        for view in reversed(views):
            await connection.execute(f"DROP VIEW {view['name']}")
        whole = f"{table}_whole"
        await connection.execute(f"ALTER TABLE {table} RENAME TO {whole}")
        await connection.execute(
            f"CREATE TABLE {table} (LIKE {whole} INCLUDING ALL) PARTITION BY HASH (id)"
        )
        for rest in range(count):
            await connection.execute(
                f"CREATE TABLE {table}_{rest} PARTITION OF {table} "
                f"FOR VALUES WITH (MODULUS {count}, REMAINDER {rest})"
            )
        await connection.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {whole}")
        await connection.execute(f"DROP TABLE {whole}")
        for view in views:
            await connection.execute(f"CREATE VIEW {view['name']} AS {view['made']}")
