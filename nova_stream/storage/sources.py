"""Which server a partition's lsns come from, and noticing that they come from another one.

Lsns of two servers do not compare. A topic counts its sources in generations, and a later one's
versions outrank all before; each partition knows the offset where a generation begins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from nova_stream.events.change import SNAPSHOT_MINOR, Change, Entity, VersionKind
from nova_stream.stats.fold import Rank, rank_of
from nova_stream.storage import sql_moves

#: Of two lsns the lower is of another server for sure when it is less than half of the other and so
#: many bytes of log lie between them, even where the times do not tell.
_FAR = 2**24

REASON = "source_moved"
ADVICE = (
    "a change that is newer by its time has a lower lsn than what is known: the source seems to "
    "have moved to another server. If so, run: nova-stream topics new-source {topic}"
)


class Source(msgspec.Struct):
    """The source of one partition, as its position has it, and what a flush found out.

    ``generation`` is the topic's; ``offsets`` has where each one after the first begins here.
    """

    generation: int = 0
    offsets: list[int] = []
    high: int | None = None
    moved_offset: int | None = None
    moved: int = 0

    def rank(self, change: Change) -> None:
        """Give a change its source's generation: the stated one, else that of its place."""
        if change.source_generation is not None:
            change.rank_generation = min(change.source_generation, self.generation)
        else:
            change.rank_generation = bisect_right(self.offsets, change.offset)

    @property
    def announced(self) -> bool:
        """Whether the topic has a source whose first record here is still to come."""
        return len(self.offsets) < self.generation

    def begin(self, offset: int) -> None:
        """The announced source begins here."""
        self.offsets = self.offsets + [offset] * (self.generation - len(self.offsets))
        self.high = None

    def note_move(self, changes: list[Change]) -> None:
        """Records of another source have been seen."""
        first = min(change.offset for change in changes)
        self.moved += len(changes)
        self.moved_offset = first if self.moved_offset is None else min(self.moved_offset, first)

    def note_high(self, changes: Iterable[Change]) -> None:
        """Remember the highest lsn of the present source."""
        last = len(self.offsets)
        found = [c.number for c in changes if c.rank_generation == last and _is_of_source(c)]
        self.high = max([*found, *([] if self.high is None else [self.high])], default=None)

    def below_high(self, changes: Iterable[Change]) -> list[Change]:
        """The changes that go back behind an lsn read before, as replays, long transactions and
        other servers do.
        """
        high, found = self.high, []
        for change in changes:
            if high is None or change.number < high:
                found.append(change)
            else:
                high = change.number
        return found


def source_of(row: asyncpg.Record) -> Source:
    """The source of a locked position."""
    return Source(
        row["source_generation"], list(row["source_offsets"]), row["lsn_high"], row["moved_offset"]
    )


def seems_moved(change: Change, known: Rank, at: datetime) -> bool:
    """Whether a change cannot be of the server that ``known`` comes from, which is of time ``at``.

    A server writes a later change of the same row at a higher lsn. A repetition has the time that
    it had.
    """
    if not _is_of_source(change) or rank_of(change) >= known:
        return False
    if change.timed and change.changed_at != at:
        return change.changed_at > at
    return change.number * 2 < known.number and known.number - change.number > _FAR


async def known_versions(
    connection: asyncpg.Connection[Any], entity: Entity, ids: Iterable[str]
) -> dict[str, tuple[Rank, datetime]]:
    """The stored versions of documents with their times."""
    rows = await connection.fetch(sql_moves.KNOWN_VERSIONS[entity], sorted(set(ids)))
    return {
        row["id"]: (
            Rank(row["version_generation"], row["version"], row["version_minor"]),
            row["changed_at"],
        )
        for row in rows
    }


async def keep(connection: asyncpg.Connection[Any], found: list[tuple[str, int, Source]]) -> None:
    """Store what a flush knows of the sources of its partitions, which are locked."""
    await connection.execute(
        sql_moves.KEEP_SOURCES,
        [topic for topic, _, _ in found],
        [partition for _, partition, _ in found],
        [source.high for _, _, source in found],
        [len(source.offsets) for _, _, source in found],
        [source.offsets[-1] if source.offsets else None for _, _, source in found],
        [source.moved_offset for _, _, source in found],
    )


def _is_of_source(change: Change) -> bool:
    """Whether the source's own connector wrote it, with an lsn."""
    return (
        change.kind is VersionKind.LSN
        and change.source_generation is None
        and change.minor in (0, SNAPSHOT_MINOR)
        and change.number > 0
    )
