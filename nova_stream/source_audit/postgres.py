"""A Postgres database as a source: snapshots that read only, and how far its log was taken away.

A user who may read the tables is enough; on a standby, too, where the log's place is the replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, Self

import asyncpg

from nova_stream.database_url import parse_database_url
from nova_stream.errors import DatabaseUnavailableError, UsageError
from nova_stream.events.change import Entity, VersionKind
from nova_stream.source_audit import sql
from nova_stream.source_audit.interface import (
    Digest,
    Reader,
    SourceTable,
    Values,
    figure_text,
    typed_fields,
)
from nova_stream.source_audit.plain import document, loose_text
from nova_stream.source_audit.postgres_catalogue import TABLE_NAMES, PostgresTable, find_table
from nova_stream.storage.database import Connection, open_connection
from nova_stream.storage.faults import DATABASE_ERRORS

_MINIMUM_VERSION = 13
_BATCH = 5000
_FENCES = 64

#: Settings, as far as the server has them. With row security on, hidden rows would look as if they
#: were not there: off makes it an error.
_SESSION = """
SELECT set_config(wanted.name, value, false) FROM pg_settings s JOIN (VALUES
    ('application_name', 'nova-stream source audit'), ('timezone', 'UTC'), ('datestyle', 'ISO'),
    ('extra_float_digits', '1'), ('default_transaction_read_only', 'on'), ('row_security', 'off'),
    ('statement_timeout', '0'), ('transaction_timeout', '0'), ('jit', 'off'),
    ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
    ('work_mem', '64MB')) AS wanted (name, value) ON wanted.name = lower(s.name)
