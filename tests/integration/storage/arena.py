"""Delivers a history to real Postgres by flushes at once, and compares after every commit."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import asyncpg

from nova_stream.errors import GapError, GenerationError
from nova_stream.events.change import Entity
from nova_stream.settings import Settings
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.admission import AppliedChunk, Partial
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.apply.figures_sql import BUILD_FIGURES, NAME_FIGURES
from nova_stream.storage.apply.flush import Flush, read_partials
from nova_stream.storage.apply.positions import Position
from nova_stream.storage.audit.sql import RECOUNT_NAMES, SUM_NAMES
from nova_stream.storage.database import Connection, connect, read_committed
from nova_stream.storage.faults import Fault, fault_of
from nova_stream.storage.maintenance import days
from tests.integration.storage.chunks import chunk_of
from tests.integration.storage.histories import ENTITIES, PARTITIONS, History, Log
from tests.integration.storage.range_recount import range_differences
from tests.messages import statements_of
from tests.recount import AgentFigures, BuildFigures, Recount

Key = tuple[str, int]

AGENT_COLUMNS = ", ".join(AgentFigures.__struct_fields__)
AGENT_SUMS = "running_tasks, executions, duration_sum"
BUILD_COLUMNS = ", ".join(BuildFigures.__struct_fields__)
_CLEAN = """
TRUNCATE agents, builds, tasks, executions, agent_stats_cache, agent_stats_partials,
    build_stats_cache, build_stats_partials, execution_days, execution_days_until,
    execution_hours, stream_positions, stream_topics, dead_letters;
INSERT INTO build_stats_cache VALUES (1, 0, 0, 0, 0, 0, 0, NULL, now())
"""


#: How often ranges of time are compared besides: that takes longer than a flush.
_RANGES = 0.1
_DEAD = "SELECT count(*) FROM dead_letters JOIN stream_topics USING (topic, generation)"


async def snapshot_differences(connection: Connection) -> list[str]:
    """Where a cache differs from its recount in one REPEATABLE READ snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        pairs: list[Any] = [
            [
                await connection.fetch(f"SELECT {columns} FROM {table}_{side} ORDER BY 1")
                for side in ("cache", "recount")
            ]
            for table, columns in (
                ("agent_stats", f"{AGENT_COLUMNS}, {AGENT_SUMS}"),
                ("build_stats", BUILD_COLUMNS),
            )
        ]
        pairs.append([await _by_name(connection, each) for each in (SUM_NAMES, RECOUNT_NAMES)])
    return [f"cache {cache}, recount {recount}" for cache, recount in pairs if cache != recount]


async def _by_name(connection: Connection, statement: str) -> dict[str, tuple[Any, ...]]:
    """The figures of the names that have any."""
    rows = await connection.fetch(statement)
    found = {row["agent"]: tuple(row[figure] or 0 for figure in NAME_FIGURES) for row in rows}
    return {name: figures for name, figures in found.items() if any(figures)}


async def final_differences(connection: Connection, wanted: Recount) -> list[str]:
    """Where the caches differ from a plain recount of all that was delivered."""
    rows = await connection.fetch(f"SELECT {AGENT_COLUMNS} FROM agent_stats_cache")
    found = {row["agent_id"]: AgentFigures(**dict(row)) for row in rows}
    builds = await connection.fetchrow(f"SELECT {BUILD_COLUMNS} FROM build_stats_cache")
    assert builds is not None
    return [
        f"at the end {is_}, wanted {want}"
        for is_, want in ((found, wanted.agents), (BuildFigures(**dict(builds)), wanted.builds))
        if is_ != want
    ]


async def _count_days(connection: Connection, dice: random.Random) -> None:
    """Count the days that are over, of a clock that may be anywhere."""
    until = datetime(2026, 2, dice.choice([19, 20, 21, 22, 22]), tzinfo=UTC)
    for agent in await days.behind(connection, until):
        more = True
        while more:
            async with read_committed(connection):
                more = await days.count_next(connection, agent, until)


