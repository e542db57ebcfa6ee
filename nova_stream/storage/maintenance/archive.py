"""What Postgres knows of the archive: objects and their states, rows emptied and put back.

The row of an object decides what it is worth: ``writing`` is a leftover that may be deleted,
``written`` is verified and its rows are to be emptied, ``done`` has them all. How long an object
has been there is counted by the database's clock, whatever time a job believes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance import archive_sql
from nova_stream.storage.maintenance.place import BatchPlace

#: Bytes of stored documents in a batch, compressed as Postgres keeps them.
_BATCH_BYTES = 8 * 1024 * 1024
#: What says which rows are put back, and with what.
_TOLD = ("id", "version", "version_minor", "doc")


class ArchivedRow(msgspec.Struct, frozen=True):
    """An execution with its document as JSON text. Of objects of before, part of the state is not
    known.
    """

    id: str
    task_id: str | None
    agent: str | None
    duration: Decimal | float | None
    timestamp: datetime
    version: int
    version_minor: int
    version_generation: int | None
    src_offset: int | None
    doc: str


class ArchiveObject(msgspec.Struct, frozen=True, rename="camel"):
    """An object of the archive; what it holds is known once it is written."""

    id: int
    name: str
    day: date
    run_id: int
    state: str
    created_at: datetime
    rows: int | None
    bytes: int | None
    sha256: str | None
    first_id: str | None
    last_id: str | None


class EmptiedBatch(NamedTuple):
    """Rows emptied, and rows that somebody else holds at this moment."""

    emptied: int
    held: int


class StoredExecution(msgspec.Struct, frozen=True):
    """An execution's row; without ``doc`` it is archived, unless it was deleted."""

    id: str
    task_id: str | None
    agent: str | None
    duration: Decimal | None
    timestamp: datetime | None
    deleted_at: datetime | None
    doc: str | None
    archived_at: datetime | None
    archive_object: int | None


class ArchiveStore:
    """The archive's tables, by one connection; raises what asyncpg raises."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(self) -> bool:
        """Whether this session may compact: one at a time, until the session ends."""
        return bool(await self._connection.fetchval(archive_sql.ONE_COMPACTION))

    # -- documents to archive ----------------------------------------------------------------------

    async def count_hot(self, cutoff: datetime) -> int:
        """How many documents are older than ``cutoff``."""
        return int(await self._connection.fetchval(archive_sql.COUNT_HOT, cutoff))

    async def hot(
        self, cutoff: datetime, place: BatchPlace, rows: int
    ) -> tuple[list[ArchivedRow], BatchPlace]:
        """The next documents older than ``cutoff``, at most ``rows``, and where they end; none is
        the end.
        """
        found = await self._connection.fetch(
            archive_sql.HOT, cutoff, place.time, place.id, rows, _BATCH_BYTES
        )
        if not found:
            return [], place
        names = ArchivedRow.__struct_fields__
        documents = [ArchivedRow(**{name: row[name] for name in names}) for row in found]
        return documents, BatchPlace(found[-1]["place"], found[-1]["id"])

    async def empty(
        self, object_id: int, at: datetime, rows: Sequence[ArchivedRow]
    ) -> EmptiedBatch:
        """Empty the rows that still are as archived; in a transaction."""
        states = [[getattr(row, column) for row in rows] for column in archive_sql.STATE]
        ids = [row.id for row in rows]
        row = await self._connection.fetchrow(archive_sql.EMPTY, ids, *states, object_id, at)
        assert row is not None
        return EmptiedBatch(row["emptied"], row["held"])

    async def empty_again(self, cutoff: datetime, rows: int) -> tuple[int, int]:
        """Empty rows older than ``cutoff`` whose time after a restore is over, in a transaction:
        how many, and how many restores were forgotten; none at the end.
        """
        row = await self._connection.fetchrow(archive_sql.EMPTY_AGAIN, rows, cutoff)
        assert row is not None
        return row["emptied"], row["gone"]

    # -- objects -----------------------------------------------------------------------------------

    async def begin(self, name: str, day: date, run_id: int) -> tuple[int, datetime]:
        """Note that an object is going to be written; its number, and since when it is there."""
        row = await self._connection.fetchrow(archive_sql.BEGIN_OBJECT, name, day, run_id)
        assert row is not None
        return row["id"], row["created_at"]

    async def written(
        self, object_id: int, rows: int, size: int, sha256: str, first_id: str, last_id: str
    ) -> None:
        """Note that an object stands in the archive as it should."""
        await self._connection.execute(
            archive_sql.OBJECT_WRITTEN, object_id, rows, size, sha256, first_id, last_id
        )

    async def set_state(self, object_id: int, state: str) -> None:
        """Note how far an object is."""
        await self._connection.execute(archive_sql.SET_STATE, object_id, state)

    async def forget(self, object_id: int) -> None:
        """Forget an object that was never written."""
        await self._connection.execute(archive_sql.FORGET_OBJECT, object_id)

    async def in_states(self, *states: str) -> list[ArchiveObject]:
        """The objects in these states, oldest first."""
        return await self._objects(archive_sql.OBJECTS_IN, list(states))

    async def all_objects(self) -> list[ArchiveObject]:
        """All objects that were ever written, by day."""
        return await self._objects(archive_sql.OBJECTS)

    async def of_day(self, day: date) -> list[ArchiveObject]:
        """The objects of a day that are there."""
        return await self._objects(archive_sql.OBJECTS_OF_DAY, day)

    async def older(self, days: int) -> list[ArchiveObject]:
        """The objects that have been there for more than ``days``."""
        return await self._objects(archive_sql.OBJECTS_OLDER, days)

    async def object_(self, object_id: int) -> ArchiveObject | None:
        """An object by number."""
        found = await self._objects(archive_sql.OBJECT, object_id)
        return found[0] if found else None

    # -- putting back ------------------------------------------------------------------------------

    async def restore(self, object_id: int, rows: Sequence[ArchivedRow], days: int) -> int:
        """Put documents back into the rows that still are as archived; how many. Compaction
        leaves them alone for ``days``. In a transaction.
        """
        columns = [[getattr(row, name) for row in rows] for name in _TOLD]
        return int(await self._connection.fetchval(archive_sql.RESTORE, *columns, object_id, days))

    async def forget_restores(self, object_id: int) -> None:
        """Forget who was put back from an object that is going to be deleted."""
        await self._connection.execute(archive_sql.FORGET_RESTORES_OF, object_id)

    async def execution(self, id_: str) -> StoredExecution | None:
        """An execution's row."""
        row = await self._connection.fetchrow(archive_sql.EXECUTION, id_)
        return None if row is None else StoredExecution(**dict(row))

    async def _objects(self, statement: str, *arguments: Any) -> list[ArchiveObject]:
        rows = await self._connection.fetch(statement, *arguments)
        return [ArchiveObject(**dict(row)) for row in rows]
