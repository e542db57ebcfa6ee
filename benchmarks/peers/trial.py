"""One start of a peer on an empty database: its backlog, its kill, its freshness."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.common import PARTITIONS, Process, Stack, connected, process
from benchmarks.peers.figures import (
    Figures,
    found_agents,
    found_builds,
    found_rows,
    last_ids,
    statistics_differ,
    wrong_rows,
    wrong_statistics,
)
from benchmarks.peers.peer import Peer, Start
from nova_stream.local.sql import run_sql
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection

_POLL = 0.02
_MEMORY_EVERY = 0.25
_SAMPLE_PAUSE = 0.05
#: A peer whose rows and statistics stand still for so long is done, right or wrong: longer than
#: Kafka keeps an abandoned transaction.
STILL = 40.0

_ANY = "SELECT EXISTS (SELECT FROM peer.rows)"
_VERSIONS = "SELECT entity, id, seq FROM peer.rows"
_COUNT = "SELECT count(*) FROM peer.rows"
_STANDING = "SELECT count(*), sum(seq) FROM peer.rows"
_LAST = "SELECT count(*) FROM peer.rows WHERE id = ANY($1)"

_MB = 1024 * 1024


class SlowError(Exception):
    """A peer did not do its work in the time that it was given."""


class Backlog(NamedTuple):
    """What lies in the topics ``prefix.*``."""

    prefix: str
    events: int
    figures: Figures
    #: Of each document, the versions in the order in which they come.
    versions: dict[tuple[str, str], list[int]]

    def applied(self, standing: dict[tuple[str, str], int]) -> int:
        """How many events have had their turn where these versions stand."""
        count = 0
        for place, seq in standing.items():
            newest = 0
            for number, version in enumerate(self.versions.get(place, ()), 1):
                if version == seq:
                    newest = number
                    break
            count += newest
        return count


class Run(NamedTuple):
    """A backlog applied. What is wrong is a line each."""

    rate: float
    seconds: float
    #: From the start of the process to its first row.
    start_seconds: float
    memory_mb: float
    wrong_rows: list[str]
    wrong_statistics: list[str]


class Crash(NamedTuple):
    """The same with a kill -9 in the middle, looked at all the time."""

    snapshots: int
    differing: int
    rows_at_kill: int
    #: From the kill to the moment that all was right, or that something moved last.
    seconds_after: float
    wrong_rows: list[str]
    wrong_statistics: list[str]


class Place(NamedTuple):
    """Where a peer runs: settings with a database of its own, and a folder."""

    servers: Stack
    settings: Settings
    folder: Path

    @contextmanager
    def running(self, peer: Peer, start: Start) -> Iterator[Process]:
        """The peer as a process; again with the same place, it goes on."""
        address = urlsplit(self.settings.database_url.get_secret_value())
        variables = {
            **start.variables,
            "NOVA_PEER_FOLDER": str(self.folder),
            "PEER_JDBC_URL": f"jdbc:postgresql://{address.hostname}:{address.port}{address.path}"
            "?reWriteBatchedInserts=true",
            "PEER_JDBC_USER": address.username or "",
            "PEER_JDBC_PASSWORD": address.password or "",
        }
        with process(
            self.servers, peer.word, start.command, self.settings, variables=variables
        ) as child:
            yield child


@contextmanager
def place(servers: Stack, peer: Peer, prefix: str) -> Iterator[Place]:
    """A database with the peer's tables and views, and an empty folder."""
    with servers.database() as database:
        settings = servers.settings(database, prefix=prefix, group=database)
        statements = [one for one in (peer.tables + ";" + peer.views()).split(";") if one.strip()]
        run_sql(servers.postgres.url_of(database), *statements, limit=60)
        folder = servers.folder / f"peer-{database}"
        folder.mkdir()
        yield Place(servers, settings, folder)


def backlog_run(servers: Stack, peer: Peer, start: Start, backlog: Backlog, limit: float) -> Run:
    """The time that the peer takes from its first row to the last figure."""
    with place(servers, peer, backlog.prefix) as where:
        begun = time.perf_counter()
        with where.running(peer, start) as child:
            return asyncio.run(_watch(where, peer, backlog, child, begun, limit))


