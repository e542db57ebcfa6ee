"""nova-stream's own rows, as the audit compares them with a source's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from nova_stream.events.change import COLUMNS, Entity, Version, VersionKind
from nova_stream.events.documents import RULES, Kind, camel_case
from nova_stream.settings import Settings
from nova_stream.source_audit import sql
from nova_stream.source_audit.interface import (
    ComparedField,
    Digest,
    SourceTable,
    Values,
    typed_fields,
)
from nova_stream.source_audit.plain import loose_text
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.database import Connection

_BATCH = 5000
_JSONS = frozenset({Kind.LIST, Kind.JSON, Kind.ANY})

SESSION = (
    "SET transaction_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
    "SET max_parallel_workers_per_gather = 0; SET work_mem = '64MB'"
)
_TOPICS = """
SELECT topic, version_kind, source_generation FROM stream_topics WHERE topic = ANY($1::text[])
"""
_NEWEST = "SELECT max(version) FROM {table} WHERE version_minor = 0 AND version_generation = $1"
_CLEANED_UP = """
SELECT DISTINCT id FROM activity_archive WHERE restored_at IS NULL AND id = ANY($1::text[])
"""


class NovaRow(NamedTuple):
    """A row: what names this very state of it, and its fields' plain texts.

    ``generation`` is that of the source of its version, which comes before the version.
    ``figures`` are those in typed columns, ``document`` those in the document, None where it is
    archived. A tombstone is not ``live`` and has neither.
    """

    generation: int
    version: Version
    partition: int
    offset: int
    live: bool
    figures: Values
    document: Values | None

    @property
    def state(self) -> str:
        """Equal for two looks at a row when nothing was applied to it between them."""
        number, minor = self.version
        return f"{self.generation}.{number}.{minor}.{self.partition}.{self.offset}"


class Topic(NamedTuple):
    """An entity's topic: the kind of its versions, None where no record has fixed it yet, and the
    generation of its source.
    """

    kind: VersionKind | None
    source_generation: int


async def rows(connection: Connection, table: SourceTable) -> AsyncIterator[Sequence[Digest]]:
    """All live rows in batches, by id in the order of code points; in a transaction."""
    cursor = await connection.cursor(_digests(table))
    while found := await cursor.fetch(_BATCH):
        yield [Digest(row[0], row[1], row[2], tuple(row)[3:]) for row in found]


async def read(
    connection: Connection, table: SourceTable, ids: Sequence[str]
) -> dict[str, NovaRow]:
    """These rows as they are now, tombstones too; those that do not exist are absent."""
    typed = typed_fields(table.entity)
    found = {}
    for row in await connection.fetch(_values(table), [id_ for id_ in ids if "\x00" not in id_]):
        figures, document = {}, {}
        for field in table.fields:
            if field.name in typed:
                figures[field.name] = _read(field, row[f"figure {field.name}"])
            document[field.name] = _read(field, row[field.name])
        found[row["(id)"]] = NovaRow(
            row["version_generation"],
            Version(row["version"], row["version_minor"]),
            row["src_partition"],
            row["src_offset"],
            row["deleted_at"] is None,
            figures,
            None if row["archived"] else document,
        )
    return found


async def topics(connection: Connection, settings: Settings) -> dict[Entity, Topic]:
    """Each entity's topic as the stream knows it."""
    found = {
        row["topic"]: Topic(
            VersionKind(row["version_kind"]) if row["version_kind"] else None,
            row["source_generation"],
        )
        for row in await connection.fetch(_TOPICS, list(settings.topics()))
    }
    return {entity: found.get(topic, Topic(None, 0)) for topic, entity in settings.topics().items()}


async def newest_version(connection: Connection, entity: Entity, generation: int) -> int | None:
    """The highest version that a change of the source of this generation has brought."""
    statement = _NEWEST.format(table=TABLES[entity])
    found: int | None = await connection.fetchval(statement, generation)
    return found