"""
_FACTS = """
SELECT current_setting('server_encoding') = 'UTF8' AS utf8, pg_is_in_recovery() AS standby
"""
#: A place in the log, and an xid above those of all transactions that have written before it.
_FENCE = "SELECT (pg_current_wal_insert_lsn() - '0/0')::int8 AS lsn"
_XID = "SELECT pg_current_xact_id()::text::int8"
_OLDEST = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8"
_REPLAYED = "SELECT (coalesce(pg_last_wal_replay_lsn(), '0/0') - '0/0')::int8"
_READERS = """
SELECT slot_name::text AS name, (confirmed_flush_lsn - '0/0')::int8 AS position, active
FROM pg_replication_slots
WHERE slot_type = 'logical' AND database = current_database() AND confirmed_flush_lsn IS NOT NULL
"""


class _Fence(NamedTuple):
    lsn: int
    xid: int


class PostgresSource:
    """A source database at ``url``; see ``SourceTables``. ``named`` are tables by entity.

    Everything that goes wrong with it is one error line without secrets: UsageError for an address
    or a table that cannot be right, DatabaseUnavailableError for the rest.
    """

    kind = VersionKind.LSN

    def __init__(self, url: str, named: Mapping[Entity, str] | None = None) -> None:
        try:
            self._url = parse_database_url(url)
        except ValueError as error:
            raise UsageError(f"--source: {error} (value not shown)") from None
        self._named = dict(named or {})
        self._tables: dict[Entity, PostgresTable] = {}
        self._fences: deque[_Fence] = deque(maxlen=_FENCES)
        self._utf8 = True
        self._standby = False
        self._data: Connection | None = None
        self._side: Connection | None = None

    async def __aenter__(self) -> Self:
        try:
            self._data = await self._connect()
            self._side = await self._connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        for connection in (self._data, self._side):
            if connection is not None:
                with suppress(*DATABASE_ERRORS):
                    await connection.close(timeout=5)
        self._data = self._side = None

    async def tables(self, entities: Iterable[Entity]) -> list[SourceTable]:
        found = []
        with self._telling():
            for entity in entities:
                table = await find_table(self._reading, entity, self._named.get(entity))
                if table is not None:
                    compared, self._tables[entity] = table
                    found.append(compared)
        return found

    def looked_for(self, entity: Entity) -> str:
        return " or ".join(TABLE_NAMES[entity])

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresSnapshot]:
        with self._telling():
            await self._set_fence()
            transaction = self._reading.transaction(isolation="repeatable_read", readonly=True)
            await transaction.start()
        try:
            with self._telling():
                oldest: int = await self._reading.fetchval(_OLDEST)
                position = await self._position()
            below = [fence.lsn for fence in self._fences if fence.xid <= oldest]
            yield PostgresSnapshot(self, position, max(below, default=None))
        finally:
            with suppress(*DATABASE_ERRORS):
                await transaction.rollback()

    async def readers(self) -> list[Reader]:
        with self._telling():
            return [Reader(**dict(row)) for row in await self._beside.fetch(_READERS)]

    @property
    def _reading(self) -> Connection:
        assert self._data is not None, "open the source with: async with"
        return self._data

    @property
    def _beside(self) -> Connection:
        assert self._side is not None, "open the source with: async with"
        return self._side

    async def _connect(self) -> Connection:
        with self._telling():
            connection = await open_connection(self._url, {})
            version = connection.get_server_version()
            if version.major < _MINIMUM_VERSION:
                await connection.close()
                raise UsageError(
                    f"the source at {self._url} is PostgreSQL {version.major}; "
                    f"{_MINIMUM_VERSION} or newer can be compared"
                )
            await connection.fetch(_SESSION)
            facts = await connection.fetchrow(_FACTS)
            assert facts is not None
            self._utf8, self._standby = facts["utf8"], facts["standby"]
        return connection

    async def _set_fence(self) -> None:
        """Note a place in the log. A snapshot that finds no older transaction at work shows every
        change before it; one that waits to commit has written before it, and is not shown.
        """
        if self._standby:
            return
        lsn = await self._beside.fetchval(_FENCE)
        self._fences.append(_Fence(lsn, await self._beside.fetchval(_XID)))

    async def _position(self) -> int:
        position: int = await self._beside.fetchval(_REPLAYED if self._standby else _FENCE)
        return position

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except DATABASE_ERRORS as error:
            what = (str(error) or type(error).__name__).splitlines()[0]
            raise DatabaseUnavailableError(
                f"the source at {self._url} cannot be read: {what}"
            ) from None


class PostgresSnapshot:
    """What a REPEATABLE READ transaction shows; see ``SourceSnapshot``."""

    def __init__(self, source: PostgresSource, position: int, floor: int | None) -> None:
        self._source = source
        self.position = position
        self.floor = floor

    async def rows(self, table: SourceTable) -> AsyncIterator[Sequence[Digest]]:
        statement = self._digests(table)
        with self._source._telling():
            cursor = await self._source._reading.cursor(statement)
            while rows := await cursor.fetch(_BATCH):
                if rows[0][0] is None:
                    raise UsageError(f"{table.place} has rows whose id is null: give them one")
                yield [Digest(row[0], row[1], row[2], tuple(row)[3:]) for row in rows]

    async def values(self, table: SourceTable, ids: Sequence[str]) -> dict[str, Values]:
        found = await self._found(table, ids)
        loose = {field.name: field.kind for field in table.fields if field.loose}
        read: dict[str, Values] = {}
        for row in found:
            values = {field.name: row[field.name] for field in table.fields}
            values |= {name: loose_text(kind, values[name]) for name, kind in loose.items()}
            read[row["id"]] = values
        return read

    async def documents(self, table: SourceTable, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        found = await self._found(table, ids, ', to_jsonb(t)::text AS "(row)"')
        return {row["id"]: document(table, dict(row), row["(row)"]) for row in found}

    async def _found(
        self, table: SourceTable, ids: Sequence[str], more: str = ""
    ) -> list[asyncpg.Record]:
        own = self._source._tables[table.entity]
        fields = ", ".join(f'{own.texts[f.name]} AS "{f.name}"' for f in table.fields)
        condition = sql.native_array(own.columns["id"], own.id_type, "$1")
        wanted = [id_ for id_ in ids if sql.fits(own.id_type, id_)]
        statement = f"""
SELECT {fields}{more} FROM {own.name} t
WHERE {condition}"""  # noqa: S608 - names from the catalogue, quoted
        with self._source._telling():
            rows = await self._source._reading.fetch(statement, wanted)
        known = set(wanted)
        return [row for row in rows if row["id"] in known]

    def _digests(self, table: SourceTable) -> str:
        own, utf8 = self._source._tables[table.entity], self._source._utf8
        typed = typed_fields(table.entity)
        strict = [field.name for field in table.fields if not field.loose]
        figures = [
            f"coalesce({own.texts[name]}, '')" if figure_text(name, None) == "" else own.texts[name]
            for name in strict
            if name in typed
        ]
        loose = "".join(f", {own.texts[field.name]}" for field in table.fields if field.loose)
        order = 'id COLLATE "C"' if utf8 else "convert_to(id, 'UTF8')"
        document = [own.texts[name] for name in strict]
        return f"""
SELECT * FROM (SELECT {own.texts["id"]} AS id,
    {sql.digest_sql(figures, utf8=utf8)}, {sql.digest_sql(document, utf8=utf8)}{loose}
    FROM {own.name}) AS source
ORDER BY {order} NULLS FIRST"""  # noqa: S608 - names from the catalogue, quoted