class Mirror:
    """What a worker's tables hold, by the flushes' answers alone."""

    def __init__(self) -> None:
        self.expected: dict[Key, tuple[int, int]] = {}
        self.partials: dict[Key, dict[str, dict[str, Any]]] = {}

    def apply(self, key: Key, applied: AppliedChunk) -> None:
        self.expected[key] = (applied.next_offset, applied.epoch)
        if applied.complete:
            self.partials[key] = {}
        self.partials[key] |= _figures(applied.partials)


def _figures(partials: dict[str, Partial]) -> dict[str, dict[str, Any]]:
    figures = {*NAME_FIGURES, *BUILD_FIGURES}
    return {n: {k: v for k, v in row.items() if k in figures} for n, row in partials.items()}


class Dawdler:
    """A connection that lets others go first, so that transactions overlap in every way.

    What is sent as one message it sends one after another: Postgres does it in the same order, and
    to others there is time between, if less.
    """

    def __init__(self, connection: Connection, dice: random.Random) -> None:
        self._connection = connection
        self._dice = dice

    def is_of(self, connection: Connection) -> bool:
        return self._connection is connection

    def is_closed(self) -> bool:
        return self._connection.is_closed()

    async def execute(self, message: str, *arguments: Any) -> Any:
        done = None
        for statement in statements_of(message):
            await self._dawdle()
            done = await self._connection.execute(statement, *arguments)
        return done

    async def _dawdle(self) -> None:
        await asyncio.sleep(self._dice.choice([0, 0, 0.001, 0.003]))

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        async def dawdling(*arguments: Any) -> Any:
            await self._dawdle()
            return await method(*arguments)

        return dawdling