async def cleaned_up(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the activities ``ids`` that the job has archived and deleted."""
    return {row["id"] for row in await connection.fetch(_CLEANED_UP, list(ids))}


def expired(timestamp: str | None, cutoff: datetime) -> bool:
    """Whether an activity is so old that the job deletes it: it may be there or not."""
    try:
        return timestamp is not None and datetime.fromisoformat(timestamp) < cutoff
    except ValueError:
        return False


def _read(field: ComparedField, text: str | None) -> str | None:
    return loose_text(field.kind, text) if field.loose else text


def _figure(column: str) -> str:
    if column == "duration":
        return "trim_scale(r.duration)::text"
    if _COLUMN_KINDS[column] is Kind.TIME:
        return sql.instant_sql(f"r.{column}")
    return f"r.{column}"


#: The kind of every typed column; those of one name are of one kind.
_COLUMN_KINDS = {
    column: RULES[entity][camel_case(column)].kind
    for entity in Entity
    for column in COLUMNS[entity]
}


def _documented(name: str, kind: Kind) -> str:
    if kind in _JSONS:
        return f"nullif((r.fields -> '{name}')::text, 'null')"
    field = f"(r.fields ->> '{name}')"
    if kind in {Kind.NUMBER, Kind.DURATION}:
        number = f"trim_scale({field}::numeric)::text"
        return f"CASE WHEN pg_input_is_valid({field}, 'numeric') THEN {number} ELSE {field} END"
    return field


def _loose(table: SourceTable, field: ComparedField, columns: Mapping[str, str]) -> str:
    """A loose field's text; one that no source has where column and document do not agree."""
    text = _documented(field.name, field.kind)
    if field.name not in columns:
        return text
    figure = _figure(columns[field.name])
    agree = f"nullif({figure}, '') IS NOT DISTINCT FROM nullif({text}, '')"
    one = f"WHEN {_archived(table)} THEN {figure} WHEN {agree} THEN {text}"
    return f"CASE {one} ELSE concat('(two values)', {figure}, {text}) END"


def _from(table: SourceTable, condition: str) -> str:
    """The rows with their documents as ``fields``: a large one is unpacked once for all, which
    joining something to it does, and not once a field. OFFSET 0 keeps the two steps apart.
    """
    rows = f"SELECT *, doc || '{{}}' AS fields FROM {TABLES[table.entity]} WHERE {condition}"  # noqa: S608 - our own names
    return f"({rows} OFFSET 0) AS r"


def _archived(table: SourceTable) -> str:
    executions = table.entity is Entity.EXECUTIONS
    return "(r.doc IS NULL AND r.archive_object IS NOT NULL)" if executions else "false"


def _digests(table: SourceTable) -> str:
    columns = {camel_case(column): column for column in COLUMNS[table.entity]}
    strict = [field for field in table.fields if not field.loose]
    figures = sql.digest_sql([_figure(columns[f.name]) for f in strict if f.name in columns])
    document = sql.digest_sql([_documented(f.name, f.kind) for f in strict])
    loose = "".join(f", {_loose(table, f, columns)}" for f in table.fields if f.loose)
    return f"""
SELECT r.id, {figures}, CASE WHEN NOT {_archived(table)} THEN {document} END{loose}
FROM {_from(table, "deleted_at IS NULL")}
ORDER BY r.id COLLATE "C"
"""  # noqa: S608 - made from our own names


def _values(table: SourceTable) -> str:
    columns = {camel_case(column): column for column in COLUMNS[table.entity]}
    texts = [f'{_documented(f.name, f.kind)} AS "{f.name}"' for f in table.fields]
    texts += [
        f'{_figure(columns[f.name])} AS "figure {f.name}"'
        for f in table.fields
        if f.name in columns
    ]
    return f"""
SELECT r.id AS "(id)", r.version_generation, r.version, r.version_minor, r.src_partition,
    r.src_offset, r.deleted_at, {_archived(table)} AS archived, {", ".join(texts)}
FROM {_from(table, "id = ANY($1::text[])")}
"""  # noqa: S608 - made from our own names
