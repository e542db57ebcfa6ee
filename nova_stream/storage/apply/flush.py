"""The flush: one transaction that applies waiting chunks of many partitions exactly once."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from nova_stream.events.change import COLUMNS, Change, Entity, VersionKind
from nova_stream.storage import locks
from nova_stream.storage.apply import (
    deletions,
    figures_sql,
    finishes,
    missing_fields,
    mixed_offsets,
    moves,
    snapshot_rows,
    sources,
    sql,
    together,
    truncations,
    upserts_sql,
)
from nova_stream.storage.apply.admission import (
    Admission,
    AdmittedChunk,
    AppliedChunk,
    Partial,
    by_topic,
)
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.apply.flat_array import FlatArray
from nova_stream.storage.apply.fold import newest, newest_by_lsn
from nova_stream.storage.database import Connection
from nova_stream.storage.dead_letters import insert as dead_letters


class Flush:
    """Applies chunks in one transaction on ``connection``.

    ``expected`` is what this worker believes of each partition, (next offset, epoch): where
    Postgres says otherwise, somebody else has been here and the partials come back complete.
    Raises GapError, GenerationError, or what asyncpg raises; then nothing was applied, but for a
    part of what a truncation of a large entity takes, in transactions of their own.
    """

    def __init__(
        self,
        connection: Connection,
        chunks: Sequence[Chunk],
        expected: dict[tuple[str, int], tuple[int, int]],
        *,
        step_rows: int = truncations.STEP_ROWS,
    ) -> None:
        self._connection = connection
        self._chunks = sorted(chunks, key=lambda chunk: chunk.key)
        self._expected = expected
        self._step_rows = step_rows
        #: The last id that a truncation has taken, by its topic, partition and offset.
        self._emptied: dict[tuple[str, int, int], str] = {}
        #: Partials that were moved.
        self._by_tasks: list[asyncpg.Record] = []
        self._by_executions: list[asyncpg.Record] = []
        #: Agents that changed, and the names that they have and had.
        self._agent_ids: list[str] = []
        self._agent_names: set[str] = set()
        self._builds_moved = False

    async def run(self) -> list[AppliedChunk]:
        """Apply and commit; gives one result a chunk, in the order of the chunks given sorted by
        topic and partition.
        """
        while True:
            admitted = await self._transaction()
            if admitted is not None:
                return [a.applied for a in admitted]

    async def _transaction(self) -> list[AdmittedChunk] | None:
        """Apply everything; None when only a part of a truncation was."""
        connection = self._connection
        self._by_tasks, self._by_executions = [], []
        self._agent_ids, self._agent_names, self._builds_moved = [], set(), False
        await connection.execute(sql.BEGIN)
        try:
            admitted = await Admission(connection, self._chunks, self._expected).admit()
            whole = await self._truncate([a for a in admitted if a.truncations])
            if whole:
                for some in by_topic(admitted):
                    await self._apply(some)
            await self._end(*[await self._finish(admitted)] if whole else ())
        except BaseException:
            # On a connection that broke it fails, which must not hide a cancellation.
            with contextlib.suppress(Exception):
                await connection.execute(sql.ROLLBACK)
            raise
        return admitted if whole else None

    async def _truncate(self, admitted: list[AdmittedChunk]) -> bool:
        """Empty entities as of their truncations; False when more is left of one."""
        rows = self._step_rows
        for a in admitted:
            a.applied.complete = True
            for truncation in a.truncations:
                key = (*a.chunk.key, truncation.offset)
                after = self._emptied.get(key, "")
                entity, topic = a.chunk.entity, a.chunk.topic
                ids = await truncations.take(self._connection, entity, truncation, after, rows)
                if ids:
                    moved = await truncations.empty(
                        self._connection, entity, truncation, topic, ids
                    )
                    self._note_moves(entity, moved, {})
                    self._emptied[key] = ids[-1]
                rows -= len(ids)
                if rows <= 0:
                    await self._connection.execute(truncations.RAISE_EPOCHS, topic)
                    return False
        return True

    async def _apply(self, admitted: list[AdmittedChunk]) -> None:
        """Write what chunks of one topic change."""
        entity, topic = admitted[0].chunk.entity, admitted[0].chunk.topic
        await deletions.place(self._connection, entity, admitted)
        passed: list[Change] = []
        kept = await self._kept(entity, admitted, passed)
        if not kept:
            return
        await mixed_offsets.find(self._connection, entity, admitted, kept)
        changes = [kept[id_] for id_ in sorted(kept)]
        by_lsn = admitted[0].kind is VersionKind.LSN
        upsert = (upserts_sql.UPSERT_BY_LSN if by_lsn else upserts_sql.UPSERT)[entity]
        columns = _columns(entity, changes, by_lsn=by_lsn)
        steps = None
        if entity is Entity.TASKS:
            since, steps = finishes.steps(passed, kept)
            columns.append(FlatArray([since.get(c.id) for c in changes] if since else []))
        more = upserts_sql.behind_arrays(entity, topic, steps)
        rows = await self._connection.fetch(upsert, *columns, *more)
        self._note_moves(entity, rows, {a.chunk.partition: a.applied for a in admitted})

    def _note_moves(
        self, entity: Entity, rows: list[asyncpg.Record], by_partition: dict[int, AppliedChunk]
    ) -> None:
        """Remember which caches are to be refreshed, and what the partials have become."""
        match entity:
            case Entity.TASKS:
                self._by_tasks += rows
            case Entity.EXECUTIONS:
                self._by_executions += rows
            case Entity.BUILDS:
                self._builds_moved |= bool(rows)
            case Entity.AGENTS:
                for row in rows:
                    self._agent_ids.append(row["id"])
                    self._agent_names |= {row["old_name"], row["new_name"]} - {None}
                return
        for row in rows:
            if (applied := by_partition.get(row["partition"])) is not None:
                applied.partials["" if entity is Entity.BUILDS else row["agent"]] = row

    async def _kept(
        self, entity: Entity, admitted: list[AdmittedChunk], passed: list[Change]
    ) -> dict[str, Change]:
        """The newest change of each document, completed; what cannot be counted becomes a dead
        letter. ``passed`` gets the older ones, as ``newest`` gives them.
        """
        by_lsn = admitted[0].kind is VersionKind.LSN
        while True:
            everything = [change for a in admitted for change in a.changes]
            passed.clear()
            kept = newest_by_lsn(everything, passed) if by_lsn else newest(everything, passed)
            if by_lsn and await moves.find(self._connection, entity, admitted, kept):
                continue
            if by_lsn:
                await snapshot_rows.complete_stored(self._connection, entity, kept)
            found = await missing_fields.complete(self._connection, entity, everything, kept)
            chunks = {a.chunk.partition: a for a in admitted}
            if not found.uncountable:
                for change in found.incomplete:
                    chunks[change.partition].applied.incomplete += 1
                return kept
            for change, column in found.uncountable:
                chunks[change.partition].bury(change, "missing_field", _unknown(column))

    async def _end(self, *more: together.Part) -> None:
        """Refresh the caches of what has moved, and commit; ``more`` is done with that."""
        renewed = self._agent_names
        tasks = _added(self._by_tasks, figures_sql.ADDED_BY_TASKS, renewed)
        executions = _added(self._by_executions, figures_sql.ADDED_BY_EXECUTIONS, renewed, "newest")
        keys = locks.names(renewed.union(tasks[0], executions[0]))
        if self._builds_moved:
            keys.append(locks.BUILDS)
        parts: list[together.Part] = []
        if touched := _touched(self._by_executions):
            parts.append((figures_sql.OPEN_DAYS, list(touched), list(touched.values())))
        if self._agent_ids:
            parts.append((figures_sql.DROP_AGENTS_FROM_CACHE, self._agent_ids))
        if renewed:
            parts.append((figures_sql.REFRESH_AGENTS, sorted(renewed)))
        if tasks[0] or executions[0]:
            # It writes no row that the one before writes: who has, or had until now, one of a
            # changed agent's names is no matter of this one.
            parts.append((figures_sql.ADD_TO_AGENTS, *tasks, *executions))
        if self._builds_moved:
            parts.append((figures_sql.REFRESH_BUILDS,))
        parts += more
        # A step of their own: once they are locked, what others committed is seen.
        locked: list[together.Part] = [(figures_sql.LOCK_FIGURES, keys)] if keys else []
        await together.commit(self._connection, *[step for step in (locked, parts) if step])

    async def _finish(self, admitted: list[AdmittedChunk]) -> together.Part:
        """All else that is written once everything is applied; gives what moves the positions."""
        connection = self._connection
        dead = [letter for a in admitted for letter in a.dead]
        if dead:
            await dead_letters.insert(connection, dead)
        for a in admitted:
            if a.applied.complete:
                a.applied.partials = await read_partials(
                    connection, a.chunk.entity, a.chunk.topic, a.chunk.partition
                )
        by_lsn = [a for a in admitted if a.kind is VersionKind.LSN]
        if by_lsn:
            await sources.keep(connection, [(*a.chunk.key, a.source) for a in by_lsn])
        await mixed_offsets.note(connection, {a.chunk.topic for a in admitted if a.applied.mixed})
        return (
            sql.MOVE_POSITIONS,
            [a.chunk.topic for a in admitted],
            [a.chunk.partition for a in admitted],
            [a.applied.next_offset for a in admitted],
            [a.chunk.records_end for a in admitted],
        )


async def read_partials(
    connection: Connection, entity: Entity, topic: str, partition: int
) -> dict[str, Partial]:
    """All partials of a partition as Postgres has them, by agent ('' for builds)."""
    if entity in (Entity.TASKS, Entity.EXECUTIONS):
        rows = await connection.fetch(figures_sql.AGENT_PARTIALS_OF, topic, partition)
        return {row["agent"]: row for row in rows}
    if entity is Entity.BUILDS:
        row = await connection.fetchrow(figures_sql.BUILD_PARTIALS_OF, topic, partition)
        return {} if row is None else {"": row}
    return {}


def _columns(entity: Entity, changes: list[Change], *, by_lsn: bool) -> list[str | FlatArray]:
    columns: list[Sequence[Any]] = [
        [c.id for c in changes],
        [c.number for c in changes],
        _unless_all([c.minor for c in changes], 0),
        [c.changed_ms for c in changes],
        _unless_all([c.deleted for c in changes], usual=False),
        [c.partition for c in changes],
        [c.place for c in changes] if by_lsn else [c.offset for c in changes],
    ]
    typed = list(zip(*[c.values for c in changes], strict=True))
    if len(typed) != len(COLUMNS[entity]):
        raise ValueError(f"{len(typed)} typed columns")
    columns.extend(typed)
    if by_lsn:
        columns.append([c.rank_generation for c in changes])
    return [_lines([c.doc for c in changes]), *map(FlatArray, columns)]


def _touched(executions: list[asyncpg.Record]) -> dict[str, datetime]:
    """The first time from which the executions of a name differ."""
    found: dict[str, datetime] = {}
    for row in executions:
        agent, touched = row["agent"], row["touched"]
        if touched is not None:
            found[agent] = min(touched, found.get(agent, touched))
    return found


def _added(
    partials: list[asyncpg.Record], figures: tuple[str, ...], renewed: set[str], *more: str
) -> list[list[Any]]:
    """Names but for the renewed ones, what was added to each figure of theirs, and more columns."""
    rows = [row for row in partials if row["agent"] not in renewed]
    columns = ("agent", *(f"added_{figure}" for figure in figures), *more)
    return [[row[column] for row in rows] for column in columns]


def _lines(documents: list[str | None]) -> str:
    """The documents, a line each: one long text costs asyncpg a fifth of an array of them."""
    lines = [document or "" for document in documents]
    text = "\n".join(lines)
    if text.count("\n") >= len(lines):
        # In JSON a line break is nothing but a space between two words.
        return "\n".join([line.replace("\n", " ") for line in lines])
    return text


def _unknown(column: str) -> str:
    return (
        f"$.after.{column} was left out as unchanged, and no value of it is known: publish the "
        "whole document once (op r)"
    )


def _unless_all(values: list[Any], usual: object) -> list[Any]:
    """The values, or none of them where all are what the statement takes for a missing one."""
    return [] if values.count(usual) == len(values) else values
