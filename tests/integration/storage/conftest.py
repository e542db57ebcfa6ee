"""A desk, where records go into logs and through flushes by hand; a stage for whole histories."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from nova_stream.events.change import Entity
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.apply.positions import Position
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.database import Connection, connect
from tests.integration.storage.arena import Arena, open_arena, snapshot_differences
from tests.integration.storage.chunks import Record, chunk_of
from tests.integration.storage.histories import History

#: How many workers deliver a history at once.
WORKERS = 3


class Desk:
    """Logs of a few partitions, and a connection that flushes them."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self.settings = settings
        self.connection = connection
        self.logs: dict[tuple[Entity, int], list[Record]] = defaultdict(list)
        self.expected: dict[tuple[str, int], tuple[int, int]] = {}

    def add(
        self,
        entity: Entity,
        *values: bytes | None,
        partition: int = 0,
        headers: Any = (),
        key: bytes | None = b"k",
    ) -> None:
        """Put records at the end of a log."""
        log = self.logs[entity, partition]
        log += [Record(len(log) + n, v, key, headers=headers) for n, v in enumerate(values)]

    def chunk(
        self,
        entity: Entity,
        start: int = 0,
        end: int | None = None,
        *,
        partition: int = 0,
        generation: int = 0,
    ) -> Chunk:
        """A chunk of a log, to its end if not told."""
        log = self.logs[entity, partition]
        return chunk_of(
            self.settings.topic(entity),
            entity,
            log,
            partition=partition,
            generation=generation,
            start=start,
            end=len(log) if end is None else end,
        )

    async def flush(self, *chunks: Chunk) -> list[AppliedChunk]:
        await positions.ensure(self.connection, [chunk.key for chunk in chunks])
        return await Flush(self.connection, chunks, self.expected).run()

    async def put(
        self,
        entity: Entity,
        *values: bytes | None,
        partition: int = 0,
        headers: Any = (),
        key: bytes | None = b"k",
    ) -> AppliedChunk:
        """Add records and flush them as one chunk."""
        start = len(self.logs[entity, partition])
        self.add(entity, *values, partition=partition, headers=headers, key=key)
        (applied,) = await self.flush(self.chunk(entity, start, partition=partition))
        return applied

    async def row(self, entity: Entity, id_: str) -> dict[str, Any]:
        query = f"SELECT * FROM {TABLES[entity]} WHERE id = $1"
        row = await self.connection.fetchrow(query, id_)
        assert row is not None, f"no {entity.value} {id_}"
        return dict(row)

    async def cached(self, name: str) -> dict[str, Any]:
        """The one cache row of an agent."""
        query = "SELECT * FROM agent_stats_cache WHERE agent_name = $1"
        (row,) = await self.connection.fetch(query, name)
        return dict(row)

    async def builds(self) -> dict[str, Any]:
        (row,) = await self.connection.fetch("SELECT * FROM build_stats_cache")
        return dict(row)

    async def dead(self) -> list[tuple[str, int, int, str]]:
        """Entity, partition, offset and reason of all dead letters as they came."""
        query = 'SELECT topic, partition, "offset", reason FROM dead_letters ORDER BY id'
        names = {self.settings.topic(entity): entity.value for entity in Entity}
        rows = await self.connection.fetch(query)
        return [(names[topic], *rest) for topic, *rest in rows]

    async def position(self, entity: Entity, partition: int = 0) -> Position:
        key = (self.settings.topic(entity), partition)
        return (await positions.read(self.connection, [key]))[key]


@pytest.fixture
async def desk(nova_settings: Settings) -> AsyncIterator[Desk]:
    """A desk on a database of its own; at its end the caches must equal the recount."""
    connection = await connect(nova_settings, "desk", flush=True)
    try:
        yield Desk(nova_settings, connection)
        assert await snapshot_differences(connection) == []
    finally:
        await connection.close()


class Stage:
    """An arena for tests that are not asynchronous, since hypothesis calls them many times."""

    def __init__(self, runner: asyncio.Runner, arena: Arena) -> None:
        self._runner = runner
        self._arena = arena

    def play(self, history: History, workers: int) -> list[str]:
        return self._runner.run(self._arena.play(history, workers))

    def on_control(self, reads: Callable[[Connection], Coroutine[Any, Any, Any]]) -> Any:
        """What is read over a connection that no worker has."""
        return self._runner.run(reads(self._arena.control))


@pytest.fixture
def stage(migrated_database: str) -> Iterator[Stage]:
    found: Settings = load_settings(database_url=migrated_database)
    with asyncio.Runner() as runner:
        arena = runner.run(open_arena(found, WORKERS))
        try:
            yield Stage(runner, arena)
        finally:
            runner.run(arena.close())
