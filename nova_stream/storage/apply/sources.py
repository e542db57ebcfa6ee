"""Which server a partition's lsns come from, and noticing that they come from another one.

Lsns of two servers do not compare. A topic counts its sources in generations, and a later one's
versions outrank all before; each partition knows the offset where a generation begins.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime

import asyncpg
import msgspec

from nova_stream.errors import UsageError
from nova_stream.events.change import SNAPSHOT_MINOR, Change, Entity, VersionKind
from nova_stream.storage.apply import sql
from nova_stream.storage.apply.fold import Rank, State, rank_of
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.database import Connection, read_committed

#: Why a change of another server than those known is a dead letter.
REASON = "source_moved"

_KNOWN_STATES: dict[Entity, str] = {
    entity: f"""
SELECT id, version_generation, version, version_minor, changed_at, src_partition, src_offset
FROM {table} WHERE id = ANY($1::text[])"""  # noqa: S608 - made from our own constants
    for entity, table in TABLES.items()
}

#: $1 topics, $2 partitions, $3 highest lsns, $4 how many sources have begun after the first and $5
#: where the last one did.
_KEEP_SOURCES = """
UPDATE stream_positions s
SET lsn_high = u.high,
    source_offsets = s.source_offsets
        || array_fill(u.begun, ARRAY[greatest(u.sources - cardinality(s.source_offsets), 0)])
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[], $5::bigint[])
    AS u (topic, partition, high, sources, begun)
WHERE s.topic = u.topic AND s.partition = u.partition
    AND (s.lsn_high, cardinality(s.source_offsets)) IS DISTINCT FROM (u.high, u.sources)
"""

#: The first record of each partition that waits for the operator's word.
_NOTICED = f"""
SELECT d.topic, d.partition, min(d."offset") AS first, min(d.failed_at) AS noticed_at,
    count(*) AS letters
FROM dead_letters d JOIN stream_topics t USING (topic, generation)
WHERE d.state = 'open' AND d.reason = '{REASON}'
"""  # noqa: S608 - made from our own constants
_ALL_NOTICED = f"{_NOTICED} GROUP BY 1, 2 ORDER BY 1, 2"

_KIND = "SELECT version_kind, generation FROM stream_topics WHERE topic = $1 FOR UPDATE"
#: $1 topic.
_NEXT_SOURCE = """
UPDATE stream_topics SET source_generation = source_generation + 1
WHERE topic = $1 RETURNING source_generation
"""
#: $1 topic, $2 the generation that begins. Where it has been noticed, reading goes back to there.
_BEGIN_SOURCE = f"""
WITH noticed AS ({_NOTICED} AND d.topic = $1 GROUP BY 1, 2)
UPDATE stream_positions s SET
    source_generation = $2,
    source_offsets = CASE WHEN n.first IS NULL THEN s.source_offsets ELSE s.source_offsets
        || array_fill(n.first, ARRAY[$2::int - cardinality(s.source_offsets)]) END,
    lsn_high = CASE WHEN n.first IS NULL THEN s.lsn_high END,
    next_offset = least(s.next_offset, n.first), epoch = s.epoch + 1, updated_at = now()
FROM stream_positions p LEFT JOIN noticed n USING (topic, partition)
WHERE s.topic = $1 AND p.topic = s.topic AND p.partition = s.partition
RETURNING s.partition, n.first
"""  # noqa: S608 - made from our own constants
#: $1 topic, $2 its generation, $3 partitions, $4 offsets from which on they are read again.
_READ_AGAIN = f"""
UPDATE dead_letters d SET state = 'retried', attempts = attempts + 1
FROM unnest($3::int[], $4::bigint[]) AS u (partition, first)
WHERE d.topic = $1 AND d.generation = $2 AND d.state = 'open' AND d.reason = '{REASON}'
    AND d.partition = u.partition AND d."offset" >= u.first
