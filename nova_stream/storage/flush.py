"""The flush: one transaction that applies all waiting chunks exactly once (design section 2)."""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from nova_stream.events.change import COLUMNS, Change, Entity, VersionKind
from nova_stream.stats.fold import newest, rank_offset
from nova_stream.storage import dead_letters, sql, unavailable
from nova_stream.storage.chunk import Chunk
from nova_stream.storage.dead_letters import DeadLetter, dead_letter

_LOCKS = 256


class RereadError(Exception):
    """A chunk cannot be applied as it was read; ``key`` names its topic and partition."""

    def __init__(self, key: tuple[str, int], message: str) -> None:
        super().__init__(message)
        self.key = key


class GapError(RereadError):
    """A chunk begins above its partition's position."""


class GenerationError(RereadError):
    """A chunk comes from an earlier life of a topic that has been made again since."""


class Position(msgspec.Struct):
    """Where a partition stands in Postgres."""

    generation: int
    next_offset: int
    epoch: int


class Applied(msgspec.Struct):
    """What a flush did with one chunk.

    ``partials`` are the partition's partials that changed, by agent ('' for builds), as the
    figures that now stand in Postgres; with ``complete`` they are all that Postgres has.
    """

    next_offset: int
    epoch: int
    changes: int = 0
    dead: int = 0
    complete: bool = False
    partials: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)


class _Admitted(msgspec.Struct):
    chunk: Chunk
    changes: list[Change]
    dead: list[DeadLetter]
    applied: Applied


class Flush:
    """Applies chunks in one transaction on ``connection``.

    ``expected`` is what this worker believes of each partition, (next offset, epoch): where
    Postgres says otherwise, somebody else has been here and the partials come back complete.
    Raises GapError, GenerationError, or what asyncpg raises; then nothing was applied.
    """

    def __init__(
        self,
        connection: asyncpg.Connection[Any],
        chunks: Sequence[Chunk],
        expected: dict[tuple[str, int], tuple[int, int]],
    ) -> None:
        self._connection = connection
        self._chunks = sorted(chunks, key=lambda chunk: chunk.key)
        self._expected = expected
        self._names: set[str] = set()
        self._agent_ids: list[str] = []
        self._builds_moved = False

    async def run(self) -> list[Applied]:
        """Apply and commit; gives one result a chunk, in the order of the chunks given sorted by
        topic and partition.
        """
        connection = self._connection
        await connection.execute(sql.BEGIN)
        try:
            admitted = await self._admit()
            for entity in Entity:
                await self._apply(entity, [a for a in admitted if a.chunk.entity is entity])
            await self._refresh_caches()
            await self._finish(admitted)
            await connection.execute(sql.COMMIT)
        except BaseException:
            if not connection.is_closed():
                await connection.execute(sql.ROLLBACK)
            raise
        return [a.applied for a in admitted]

    async def _admit(self) -> list[_Admitted]:
        topics = [chunk.topic for chunk in self._chunks]
        partitions = [chunk.partition for chunk in self._chunks]
        rows = await self._connection.fetch(sql.LOCK_POSITIONS, topics, partitions)
        found = {(row["topic"], row["partition"]): row for row in rows}
        kinds = {row["topic"]: row["version_kind"] for row in rows}
        admitted = []
        for chunk in self._chunks:
            row = found.get(chunk.key)
            if row is None:
                raise GapError(chunk.key, "the position is gone")
            if chunk.generation != row["generation"]:
                raise GenerationError(chunk.key, f"{chunk.topic} has been made again")
            position = row["next_offset"]
            if position < chunk.start:
                raise GapError(chunk.key, f"the chunk begins at {chunk.start}, not at {position}")
            kinds[chunk.topic] = kinds[chunk.topic] or await self._fix_kind(chunk, position)
            admitted.append(self._admit_chunk(chunk, row, kinds[chunk.topic]))
        return admitted

    async def _fix_kind(self, chunk: Chunk, position: int) -> str | None:
        first = next((c for c in chunk.changes if c.offset >= position), None)
        if first is None:
            return None
        kind: str = await self._connection.fetchval(
            sql.FIX_VERSION_KIND, chunk.topic, first.kind.value
        )
        return kind

    def _admit_chunk(self, chunk: Chunk, row: asyncpg.Record, kind: str | None) -> _Admitted:
        position = row["next_offset"]
        changes = chunk.changes
        if position > chunk.start:
            changes = [change for change in changes if change.offset >= position]
        dead = [letter for letter in chunk.dead if letter.offset >= position]
        if kind is not None and _has_other(changes, kind):
            others = [change for change in changes if change.kind != kind]
            dead += [_other_kind(chunk, change, kind) for change in others]
            changes = [change for change in changes if change.kind == kind]
        if kind == VersionKind.OFFSET and chunk.generation:
            for change in changes:
                rank_offset(change, chunk.generation)
        applied = Applied(
            next_offset=max(position, chunk.end),
            epoch=row["epoch"],
            changes=len(changes),
            dead=len(dead),
            complete=self._expected.get(chunk.key) != (position, row["epoch"]),
        )
        return _Admitted(chunk=chunk, changes=changes, dead=dead, applied=applied)

    async def _apply(self, entity: Entity, admitted: list[_Admitted]) -> None:
        # One statement a topic: an entity has one topic, unless the setting was changed.
        kept = await self._kept(entity, admitted)
        if not kept:
            return
        changes = [kept[id_] for id_ in sorted(kept, key=str.encode)]
        columns = _columns(entity, changes)
        topic = admitted[0].chunk.topic
        by_partition = {a.chunk.partition: a.applied for a in admitted}
        fetch = self._connection.fetch
        match entity:
            case Entity.TASKS | Entity.EXECUTIONS:
                for row in await fetch(sql.UPSERT[entity], *columns, topic):
                    figures = dict(row)
                    agent = figures.pop("agent")
                    by_partition[figures.pop("partition")].partials[agent] = figures
                    self._names.add(agent)
            case Entity.BUILDS:
                for row in await fetch(sql.UPSERT[entity], *columns, topic):
                    figures = dict(row)
                    by_partition[figures.pop("partition")].partials[""] = figures
                    self._builds_moved = True
            case Entity.AGENTS:
                for row in await fetch(sql.UPSERT[entity], *columns):
                    self._agent_ids.append(row["id"])
                    self._names |= {n for n in (row["old_name"], row["new_name"]) if n is not None}
            case _:
                await self._connection.execute(sql.UPSERT[entity], *columns)

    async def _kept(self, entity: Entity, admitted: list[_Admitted]) -> dict[str, Change]:
        """The newest change of each document, completed; what cannot be counted becomes a dead
        letter.
        """
        while True:
            everything = [change for a in admitted for change in a.changes]
            kept = newest(everything)
            lacking = await unavailable.complete(self._connection, entity, everything, kept)
            if not lacking:
                return kept
            for change in lacking:
                a = next(a for a in admitted if a.chunk.partition == change.partition)
                a.changes = [other for other in a.changes if other is not change]
                a.dead = [*a.dead, _unknown(a.chunk, entity, change)]
                a.applied.changes -= 1
                a.applied.dead += 1

    async def _refresh_caches(self) -> None:
        connection = self._connection
        names = sorted(self._names)
        if names:
            keys = sorted({zlib.crc32(name.encode()) % _LOCKS for name in names})
            await connection.execute(sql.LOCK_AGENTS, keys)
        if self._builds_moved:
            await connection.execute(sql.LOCK_BUILDS)
        # New statements from here on: they see what the transactions before us committed.
        if self._agent_ids:
            await connection.execute(sql.DROP_AGENTS_FROM_CACHE, self._agent_ids)
        if names:
            await connection.execute(sql.REFRESH_AGENTS, names)
        if self._builds_moved:
            await connection.execute(sql.REFRESH_BUILDS)

    async def _finish(self, admitted: list[_Admitted]) -> None:
        connection = self._connection
        dead = [letter for a in admitted for letter in a.dead]
        if dead:
            await dead_letters.insert(connection, dead)
        for a in admitted:
            if a.applied.complete:
                a.applied.partials = await read_partials(
                    connection, a.chunk.entity, a.chunk.topic, a.chunk.partition
                )
        await connection.execute(
            sql.MOVE_POSITIONS,
            [a.chunk.topic for a in admitted],
            [a.chunk.partition for a in admitted],
            [a.applied.next_offset for a in admitted],
        )


