"""What lies in the archive: found, shown, and put back."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from nova_stream.errors import UsageError
from nova_stream.events.json_text import parse_json
from nova_stream.jobs.archive import parquet
from nova_stream.jobs.archive.compaction import fetch_verified
from nova_stream.jobs.archive.object_store import Archive
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, open_session, read_committed
from nova_stream.storage.maintenance.archive import (
    ArchivedRow,
    ArchiveObject,
    ArchiveStore,
    StoredExecution,
)


class ShownExecution(msgspec.Struct, frozen=True, rename="camel"):
    """An execution with its ``document``, wherever that lies.

    ``archived`` names the object that has it. The document is None for a deleted execution, and
    where the object was deleted after NOVA_ARCHIVE_RETENTION_DAYS; ``note`` says so.
    """

    id: str
    task_id: str | None
    agent: str | None
    duration: float | None
    timestamp: datetime | None
    document: dict[str, Any] | None
    archived: str | None = None
    archived_at: datetime | None = None
    note: str | None = None


async def list_objects(settings: Settings) -> list[ArchiveObject]:
    """All objects of the archive, also those that were deleted, by day.

    Raises DatabaseUnavailableError, SchemaVersionError.
    """
    async with open_session(settings, "archive") as connection:
        return await ArchiveStore(connection).all_objects()


async def show(settings: Settings, id_: str) -> ShownExecution:
    """An execution with its document, read from the archive where it lies there.

    Raises UsageError when there is none of this id, ArchiveError when the archive does not answer
    or is damaged, DatabaseUnavailableError, SchemaVersionError.
    """
    async with open_session(settings, "archive") as connection:
        store = ArchiveStore(connection)
        row = await _row(store, id_)
        if row.deleted_at is not None:
            return _shown(row, None, note="it was deleted")
        if row.doc is not None:
            return _shown(row, row.doc)
        known = await _object_of(store, row)
    archived = await _find(settings, known, row)
    if archived is None:
        return _shown(
            row,
            None,
            known,
            note="its document was deleted from the archive (NOVA_ARCHIVE_RETENTION_DAYS)",
        )
    return _shown(row, archived.doc, known)


async def restore_day(settings: Settings, day: date) -> int:
    """Put the documents of a day's executions back into the database; how many.

    The next compactions leave them alone for NOVA_UNDO_DAYS. Raises UsageError when the archive
    has nothing of the day, else as ``show`` does.
    """
    async with open_session(settings, "archive") as connection:
        store = ArchiveStore(connection)
        objects = await store.of_day(day)
        if not objects:
            raise UsageError(f"the archive has nothing of {day}; see: nova-stream archive list")
        restored = 0
        for known in objects:
            with tempfile.TemporaryDirectory(prefix="nova-archive-") as folder:
                path = await fetch_verified(Archive(settings.archive_url), known, Path(folder))
                for rows in parquet.read_rows(path):
                    restored += await _restore(settings, connection, known, rows)
    return restored


async def restore_one(settings: Settings, id_: str) -> int:
    """Put one execution's document back, as ``restore_day`` does: 1, or 0 where the database has
    it already.
    """
    async with open_session(settings, "archive") as connection:
        store = ArchiveStore(connection)
        row = await _row(store, id_)
        if row.deleted_at is not None:
            raise UsageError(f"the execution {id_} was deleted; nothing is put back")
        if row.doc is not None:
            return 0
        known = await _object_of(store, row)
        archived = await _find(settings, known, row)
        if archived is None:
            raise UsageError(
                f"the document of {id_} was deleted from the archive (NOVA_ARCHIVE_RETENTION_DAYS)"
            )
        return await _restore(settings, connection, known, [archived])


async def _restore(
    settings: Settings, connection: Connection, known: ArchiveObject, rows: list[ArchivedRow]
) -> int:
    async with read_committed(connection):
        return await ArchiveStore(connection).restore(known.id, rows, settings.undo_days)


async def _row(store: ArchiveStore, id_: str) -> StoredExecution:
    row = await store.execution(id_)
    if row is None:
        raise UsageError(f"there is no execution {id_}")
    return row


async def _object_of(store: ArchiveStore, row: StoredExecution) -> ArchiveObject:
    known = None if row.archive_object is None else await store.object_(row.archive_object)
    if known is None:
        raise UsageError(f"no record says where the document of {row.id} lies")
    return known


async def _find(
    settings: Settings, known: ArchiveObject, row: StoredExecution
) -> ArchivedRow | None:
    """The execution as an object has it; None when the object is deleted."""
    if known.state not in {"written", "done"}:
        return None
    with tempfile.TemporaryDirectory(prefix="nova-archive-") as folder:
        path = await fetch_verified(Archive(settings.archive_url), known, Path(folder))
        return await asyncio.to_thread(_search, path, row.id)


def _search(path: Path, id_: str) -> ArchivedRow | None:
    for rows in parquet.read_rows(path):
        for row in rows:
            if row.id == id_:
                return row
    return None


def _shown(
    row: StoredExecution,
    doc: str | None,
    known: ArchiveObject | None = None,
    note: str | None = None,
) -> ShownExecution:
    return ShownExecution(
        id=row.id,
        task_id=row.task_id,
        agent=row.agent,
        duration=None if row.duration is None else float(row.duration),
        timestamp=row.timestamp,
        document=None if doc is None else parse_json(doc.encode(), "the document"),
        archived=known.name if known else None,
        archived_at=row.archived_at if known else None,
        note=note,
    )
