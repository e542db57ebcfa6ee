"""A Convex deployment as a source: its tables are copied once, and the copy follows the changes.

The streaming export gives whole tables and changes, no single documents. So the tables are read at
a pinned snapshot into a file, and every later snapshot is that file with the changes up to its
instant.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Self, TypeVar

import msgspec

from nova_stream.capture.client import ConvexClient, Row
from nova_stream.capture.mapping import TABLES, document_of
from nova_stream.capture.process import SOURCE
from nova_stream.clock import system_clock
from nova_stream.errors import CursorExpiredError, SourceAwayError, UsageError
from nova_stream.events.change import Entity, VersionKind
from nova_stream.events.documents import Kind
from nova_stream.settings import Settings
from nova_stream.source_audit.interface import (
    ComparedField,
    Digest,
    Reader,
    SourceTable,
    Values,
    digest_of,
    known_fields,
)
from nova_stream.source_audit.plain import loose_text, number_text
from nova_stream.source_audit.replica import Replica
from nova_stream.storage.capture import cursor as source_cursor
from nova_stream.storage.database import open_session

_BATCH = 2000
#: Times that a deployment is asked again, and the seconds between, unless it asks for more.
_TRIES, _PAUSE_S, _LONGEST_PAUSE_S = 5, 1.0, 30.0
_LOOSE = frozenset({Kind.TIME, Kind.LIST, Kind.JSON, Kind.ANY})
_NAMES = {entity: table for table, entity in TABLES.items()}

Answer = TypeVar("Answer")


class ConvexSource:
    """The deployment of ``settings``; see ``SourceTables``. ``named`` are tables by entity.

    Raises SettingsError, SourceRefusedError, and SourceAwayError when it does not answer for long.
    """

    kind = VersionKind.SEQ

    def __init__(self, settings: Settings, named: Mapping[Entity, str]) -> None:
        self._settings = settings
        self._client = ConvexClient(settings, system_clock)
        self._names = {**_NAMES, **named}
        self._wanted: dict[str, Entity] = {}
        self._replica = Replica()
        self._cursor: int | None = None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        state = await self._state()
        if state is not None and state.at.phase != "deltas":
            await self.close()
            raise UsageError(
                "the capture of the deployment is reading a snapshot; compare when it is complete"
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.__aexit__()
        self._replica.close()

    async def tables(self, entities: Iterable[Entity]) -> list[SourceTable]:
        there = await self._ask(self._client.tables)
        found = [e for e in entities if there is None or self._names[e] in there]
        self._wanted = {self._names[entity]: entity for entity in found}
        return [self._table(entity) for entity in found]

    def looked_for(self, entity: Entity) -> str:
        return self._names[entity]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[ConvexSnapshot]:
        try:
            cursor = await self._follow(self._cursor)
        except CursorExpiredError:
            cursor = await self._follow(None)
        self._cursor = cursor
        yield ConvexSnapshot(self._replica, cursor)

    async def readers(self) -> list[Reader]:
        state = await self._state()
        if state is None or state.at.cursor is None:
            return []
        name = f"of {self._client.place}"
        return [
            Reader(name, state.at.cursor, state.held, "the capture", "ns of the deployment's time")
        ]

    # -- the copy --------------------------------------------------------------------------------

    async def _follow(self, cursor: int | None) -> int:
        """Bring the copy to the deployment's present; the instant that it shows."""
        cursor = await self._copy() if cursor is None else cursor
        has_more = True
        while has_more:
            page = await self._ask(_bound(self._client.document_deltas, cursor))
            for row in page.rows:
                self._apply(row)
            has_more = page.has_more and page.cursor > cursor
            cursor = max(cursor, page.cursor)
        return cursor

    async def _copy(self) -> int:
        self._replica.clear()
        snapshot: int | None = None
        for table, entity in self._wanted.items():
            place: str | None = None
            has_more = True
            while has_more:
                page = await self._ask(
                    _bound(self._client.list_snapshot, table, snapshot=snapshot, cursor=place)
                )
                self._replica.put(entity, (_document(entity, row) for row in page.rows))
                snapshot, place, has_more = page.snapshot, page.cursor, page.has_more
        assert snapshot is not None
        return snapshot

    def _apply(self, row: Row) -> None:
        entity = None if row.component else self._wanted.get(row.table)
        if entity is None:
            return
        if row.deleted:
            self._replica.remove(entity, row.id)
        else:
            self._replica.put(entity, [_document(entity, row)])

    async def _ask(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        for _ in range(_TRIES):
            try:
                return await call()
            except SourceAwayError as error:
                await asyncio.sleep(min(error.retry_after or _PAUSE_S, _LONGEST_PAUSE_S))
        return await call()

    async def _state(self) -> source_cursor.SourceState | None:
        """What the capture of this deployment has stored; None where it has none."""
        async with open_session(self._settings, "source audit") as connection:
            state = await source_cursor.read(connection, SOURCE)
        return state if state is not None and state.address == self._client.address else None

    def _table(self, entity: Entity) -> SourceTable:
        fields = tuple(
            ComparedField(name, kind, kind in _LOOSE) for name, kind in known_fields(entity).items()
        )
        return SourceTable(entity, self._names[entity], fields)


class ConvexSnapshot:
    """The copy at an instant; see ``SourceSnapshot``."""

    def __init__(self, replica: Replica, instant: int) -> None:
        self._replica = replica
        #: Versions are the times of transactions: all that is shown is up to this one, all that is
        #: not is later.
        self.position = self.floor = instant

    async def rows(self, table: SourceTable) -> AsyncIterator[Sequence[Digest]]:
        for documents in self._replica.walk(table.entity, _BATCH):
            yield [digest_of(table, _texts(table, document)) for document in documents]

    async def values(self, table: SourceTable, ids: Sequence[str]) -> dict[str, Values]:
        return {
            identity: {
                field.name: loose_text(field.kind, texts[field.name])
                if field.loose
                else texts[field.name]
                for field in table.fields
            }
            for identity, document in self._replica.get(table.entity, ids).items()
            for texts in [_texts(table, document)]
        }

    async def documents(self, table: SourceTable, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        return self._replica.get(table.entity, ids)


def _bound(
    call: Callable[..., Awaitable[Answer]], *arguments: Any, **more: Any
) -> Callable[[], Awaitable[Answer]]:
    return lambda: call(*arguments, **more)


def _document(entity: Entity, row: Row) -> dict[str, Any]:
    """The document of a row; of one that holds no value of Convex what it says as it stands."""
    try:
        return document_of(entity, row)
    except ValueError:
        return {**row.fields, "id": row.id}


def _texts(table: SourceTable, document: Mapping[str, Any]) -> dict[str, str | None]:
    return {field.name: _text(field.kind, document.get(field.name)) for field in table.fields}


def _text(kind: Kind, value: Any) -> str | None:
    """The plain text of a value; of a loose kind in a form that ``loose_text`` reads."""
    if value is None:
        return None
    if kind in {Kind.LIST, Kind.JSON, Kind.ANY}:
        return msgspec.json.encode(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(Decimal(str(value)))
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
