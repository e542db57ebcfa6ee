"""The steps of a compaction. It may end between any two of them, and the next one goes on."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time as clock
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec

from nova_stream.errors import ArchiveError, CompactionError
from nova_stream.events.times import time_text
from nova_stream.jobs.archive import parquet
from nova_stream.jobs.archive.object_store import Archive, FetchedObject
from nova_stream.jobs.engine.batches import BATCH, batch, run_of
from nova_stream.jobs.engine.job import JobContext
from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance.archive import (
    ArchivedRow,
    ArchiveObject,
    ArchiveStore,
)
from nova_stream.storage.maintenance.place import BatchPlace

#: An object of a day and run has at most this; what is left goes into another one.
OBJECT_ROWS = 100_000
OBJECT_BYTES = 128 * 1024 * 1024
#: A flush holds a row for milliseconds.
_TRIES = 3
_PAUSE_S = 0.1
_SCRATCH = "nova-archive-"
#: No run takes as long.
_SCRATCH_SECONDS = 86_400


class Compaction:
    """One run. ``compacted`` rows were emptied, ``objects`` written, ``expired`` deleted so far."""

    def __init__(self, context: JobContext, connection: Connection) -> None:
        self._context = context
        self._connection = connection
        self._store = ArchiveStore(connection)
        self._archive = Archive(context.settings.archive_url)
        self.compacted = 0
        self.objects = 0
        self.expired = 0

    async def run(self, cutoff: datetime) -> None:
        """Do it all; raises as ``run_once`` does."""
        if not await self._store.claim():
            raise CompactionError("another compaction is running; this one exits")
        await self._clear_up()
        await self._empty_again(cutoff)
        await self._compact(cutoff)
        await self._expire()

    # -- what an earlier run left ------------------------------------------------------------------

    async def _clear_up(self) -> None:
        """Nothing rests on an object that was being written: it goes. What was verified decides:
        its rows are emptied. What was being deleted is deleted.
        """
        await asyncio.to_thread(_clear_scratch)
        for leftover in await self._store.in_states("writing"):
            await self._delete(leftover)
            await self._context.fence()
            await self._store.forget(leftover.id)
        for written in await self._store.in_states("written"):
            async with _scratch() as folder:
                path = await self._fetch(written, folder)
                await self._empty(written.id, written.created_at, path)
        for expired in await self._store.in_states("expired"):
            await self._delete_expired(expired)

    async def _empty_again(self, cutoff: datetime) -> None:
        gone = 1
        while gone:
            async with batch(self._context, self._connection):
                emptied, gone = await self._store.empty_again(cutoff, BATCH)
            self.compacted += emptied

    # -- archive, verify, empty --------------------------------------------------------------------

    async def _compact(self, cutoff: datetime) -> None:
        place = BatchPlace()
        rows, _ = await self._store.hot(cutoff, place, 1)
        while rows:
            day = rows[0].timestamp.astimezone(UTC).date()
            async with _scratch() as folder:
                place = await self._archive_day(day, cutoff, place, folder)
            rows, _ = await self._store.hot(cutoff, place, 1)

    async def _archive_day(
        self, day: date, cutoff: datetime, place: BatchPlace, folder: Path
    ) -> BatchPlace:
        """Archive a day's documents from ``place`` on, as many as one object holds, and empty
        their rows; where they end.
        """
        run_id = run_of(self._context)
        name = f"executions/day={day}/run-{run_id}-{uuid.uuid4().hex[:16]}.parquet"
        await self._context.fence()
        object_id, created_at = await self._store.begin(name, day, run_id)
        source = folder / "source.parquet"
        end = min(cutoff, datetime.combine(day + timedelta(days=1), time(), UTC))
        content, place = await self._write(source, end, place)
        if not content.rows:  # deleted at this moment
            await self._store.forget(object_id)
            return place
        await self._archive.put(name, source)

        verified = folder / "verified.parquet"
        fetched = await self._archive.fetch(name, verified)
        if await asyncio.to_thread(parquet.read_content, verified) != content:
            raise ArchiveError(f"the archive gives {name} back other than it was written")
        await self._archive.put(
            _manifest_name(name), self._manifest(day, created_at, content, fetched)
        )
        await self._context.fence()
        await self._store.written(
            object_id,
            content.rows,
            fetched.size,
            fetched.sha256,
            content.first_id,
            content.last_id,
        )
        self.objects += 1
        await self._empty(object_id, self._context.now, verified)
        return place

    async def _write(
        self, path: Path, end: datetime, place: BatchPlace
    ) -> tuple[parquet.Content, BatchPlace]:
        with parquet.Writer(path) as writer:
            count = 0
            while count < OBJECT_ROWS and writer.size < OBJECT_BYTES:
                rows, place = await self._store.hot(end, place, BATCH)
                if not rows:
                    break
                await asyncio.to_thread(writer.write, rows)
                count += len(rows)
        return writer.content, place

    async def _empty(self, object_id: int, at: datetime, path: Path) -> None:
        """Empty the rows that a verified file holds; the object is done when none is left."""
        held: list[ArchivedRow] = []
        for rows in parquet.read_rows(path, documents=False):
            if await self._empty_batch(object_id, at, rows):
                held += rows
        for _ in range(_TRIES):
            if not held:
                await self._store.set_state(object_id, "done")
                return
            await asyncio.sleep(_PAUSE_S)
            again, held = held, []
            for start in range(0, len(again), BATCH):
                rows = again[start : start + BATCH]
                if await self._empty_batch(object_id, at, rows):
                    held += rows

    async def _empty_batch(self, object_id: int, at: datetime, rows: list[ArchivedRow]) -> int:
        async with batch(self._context, self._connection, repeatable=True):
            done = await self._store.empty(object_id, at, rows)
        self.compacted += done.emptied
        return done.held

    # -- the end of retention ----------------------------------------------------------------------

    async def _expire(self) -> None:
        for old in await self._store.older(self._context.settings.archive_retention_days):
            async with batch(self._context, self._connection):
                await self._store.set_state(old.id, "expired")
                await self._store.forget_restores(old.id)
            await self._delete_expired(old)

    async def _delete_expired(self, old: ArchiveObject) -> None:
        await self._delete(old)
        await self._store.set_state(old.id, "deleted")
        self.expired += 1

    async def _delete(self, old: ArchiveObject) -> None:
        await self._archive.delete(_manifest_name(old.name))
        await self._archive.delete(old.name)

    async def _fetch(self, known: ArchiveObject, folder: Path) -> Path:
        return await fetch_verified(self._archive, known, folder)

    def _manifest(
        self, day: date, created_at: datetime, content: parquet.Content, fetched: FetchedObject
    ) -> bytes:
        return msgspec.json.encode(
            {
                "day": str(day),
                "run": run_of(self._context),
                "createdAt": time_text(created_at),
                "rows": content.rows,
                "firstId": content.first_id,
                "lastId": content.last_id,
                "bytes": fetched.size,
                "sha256": fetched.sha256,
            }
        )


async def fetch_verified(archive: Archive, known: ArchiveObject, folder: Path) -> Path:
    """An object as a file in ``folder``; raises ArchiveError when it is not as it was written."""
    path = folder / f"{known.id}.parquet"
    fetched = await archive.fetch(known.name, path)
    if fetched != FetchedObject(known.sha256 or "", known.bytes or 0):
        raise ArchiveError(
            f"{known.name} is damaged: its SHA-256 is {fetched.sha256}, {known.sha256} was written"
        )
    return path


def _manifest_name(name: str) -> str:
    return name.removesuffix(".parquet") + ".json"


def _clear_scratch() -> None:
    """Remove the files of runs that were killed: documents must not lie about."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < clock.time() - _SCRATCH_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _scratch() -> AsyncIterator[Path]:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_SCRATCH))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
