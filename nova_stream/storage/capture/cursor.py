"""The cursor of a capture: where it stands, who holds it, which documents it has published.

All raise what asyncpg raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from nova_stream.errors import LeadershipLostError
from nova_stream.storage.database import Connection

_CURSOR = """
    address, phase, snapshot, snapshot_table, snapshot_page, snapshot_documents, cursor,
    caught_up_at, updated_at, epoch, holder,
    coalesce(lease_until > clock_timestamp(), false) AS held
"""

#: $1 source, $2 address.
_KNOW = """
INSERT INTO source_cursors (source, address) VALUES ($1, $2) ON CONFLICT (source) DO NOTHING
"""

#: $1 source.
_READ = f"SELECT {_CURSOR} FROM source_cursors WHERE source = $1"  # noqa: S608 - our own text

#: $1 source, $2 holder, $3 seconds, $4 address.
_ACQUIRE = f"""
UPDATE source_cursors SET holder = $2, epoch = epoch + 1,
    lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE source = $1 AND address = $4 AND coalesce(lease_until < clock_timestamp(), true)
RETURNING {_CURSOR}
"""  # noqa: S608 - our own text

#: $1 source, $2 epoch, $3 seconds.
_RENEW = """
UPDATE source_cursors SET lease_until = clock_timestamp() + make_interval(secs => $3)
WHERE source = $1 AND epoch = $2 RETURNING epoch
"""

#: $1 source, $2 epoch.
_RELEASE = """
UPDATE source_cursors SET lease_until = NULL, holder = NULL WHERE source = $1 AND epoch = $2
"""

#: $1 source, $2 address. Whoever holds it is overtaken, and begins anew.
_BEGIN_ANEW = """
INSERT INTO source_cursors (source, address) VALUES ($1, $2)
ON CONFLICT (source) DO UPDATE SET address = excluded.address, phase = 'new', snapshot = NULL,
    snapshot_table = NULL, snapshot_page = NULL, snapshot_documents = 0, cursor = NULL,
    epoch = source_cursors.epoch + 1, holder = NULL, lease_until = NULL, updated_at = now()
"""

#: $1 source, $2 epoch, $3 entities, $4 ids, $5 seen. Gives how many rows had the epoch: 0 or 1.
_NOTE = """
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
_STORE = """
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
_GONE = """
SELECT entity, id FROM source_documents
WHERE source = $1 AND seen < $2 AND (entity, id) > ($3, $4)
ORDER BY entity, id LIMIT $5
"""

Phase = Literal["new", "snapshot", "sweep", "deltas"]


class Cursor(msgspec.Struct, frozen=True):
    """Where a capture stands. Times of the source are its own, in nanoseconds.

    ``new``: nothing is read. ``snapshot``: the snapshot as of ``snapshot`` is read up to
    ``page`` of ``table``. ``sweep``: all of it is read, and what it lacked is being deleted.
    ``deltas``: every change up to ``cursor`` is published. ``documents`` counts the snapshot's.
    """

    phase: Phase = "new"
    snapshot: int | None = None
    table: str | None = None
    page: str | None = None
    documents: int = 0
    cursor: int | None = None


class SourceState(msgspec.Struct, frozen=True):
    """What is stored of a source; ``held`` is whether an instance's lease runs now."""

    address: str
    at: Cursor
    epoch: int
    holder: str | None
    held: bool
    caught_up_at: datetime | None
    updated_at: datetime


class SourceDocument(NamedTuple):
    """A document of the source, by entity (``tasks``) and id."""

    entity: str
    id: str


async def read(connection: Connection, source: str) -> SourceState | None:
    """What is stored of a source; None when it was never captured."""
    row = await connection.fetchrow(_READ, source)
    return None if row is None else _state(row)


async def acquire(
    connection: Connection, source: str, address: str, holder: str, seconds: float
) -> SourceState | None:
    """Take the source's lease for so long; None while another instance has it, or when the
    source's address is another one.

    The epoch rises, so that whoever had the lease before writes nothing more.
    """
    await connection.execute(_KNOW, source, address)
    row = await connection.fetchrow(_ACQUIRE, source, holder, seconds, address)
    return None if row is None else _state(row)


async def renew(connection: Connection, source: str, epoch: int, seconds: float) -> bool:
    """Keep the lease for so long from now on; False when another instance has taken over."""
    return await connection.fetchval(_RENEW, source, epoch, seconds) is not None


async def release(connection: Connection, source: str, epoch: int) -> None:
    """Let the next instance take over at once."""
    await connection.execute(_RELEASE, source, epoch)


async def begin_anew(connection: Connection, source: str, address: str) -> None:
    """Have the capture begin anew with a snapshot, of ``address`` from now on; the instance that
    holds it is overtaken.
    """
    await connection.execute(_BEGIN_ANEW, source, address)


class CursorStore:
    """Writes of the instance that holds ``epoch``; all raise LeadershipLostError, and have written
    nothing, when another one has taken over.
    """

    def __init__(self, connection: Connection, source: str, epoch: int) -> None:
        self._connection = connection
        self._source = source
        self._epoch = epoch

    async def note(self, documents: Sequence[SourceDocument], seen: int) -> None:
        """Say, before they are published, that these documents were there at the time ``seen``."""
        entities, ids = _columns(documents)
        self._check(
            await self._connection.fetchval(_NOTE, self._source, self._epoch, entities, ids, seen)
        )

    async def store(
        self, at: Cursor, *, deleted: Sequence[SourceDocument] = (), caught_up: bool = False
    ) -> None:
        """Store where the capture stands, and that what is ``deleted`` is no more."""
        entities, ids = _columns(deleted)
        self._check(
            await self._connection.fetchval(
                _STORE,
                self._source,
                self._epoch,
                at.phase,
                at.snapshot,
                at.table,
                at.page,
                at.documents,
                at.cursor,
                caught_up,
                entities,
                ids,
            )
        )

    async def gone(self, snapshot: int, after: SourceDocument, rows: int) -> list[SourceDocument]:
        """Up to ``rows`` documents, in order, that a snapshot of this time has not seen."""
        found = await self._connection.fetch(
            _GONE, self._source, snapshot, after.entity, after.id, rows
        )
        return [SourceDocument(row["entity"], row["id"]) for row in found]

    def _check(self, rows: int) -> None:
        if not rows:
            raise LeadershipLostError(f"another instance captures {self._source} now")


def _columns(documents: Sequence[SourceDocument]) -> tuple[list[str], list[str]]:
    """Entities and ids, each document once: a statement must not touch a row twice."""
    once = list(dict.fromkeys(documents))
    return [document.entity for document in once], [document.id for document in once]


def _state(row: Any) -> SourceState:
    at = Cursor(
        phase=row["phase"],
        snapshot=row["snapshot"],
        table=row["snapshot_table"],
        page=row["snapshot_page"],
        documents=row["snapshot_documents"],
        cursor=row["cursor"],
    )
    return SourceState(
        address=row["address"],
        at=at,
        epoch=row["epoch"],
        holder=row["holder"],
        held=row["held"],
        caught_up_at=row["caught_up_at"],
        updated_at=row["updated_at"],
    )
