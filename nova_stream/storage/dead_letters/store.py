"""What is done with dead letters: choosing, setting aside, marking, deleting; their records.

``republish.py`` publishes them again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec

from nova_stream.errors import UsageError
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection, open_session
from nova_stream.storage.dead_letters import sql
from nova_stream.storage.dead_letters.insert import RecordHeader, read_headers

#: Letters that one statement deletes.
_BATCH = 1000

#: The offsets where the sources of a topic begin, by topic, its generation and partition.
SourceOffsets = Mapping[tuple[str, int, int], Sequence[int]]


class OriginalRecord(msgspec.Struct, frozen=True):
    """The record of a dead letter, as the decoder saw it."""

    topic: str
    partition: int
    generation: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[RecordHeader]
    #: Not known to the broker any more: its version never comes from it.
    timestamp: int = -1


class DeadLetterStore:
    """The dead letters of a database; ``open_store`` makes one."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def require(self, ids: Sequence[int]) -> None:
        """Raise UsageError, naming them, when there are no letters with some of these numbers."""
        rows = await self.connection.fetch(sql.EXISTING, ids)
        missing = sorted(set(ids) - {row["id"] for row in rows})
        if missing:
            raise UsageError(
                f"no dead letter {', '.join(map(str, missing))}; see: nova-stream dead-letters list"
            )

    async def originals(self, ids: Sequence[int]) -> list[OriginalRecord]:
        """The records of letters, in the order of their numbers."""
        rows = await self.connection.fetch(sql.ORIGINALS, ids)
        return [OriginalRecord(**{**row, "headers": read_headers(row["headers"])}) for row in rows]

    async def sources(self, topics: Sequence[str]) -> SourceOffsets:
        """Where the sources of ``topics`` begin."""
        rows = await self.connection.fetch(sql.SOURCES, topics)
        return {(r["topic"], r["generation"], r["partition"]): r["source_offsets"] for r in rows}

    async def open_by_reason(self) -> dict[str, int]:
        """How many letters are open, by reason, the most frequent first."""
        rows = await self.connection.fetch(sql.OPEN_BY_REASON)
        return {row["reason"]: row["number"] for row in rows}

    async def open_ids(self, reason: str | None = None) -> list[int]:
        """The numbers of all open letters, or of those with ``reason``, oldest first."""
        return [row["id"] for row in await self.connection.fetch(sql.OPEN, reason)]

    async def mark_retried(self, ids: Sequence[int]) -> None:
        """Note that the records are in Kafka again."""
        await self.connection.execute(sql.MARK_RETRIED, ids)

    async def discard(self, ids: Sequence[int]) -> None:
        """Set letters aside; their bytes are kept. Raises UsageError."""
        await self.require(ids)
        await self.connection.execute(sql.MARK_DISCARDED, ids)

    async def forget(self, before: datetime) -> int:
        """Delete letters that were retried or discarded and whose records failed before that time,
        a few at a time; gives how many. Open ones stay, however old.
        """
        total, seen = 0, _BATCH
        while seen == _BATCH:
            status = await self.connection.execute(sql.FORGET, before, _BATCH)
            seen = int(status.rpartition(" ")[2])
            total += seen
        return total


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[DeadLetterStore]:
    """The dead letters of the configured database.

    Raises DatabaseUnavailableError, SchemaVersionError.
    """
    async with open_session(settings, "dead-letters") as connection:
        yield DeadLetterStore(connection)
