"""Which records of a chunk count: not applied yet, of the topic's kind, and in their order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeAlias

import asyncpg
import msgspec

from nova_stream.errors import GapError, GenerationError
from nova_stream.events.change import SNAPSHOT_MINOR, Change, Entity, VersionKind
from nova_stream.storage.apply import sql, truncations
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.apply.fold import rank_lsn, rank_offset
from nova_stream.storage.apply.positions import version_kinds
from nova_stream.storage.apply.sources import ADVICE, REASON, Source, seems_moved, source_of
from nova_stream.storage.apply.truncations import Floor
from nova_stream.storage.database import Connection
from nova_stream.storage.dead_letters.insert import FailedRecord, dead_letter

#: A row of partials.
Partial: TypeAlias = Mapping[str, Any] | asyncpg.Record


class AppliedChunk(msgspec.Struct):
    """What a flush did with one chunk.

    ``partials`` are the partition's partials that changed, by agent ('' for builds), rows with the
    figures that now stand in Postgres, exact decimals as text; with ``complete`` they are all that
    Postgres has.
    """

    next_offset: int
    epoch: int
    changes: int = 0
    dead: int = 0
    #: Changes among the dead letters that seem to come from another server than those known.
    moved: int = 0
    #: Changes that left out fields as unchanged of which nothing is known.
    incomplete: int = 0
    #: Whether its topic was found, for the first time, to have entities in several partitions
    #: although its versions are offsets.
    mixed: bool = False
    complete: bool = False
    partials: dict[str, Partial] = msgspec.field(default_factory=dict)


class AdmittedChunk(msgspec.Struct):
    """A chunk with what counts of it, and what is known of its partition."""

    chunk: Chunk
    changes: list[Change]
    dead: list[FailedRecord]
    applied: AppliedChunk
    kind: VersionKind | None
    source: Source
    #: Whether it is known that offsets are mixed which do not compare.
    noted: bool = False
    truncations: list[Change] = msgspec.field(default_factory=list)
    #: Deletions of flattened records that have only an offset, where versions are none.
    unversioned: list[Change] = msgspec.field(default_factory=list)

    def bury(self, change: Change, reason: str, message: str) -> None:
        """Make a dead letter of a change."""
        self.changes = [other for other in self.changes if other is not change]
        self.dead = [*self.dead, letter_of(self.chunk, change, reason, message)]
        self.applied.changes -= 1
        self.applied.dead += 1

    def take_up_move(self, changes: list[Change]) -> None:
        """Begin the announced source with the first of these changes, which are of another server
        than those known, or make dead letters of them.
        """
        if self.source.announced:
            self.source.begin(min(change.offset for change in changes))
            for change in self.changes:
                self.source.rank(change)
            return
        self.applied.moved += len(changes)
        for change in changes:
            self.bury(change, REASON, ADVICE.format(topic=self.chunk.topic))


class Admission:
    """Locks the positions of chunks in order and admits what is not applied yet.

    Where a chunk has a truncation, all partitions of its topic are locked.
    """

    def __init__(
        self,
        connection: Connection,
        chunks: list[Chunk],
        expected: dict[tuple[str, int], tuple[int, int]],
    ) -> None:
        self._connection = connection
        self._chunks = chunks
        self._expected = expected
        self._rows: dict[tuple[str, int], asyncpg.Record] = {}
        self._flattened: set[str] = set()

    async def admit(self) -> list[AdmittedChunk]:
        """What each chunk asks for; raises GapError or GenerationError."""
        self._rows = await self._lock()
        for chunk in self._chunks:
            self._check(chunk)
        kinds = await self._learn_topics()
        for chunk in self._chunks:
            kinds[chunk.topic] = kinds[chunk.topic] or await self._fix_kind(chunk)
        for chunk in self._chunks:
            await self._notice_flattening(chunk, kinds[chunk.topic])
        admitted = [self._admit_chunk(chunk, kinds[chunk.topic]) for chunk in self._chunks]
        await self._keep_floors(admitted)
        return admitted

    def _check(self, chunk: Chunk) -> None:
        row = self._rows.get(chunk.key)
        if row is None:
            raise GapError(chunk.key, "the position is gone")
        if chunk.generation != row["generation"]:
            raise GenerationError(chunk.key, f"{chunk.topic} has been recreated")
        position = row["next_offset"]
        if position < chunk.start:
            raise GapError(chunk.key, f"the chunk begins at {chunk.start}, not at {position}")

    def _position(self, chunk: Chunk) -> int:
        position: int = self._rows[chunk.key]["next_offset"]
        return position

    async def _learn_topics(self) -> dict[str, str | None]:
        """The kinds of the topics' versions, and which topics are flattened.

        What came with the positions is of the moment before they were waited for: what another
        flush may have fixed since is read again.
        """
        kinds: dict[str, str | None] = {
            row["topic"]: row["version_kind"] for row in self._rows.values()
        }
        self._flattened = {row["topic"] for row in self._rows.values() if row["flattened"]}
        unsettled = {
            chunk.topic
            for chunk in self._chunks
            if kinds[chunk.topic] is None
            or (chunk.topic not in self._flattened and (chunk.tombstones or chunk.dead_tombstones))
        }
        if unsettled:
            rows = await self._connection.fetch(sql.READ_TOPICS, sorted(unsettled))
            kinds |= {row["topic"]: row["version_kind"] for row in rows}
            self._flattened |= {row["topic"] for row in rows if row["flattened"]}
        return kinds

    async def _lock(self) -> dict[tuple[str, int], asyncpg.Record]:
        topics = [chunk.topic for chunk in self._chunks]
        partitions = [chunk.partition for chunk in self._chunks]
        emptied = {chunk.topic for chunk in self._chunks if chunk.truncates}
        if emptied:
            statement, more = sql.LOCK_TOPICS, [sorted(emptied)]
        else:
            statement, more = sql.LOCK_POSITIONS, []
        rows = await self._connection.fetch(statement, topics, partitions, *more)
        return {(row["topic"], row["partition"]): row for row in rows}

    async def _fix_kind(self, chunk: Chunk) -> str | None:
        position = self._position(chunk)
        given = (c for c in chunk.changes if c.offset >= position and not _is_unversioned(c))
        first = next(given, None)
        if first is None:
            return None
        kind: str | None = await self._connection.fetchval(
            sql.FIX_VERSION_KIND, chunk.topic, first.kind.value
        )
        # Nothing: another flush has fixed it since ours looked, and that kind counts.
        return kind or (await version_kinds(self._connection, [chunk.topic])).get(chunk.topic)

    async def _notice_flattening(self, chunk: Chunk, kind: str | None) -> None:
        """Remember for good that a topic has flattened records, so that tombstones delete."""
        if chunk.plain or chunk.topic in self._flattened:
            return
        position = self._position(chunk)
        shown = [c for c in chunk.changes if c.flattened and (c.deleted or c.kind == kind)]
        shown += [change for change in chunk.tombstones if change.flattened]
        if any(c.offset >= position for c in shown):
            await self._connection.execute(sql.SET_FLATTENED, chunk.topic)
            self._flattened.add(chunk.topic)

    def _admit_chunk(self, chunk: Chunk, kind: str | None) -> AdmittedChunk:
        row = self._rows[chunk.key]
        position = row["next_offset"]
        changes = chunk.changes
        if position > chunk.start:
            changes = [change for change in changes if change.offset >= position]
        dead = [letter for letter in chunk.dead if letter.offset >= position]
        unversioned: list[Change] = []
        if chunk.topic in self._flattened:
            changes, unversioned = _with_deletions(chunk, changes, position, kind)
            dead += [letter for letter in chunk.dead_tombstones if letter.offset >= position]
        if kind is not None and _has_other(changes, kind):
            changes = [_of_kind(change, kind) for change in changes]
            others = [change for change in changes if change.kind != kind]
            dead += [_other_kind(chunk, change, kind) for change in others]
            changes = [change for change in changes if change.kind == kind]
        source = source_of(row)
        if kind == VersionKind.OFFSET and chunk.generation:
            for change in changes:
                rank_offset(change, chunk.generation)
        elif kind == VersionKind.LSN:
            for change in changes:
                rank_lsn(change, chunk.generation)
                source.rank(change)
        applied = AppliedChunk(
            next_offset=max(position, chunk.end),
            epoch=row["epoch"],
            changes=len(changes),
            dead=len(dead),
            complete=self._expected.get(chunk.key) != (position, row["epoch"]),
        )
        return AdmittedChunk(
            chunk=chunk,
            changes=changes,
            dead=dead,
            applied=applied,
            source=source,
            kind=None if kind is None else VersionKind(kind),
            noted=row["mixed"],
            unversioned=unversioned,
        )

    async def _keep_floors(self, admitted: list[AdmittedChunk]) -> None:
        """Leave out what truncations of before and of now leave without effect."""
        truncated: dict[str, list[AdmittedChunk]] = defaultdict(list)
        for a in admitted:
            if a.chunk.truncates:
                a.truncations = [change for change in a.changes if change.truncates]
                if a.truncations:
                    truncated[a.chunk.topic].append(a)
        floors: dict[tuple[str, int], Floor] = {
            key: truncations.read_floor(row["truncation"])
            for key, row in self._rows.items()
            if row["truncation"] is not None
        }
        for topic, some in truncated.items():
            stored = {p: row["truncation"] for (t, p), row in self._rows.items() if t == topic}
            of_now = [change for a in some for change in a.truncations]
            life = some[0].chunk.generation
            noted = await truncations.note(self._connection, topic, life, of_now, stored)
            floors |= {(topic, partition): floor for partition, floor in noted.items()}
        for a in admitted:
            if a.truncations:
                a.changes = [change for change in a.changes if not change.truncates]
            if (floor := floors.get(a.chunk.key)) is not None:
                _keep_above(a, floor)


def _keep_above(a: AdmittedChunk, floor: Floor) -> None:
    """Leave out what is of before a truncation, unless it is of another server."""
    life = a.chunk.generation
    while True:
        below = [change for change in a.changes if not floor.admits(change, life)]
        if not below:
            return
        at, rank = floor.at, floor.rank
        if at is not None and rank is not None:
            moved = [change for change in below if seems_moved(change, rank, at)]
            if moved:
                a.take_up_move(moved)
                continue
        a.changes = [change for change in a.changes if floor.admits(change, life)]
        return


def letter_of(chunk: Chunk, change: Change, reason: str, message: str) -> FailedRecord:
    """The dead letter of a change."""
    record = chunk.record_at(change.offset)
    return dead_letter(chunk.topic, chunk.partition, chunk.generation, record, reason, message)


def by_topic(admitted: list[AdmittedChunk]) -> list[list[AdmittedChunk]]:
    """What was admitted, a topic after the other, in the order in which rows are written."""
    order = list(Entity)
    topics: dict[tuple[int, str], list[AdmittedChunk]] = defaultdict(list)
    for a in admitted:
        topics[order.index(a.chunk.entity), a.chunk.topic].append(a)
    return [topics[key] for key in sorted(topics)]


def _with_deletions(
    chunk: Chunk, changes: list[Change], position: int, kind: str | None
) -> tuple[list[Change], list[Change]]:
    """The changes of a topic of flattened records, its tombstones among them; and the deletions
    that have to be given a version first.
    """
    # Copies: should this try come to nothing, the next one may see another topic.
    tombstones = [
        msgspec.structs.replace(c, flattened=True) for c in chunk.tombstones if c.offset >= position
    ]
    if tombstones:
        changes = sorted([*changes, *tombstones], key=lambda change: change.offset)
    if kind == VersionKind.OFFSET:
        return changes, []
    unversioned = [c for c in changes if _is_unversioned(c)]
    if unversioned:
        changes = [c for c in changes if not _is_unversioned(c)]
    return changes, unversioned


def _is_unversioned(change: Change) -> bool:
    """Whether a flattened record's deletion has only its offset."""
    return (
        change.flattened
        and change.deleted
        and change.kind is VersionKind.OFFSET
        and not change.stated
    )


def _has_other(changes: list[Change], kind: str) -> bool:
    return [change.kind for change in changes].count(kind) != len(changes)  # type: ignore[arg-type]


def _of_kind(change: Change, kind: str) -> Change:
    """The change; a snapshot's row without a version of its own ranks lowest among lsns."""
    if change.snapshot and kind == VersionKind.LSN and not change.stated:
        return msgspec.structs.replace(
            change, kind=VersionKind.LSN, number=0, minor=change.minor + SNAPSHOT_MINOR
        )
    return change


def _other_kind(chunk: Chunk, change: Change, kind: str) -> FailedRecord:
    return letter_of(
        chunk,
        change,
        "version_kind",
        f"the record's version is of kind {change.kind.value}, this topic's versions are of "
        f"kind {kind}: publish all changes of a topic with one kind of version",
    )