async def _watch(
    where: Place, peer: Peer, backlog: Backlog, child: Process, begun: float, limit: float
) -> Run:
    async with connected(where.settings) as connection, _memory(child) as highest:
        while not await connection.fetchval(_ANY):
            child.check()
            _in_time(begun, limit, "wrote no row", child)
            await asyncio.sleep(_POLL)
        first = time.perf_counter()
        rows = await connection.fetch(_VERSIONS)
        before = backlog.applied({(row[0], row[1]): row[2] for row in rows})
        end, wrong = await _until_done(connection, peer, backlog.figures, child, begun + limit)
        seconds = max(end - first, _POLL)
        rate = (backlog.events - before) / seconds
        return Run(rate, seconds, first - begun, highest[0] / _MB, *wrong)


def crash_run(servers: Stack, peer: Peer, start: Start, backlog: Backlog, limit: float) -> Crash:
    """A kill -9 once half of the rows stand, then the same command again."""
    with place(servers, peer, backlog.prefix) as where:
        return asyncio.run(_crash(where, peer, start, backlog, limit))


async def _crash(where: Place, peer: Peer, start: Start, backlog: Backlog, limit: float) -> Crash:
    begun = time.perf_counter()
    samples: list[bool] = []
    async with connected(where.settings) as connection, _sampling(where, peer, samples):
        with where.running(peer, start) as child:
            half = len(backlog.figures.rows) // 2
            while (count := await connection.fetchval(_COUNT)) < half:
                child.check()
                _in_time(begun, limit, f"wrote {count} rows", child)
                await asyncio.sleep(_POLL)
            child.kill()
            killed = time.perf_counter()
        with where.running(peer, start) as child:
            end, wrong = await _until_done(connection, peer, backlog.figures, child, begun + limit)
    return Crash(len(samples), sum(samples), count, end - killed, *wrong)


async def _until_done(
    connection: Connection, peer: Peer, wanted: Figures, child: Process, deadline: float
) -> tuple[float, tuple[list[str], list[str]]]:
    """When all was right, or else when something moved last; and what is wrong."""
    last = last_ids(PARTITIONS)
    seen: object = None
    moved = time.perf_counter()
    while True:
        count = await connection.fetchval(_LAST, last)
        agents, builds = await found_agents(connection), await found_builds(connection)
        now = time.perf_counter()
        all_last = count == len(last)
        wrong = wrong_statistics(agents, builds, wanted) if peer.statistics else []
        if all_last and not wrong:
            missing = wrong_rows(await found_rows(connection), wanted)
            if not missing:
                return now, ([], [])
        standing = await connection.fetchrow(_STANDING) if all_last else None
        look = (count, agents, builds, standing and tuple(standing))
        if look != seen:
            seen, moved = look, now
        if (all_last and now - moved > STILL) or now > deadline:
            return moved, (wrong_rows(await found_rows(connection), wanted), wrong)
        child.check()
        await asyncio.sleep(_POLL)


def _in_time(begun: float, limit: float, what: str, child: Process) -> None:
    if time.perf_counter() - begun > limit:
        raise SlowError(f"{what} in {limit:.0f} s; it said: {child.tail()}")


@asynccontextmanager
async def _memory(child: Process) -> AsyncIterator[list[int]]:
    """The highest memory so far, sampled meanwhile."""
    highest = [0]

    async def sample() -> None:
        while True:
            highest[0] = max(highest[0], child.memory())
            await asyncio.sleep(_MEMORY_EVERY)

    task = asyncio.create_task(sample())
    try:
        yield highest
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _sampling(where: Place, peer: Peer, samples: list[bool]) -> AsyncIterator[None]:
    """Fills ``samples`` meanwhile: whether statistics and rows of a snapshot differ."""

    async def sample() -> None:
        async with connected(where.settings) as connection:
            while True:
                if await connection.fetchval(_ANY):
                    samples.append(await statistics_differ(connection))
                await asyncio.sleep(_SAMPLE_PAUSE)

    task = asyncio.create_task(sample()) if peer.statistics else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