class Player:
    """Delivers one history with several workers at once; ``problems`` says what went wrong."""

    def __init__(self, arena: Arena, history: History) -> None:
        self._arena = arena
        self._history = history
        self.problems: list[str] = []
        self._remade = history.restart is None
        self._crowd = False

    async def run(self, workers: int) -> None:
        """Deliver everything, then compare the end."""
        self._crowd = workers > 1
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(number))
        if self._history.marked:
            return
        control = self._arena.control
        self.problems += await final_differences(control, self._history.recounted())
        self.problems += await self._finish_differences()
        dice = random.Random(self._history.schedule)
        if dice.random() < 0.5:
            await _count_days(control, dice)
        self.problems += await range_differences(control, dice)
        dead = await control.fetchval(_DEAD)
        if dead != self._history.dead():
            self.problems.append(f"{dead} dead letters, wanted {self._history.dead()}")

    async def _finish_differences(self) -> list[str]:
        rows = await self._arena.control.fetch("SELECT id, status, finished_at FROM finished_tasks")
        found = {row["id"]: (row["status"], row["finished_at"]) for row in rows}
        return [
            f"{id_} is finished as {found.get(id_)}, wanted {wanted}"
            for id_, wanted in self._history.finishes().items()
            if found.get(id_) != wanted
        ]

    async def _work(self, number: int) -> None:
        probe = self._arena.probes[number]
        dice = random.Random(f"{self._history.schedule} {number}")
        mirror = Mirror()
        logs = self._history.logs
        slow: Dawdler | None = None
        while not self.problems:
            writer = await self._arena.writer(number)
            slow = slow if slow and slow.is_of(writer) else Dawdler(writer, dice)
            found = await positions.read(writer, [self._key(log) for log in logs])
            left = [log for log in logs if found[self._key(log)].next_offset < len(logs[log])]
            if not left and self._remade:
                break
            if not self._remade and (not left or dice.random() < 0.1):
                await self._remake(writer)
            gives_up = self._crowd and dice.random() < 0.1
            patience = dice.random() / 50 if gives_up else None
            await self._deliver(writer, slow, mirror, dice, found, patience)
            self.problems += await snapshot_differences(probe)
            if dice.random() < _RANGES:
                await _count_days(probe, dice)
            if dice.random() < _RANGES:
                self.problems += await range_differences(probe, dice)
            if writer.is_closed():
                # Given up, perhaps between two steps of a truncation.
                await self._compare(probe, mirror)
        await self._compare(probe, mirror)

    async def _remake(self, writer: Connection) -> None:
        self._remade = True
        assert self._history.restart is not None
        topic = self._arena.topic(self._history.restart)
        await positions.recognise(writer, topic, "another id")

    async def _deliver(
        self,
        writer: Connection,
        slow: Dawdler,
        mirror: Mirror,
        dice: random.Random,
        found: dict[Key, Position],
        patience: float | None,
    ) -> None:
        """One flush of a few partitions, given up after ``patience`` seconds, anywhere."""
        chunks = self._chunks(dice, found)
        if not chunks:
            return
        try:
            connection: Any = slow if self._crowd else writer
            async with asyncio.timeout(patience):
                steps = dice.choice([1, 3, 50_000])
                applied = await Flush(connection, chunks, mirror.expected, step_rows=steps).run()
        except (GapError, GenerationError):
            return
        except (TimeoutError, asyncpg.InterfaceError):
            writer.terminate()
            return
        except asyncpg.PostgresError as error:
            if fault_of(error) is not Fault.PASSING:
                self.problems.append(repr(error))
            return
        for chunk, result in zip(sorted(chunks, key=lambda c: c.key), applied, strict=True):
            mirror.apply(chunk.key, result)

    def _chunks(self, dice: random.Random, found: dict[Key, Position]) -> list[Chunk]:
        """Chunks of some partitions, each from its position or a little below; now and then one
        from above, which must be refused.
        """
        logs = list(self._history.logs)
        chosen = dice.sample(logs, dice.choice([1, 1, dice.randint(1, len(logs))]))
        chunks = []
        for log in chosen:
            position, generation = (
                found[self._key(log)].next_offset,
                found[self._key(log)].generation,
            )
            records = self._history.log(log, generation)
            start = max(0, position - dice.choice([0, 0, 1, 3, 100]))
            end = min(len(records), position + dice.choice([1, 1, 2, 4, 9, 100]))
            skip = position + 1 < end and dice.random() < 0.05
            start = position + 1 if skip else start
            if start < end:
                entity, partition = log
                topic = self._arena.topic(entity)
                chunks.append(
                    chunk_of(
                        topic,
                        entity,
                        records,
                        partition=partition,
                        generation=generation,
                        start=start,
                        end=end,
                    )
                )
        return chunks

    async def _compare(self, probe: Connection, mirror: Mirror) -> None:
        """The tables equal Postgres' partials wherever nobody else has been since."""
        async with probe.transaction(isolation="repeatable_read", readonly=True):
            now = await positions.read(probe, mirror.expected)
            for log in self._history.logs:
                key = self._key(log)
                position = now.get(key)
                if position and mirror.expected[key] == (position.next_offset, position.epoch):
                    stored = _figures(await read_partials(probe, log[0], *key))
                    if stored != mirror.partials[key]:
                        self.problems.append(f"table {mirror.partials[key]}, Postgres {stored}")

    def _key(self, log: Log) -> Key:
        entity, partition = log
        return (self._arena.topic(entity), partition)


class Arena:
    """A database with connections, emptied for each history."""

    def __init__(self, settings: Settings, control: Connection, probes: list[Connection]) -> None:
        self._settings = settings
        self._writers: dict[int, Connection] = {}
        self.control = control
        self.probes = probes

    async def writer(self, number: int) -> Connection:
        """A worker's connection; a flush that was given up may have closed the one before."""
        known = self._writers.get(number)
        if known is None or known.is_closed():
            known = self._writers[number] = await connect(self._settings, "arena", flush=True)
        return known

    async def close(self) -> None:
        for connection in (self.control, *self._writers.values(), *self.probes):
            await connection.close()

    def topic(self, entity: Entity) -> str:
        return self._settings.topic(entity)

    async def play(self, history: History, workers: int) -> list[str]:
        """Deliver a history into the emptied database; gives what went wrong."""
        await self.control.execute(_CLEAN)
        keys = [(self.topic(entity), p) for entity in ENTITIES for p in range(PARTITIONS)]
        await positions.ensure(self.control, keys)
        await self.control.execute("UPDATE stream_topics SET topic_id = 'an id'")
        player = Player(self, history)
        await player.run(workers)
        return player.problems


async def open_arena(settings: Settings, workers: int) -> Arena:
    """An arena on a migrated database."""
    control, *probes = [await connect(settings, "arena") for _ in range(1 + workers)]
    return Arena(settings, control, probes)