async def read_partials(
    connection: asyncpg.Connection[Any], entity: Entity, topic: str, partition: int
) -> dict[str, dict[str, Any]]:
    """All partials of a partition as Postgres has them, by agent ('' for builds)."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    if entity in (Entity.TASKS, Entity.EXECUTIONS):
        for row in await connection.fetch(sql.AGENT_PARTIALS_OF, topic, partition):
            figures = dict(row)
            found[figures.pop("agent")] = figures
    elif entity is Entity.BUILDS:
        for row in await connection.fetch(sql.BUILD_PARTIALS_OF, topic, partition):
            found[""] = dict(row)
    return dict(found)


def _columns(entity: Entity, changes: list[Change]) -> list[list[Any]]:
    columns: list[list[Any]] = [
        [c.id for c in changes],
        [c.number for c in changes],
        _unless_all([c.minor for c in changes], 0),
        [c.changed_at for c in changes],
        _unless_all([c.deleted for c in changes], usual=False),
        [c.partition for c in changes],
        [c.offset for c in changes],
        [c.doc for c in changes],
    ]
    values = [c.values for c in changes]
    columns.extend([row[place] for row in values] for place in range(len(COLUMNS[entity])))
    return columns


def _unknown(chunk: Chunk, entity: Entity, change: Change) -> DeadLetter:
    return dead_letter(
        chunk.topic,
        chunk.partition,
        chunk.generation,
        chunk.record_at(change.offset),
        "missing_field",
        f"$.after.{unavailable.missing(entity, change)} was left out as unchanged, and no value "
        "of it is known: publish the whole document once (op r)",
    )


def _has_other(changes: list[Change], kind: str) -> bool:
    return [change.kind for change in changes].count(kind) != len(changes)  # type: ignore[arg-type]


def _unless_all(values: list[Any], usual: object) -> list[Any]:
    """The values, or none of them where all are what the statement takes for a missing one."""
    return [] if values.count(usual) == len(values) else values


def _other_kind(chunk: Chunk, change: Change, kind: str) -> DeadLetter:
    return dead_letter(
        chunk.topic,
        chunk.partition,
        chunk.generation,
        chunk.record_at(change.offset),
        "version_kind",
        f"the record's version is of kind {change.kind.value}, this topic's versions are of "
        f"kind {kind}: publish all changes of a topic with one kind of version",
    )
