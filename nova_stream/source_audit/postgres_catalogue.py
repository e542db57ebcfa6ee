"""Which tables of a Postgres hold which entities, and how each of their columns is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import asyncpg

from nova_stream.errors import UsageError
from nova_stream.events.change import Entity
from nova_stream.events.documents import COLUMN_NAMES, RULES
from nova_stream.events.names import Spellings
from nova_stream.source_audit import sql
from nova_stream.source_audit.interface import ComparedField, SourceTable, known_fields
from nova_stream.storage.database import Connection

#: The names that an entity's table has where no other is given, the likeliest first.
TABLE_NAMES: dict[Entity, tuple[str, ...]] = {
    Entity.AGENTS: ("agents",),
    Entity.BUILDS: ("builds",),
    Entity.TASKS: ("tasks",),
    Entity.EXECUTIONS: ("executions",),
    Entity.ACTIVITIES: ("activities", "agent_activity_feed"),
    Entity.USERS: ("user_profiles", "users"),
}

_FIND = """
SELECT n.nspname AS schema, c.relname AS name, c.oid::int8 AS oid,
    has_table_privilege(c.oid, 'SELECT') AS readable
FROM unnest(current_schemas(false)) WITH ORDINALITY AS s (schema, place)
JOIN pg_namespace n ON n.nspname = s.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE c.relname = ANY($1::text[])
ORDER BY array_position($1::text[], c.relname::text), s.place
"""

_NAMED = """
SELECT n.nspname AS schema, c.relname AS name, c.oid::int8 AS oid,
    has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = coalesce(to_regclass($1), to_regclass($2))
"""

_COLUMNS = """
WITH RECURSIVE base AS (
    SELECT a.attnum, a.attname, a.atttypid AS type FROM pg_attribute a
    WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attnum, b.attname, t.typbasetype FROM base b
    JOIN pg_type t ON t.oid = b.type AND t.typtype = 'd'
)
SELECT b.attname AS column, coalesce(e.typname, t.typname) AS type, e.oid IS NOT NULL AS is_array
FROM base b JOIN pg_type t ON t.oid = b.type AND t.typtype <> 'd'
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
ORDER BY b.attnum
"""


class PostgresTable(NamedTuple):
    """A table with what its rows are read by.

    ``name`` is quoted; ``texts`` has the expression of each compared field, ``columns`` the quoted
    column of each, ``id_type`` the type of the id's column.
    """

    name: str
    texts: dict[str, str]
    columns: dict[str, str]
    id_type: sql.ColumnType


async def find_table(
    connection: Connection, entity: Entity, given: str | None
) -> tuple[SourceTable, PostgresTable] | None:
    """The table of an entity: ``given``, else the first of its usual names in the search path.

    None when there is none of the usual names. Raises UsageError for a given one that is not
    there, and for one that cannot be read or lacks a column that every document needs.
    """
    found = await _find(connection, entity, given)
    if found is None:
        return None
    place = f"{found['schema']}.{found['name']}"
    if not found["readable"]:
        raise UsageError(
            f"the source's user may not read {place}; grant it: GRANT SELECT ON {place} TO …"
        )
    rows = await connection.fetch(_COLUMNS, found["oid"])
    types = {row["column"]: sql.ColumnType(row["type"], row["is_array"]) for row in rows}
    return _table(entity, place, f"{_quoted(found['schema'])}.{_quoted(found['name'])}", types)


#: What Postgres says of texts that can be no table's name.
_NO_NAME = (
    asyncpg.InvalidNameError,
    asyncpg.PostgresSyntaxError,  # too many dots
    asyncpg.FeatureNotSupportedError,  # another database
)


async def _find(connection: Connection, entity: Entity, given: str | None) -> asyncpg.Record | None:
    if given is None:
        usual: asyncpg.Record | None = await connection.fetchrow(_FIND, list(TABLE_NAMES[entity]))
        return usual
    quoted = ".".join(_quoted(part) for part in given.split("."))
    try:
        named: asyncpg.Record | None = await connection.fetchrow(_NAMED, given, quoted)
    except _NO_NAME:
        named = None
    if named is None:
        raise UsageError(f"--table {entity.value}={given}: the source has no table of this name")
    return named


def _table(
    entity: Entity, place: str, name: str, types: Mapping[str, sql.ColumnType]
) -> tuple[SourceTable, PostgresTable]:
    columns = _columns_of_fields(entity, types)
    kinds = known_fields(entity)
    needed = [n for n, rule in RULES[entity].items() if rule.required and n not in columns]
    if needed:
        raise UsageError(
            f"{place} has no column {needed[0]}, which every document of {entity.value} needs; "
            f"name the right table with --table {entity.value}=SCHEMA.TABLE"
        )
    fields, texts = [], {}
    for field, kind in kinds.items():
        if field in columns:
            text = sql.plain_sql(kind, _quoted(columns[field]), types[columns[field]])
            # The age of an activity decides whether it is to be there.
            loose = text.loose or (entity is Entity.ACTIVITIES and field == "timestamp")
            fields.append(ComparedField(field, kind, loose))
            texts[field] = text.sql
    compared = SourceTable(
        entity=entity,
        place=place,
        fields=tuple(fields),
        absent=tuple(field for field in kinds if field not in columns),
        unknown=tuple(column for column in types if column not in columns.values()),
    )
    quoted = {field: _quoted(column) for field, column in columns.items()}
    return compared, PostgresTable(name, texts, quoted, types[columns["id"]])


def _columns_of_fields(entity: Entity, types: Mapping[str, sql.ColumnType]) -> dict[str, str]:
    """The column of each field: the document's own name, else its snake_case one, else the one
    that differs from them by case and underscores alone, as ``events`` reads it.
    """
    # What bytes mean as a text depends on the connector's settings.
    usable = {column for column, type_ in types.items() if type_.name != "bytea"}
    found = {field: column for column, field in COLUMN_NAMES[entity].items() if column in usable}
    found |= {field: field for field in RULES[entity] if field in usable}
    spellings = Spellings(entity)
    others = {field: name for name in sorted(usable) if (field := spellings.field(name))}
    return others | found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