RETURNING d.id
"""  # noqa: S608 - made from our own constants


#: Of two lsns the lower is of another server for sure when it is less than half of the other and so
#: many bytes of log lie between them, even where the times do not tell.
_FAR = 2**24

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

    def rank(self, change: Change) -> None:
        """Give a change its source's generation: the stated one, else that of its place.

        A repair that was compared with the announced source begins it: what stands behind it is of
        that source too, and must not rank below the repair.
        """
        stated = change.source_generation
        if stated is not None:
            if change.origin is None and len(self.offsets) < min(stated, self.generation):
                self.begin(change.offset)
            change.rank_generation = min(stated, self.generation)
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
    return Source(row["source_generation"], list(row["source_offsets"]), row["lsn_high"])


def seems_moved(change: Change, known: Rank, at: datetime) -> bool:
    """Whether a change cannot be of the server that ``known`` comes from, which is of time ``at``.

    A server writes a later change of the same row at a higher lsn, and a repetition has the time
    that it had. A snapshot's row has the time when it was read, which may be after changes that
    are newer: there, and where the times are equal or unknown, the lsn must be far lower too.
    """
    rank = rank_of(change)
    if not _is_of_source(change) or rank[:2] >= known[:2]:
        return False
    if change.timed and change.changed_at < at:
        return False
    if change.timed and change.changed_at > at and (change.minor == 0 or rank[0] < known[0]):
        return True
    return change.number * 2 < known.number and known.number - change.number > _FAR


async def known_states(
    connection: Connection, entity: Entity, ids: Iterable[str]
) -> dict[str, tuple[State, datetime]]:
    """What is stored of documents, with the times of the changes."""
    rows = await connection.fetch(_KNOWN_STATES[entity], sorted(set(ids)))
    return {
        row["id"]: (
            State(
                Rank(row["version_generation"], row["version"], row["version_minor"]),
                row["src_partition"],
                row["src_offset"],
            ),
            row["changed_at"],
        )
        for row in rows
    }


async def keep(connection: Connection, found: list[tuple[str, int, Source]]) -> None:
    """Store what a flush knows of the sources of its partitions, which are locked."""
    await connection.execute(
        _KEEP_SOURCES,
        [topic for topic, _, _ in found],
        [partition for _, partition, _ in found],
        [source.high for _, _, source in found],
        [len(source.offsets) for _, _, source in found],
        [source.offsets[-1] if source.offsets else None for _, _, source in found],
    )


class MovedSource(msgspec.Struct, frozen=True):
    """A partition whose records seem to come from another server: the first one, when that was
    noticed, and how many there are.
    """

    topic: str
    partition: int
    offset: int
    noticed_at: datetime
    letters: int


async def noticed(connection: Connection) -> list[MovedSource]:
    """All partitions that wait for the operator's word, by topic."""
    return [MovedSource(*row) for row in await connection.fetch(_ALL_NOTICED)]


class NewSource(msgspec.Struct, frozen=True, rename="camel"):
    """A source that was begun: its generation, the partitions that are read again with the offset
    from which on, and how many dead letters that settles.
    """

    topic: str
    generation: int
    read_again: dict[int, int]
    letters: int


async def begin_source(connection: Connection, topic: str, log_starts: dict[int, int]) -> NewSource:
    """Let the lsns of a topic's next source outrank all before.

    Where its records have been noticed, reading goes back to the first of them; elsewhere it begins
    with the first that is noticed. Dead letters stay open of what the log has no longer
    (``log_starts``, by partition). Raises UsageError where versions are no lsns, and what asyncpg
    raises.
    """
    async with read_committed(connection):
        await connection.execute(sql.LOCK_TOPIC_POSITIONS, topic)
        row = await connection.fetchrow(_KIND, topic)
        if row is None or row["version_kind"] != VersionKind.LSN:
            kind = "unknown" if row is None or row["version_kind"] is None else row["version_kind"]
            raise UsageError(
                f"the versions of {topic} are of kind {kind}; only lsns belong to a server"
            )
        generation = await connection.fetchval(_NEXT_SOURCE, topic)
        rows = await connection.fetch(_BEGIN_SOURCE, topic, generation)
        again = {r["partition"]: r["first"] for r in rows if r["first"] is not None}
        firsts = [max(first, log_starts.get(p, first)) for p, first in again.items()]
        settled = await connection.fetch(_READ_AGAIN, topic, row["generation"], list(again), firsts)
    return NewSource(topic, generation, again, len(settled))


def _is_of_source(change: Change) -> bool:
    """Whether the source's own connector wrote it, with an lsn."""
    return (
        change.kind is VersionKind.LSN
        and (change.source_generation is None or change.origin is not None)
        and change.minor in (0, SNAPSHOT_MINOR)
        and change.number > 0
    )
