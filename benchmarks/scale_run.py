"""One turn of the scale benchmark: rows in the tables, a backlog, probes, a kill -9, the audit."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import psutil

from benchmarks import freshness
from benchmarks.common import (
    WORKER,
    Process,
    Stack,
    connected,
    percentile,
    process,
)
from benchmarks.hashed import split
from benchmarks.memory import Watch, publish_beside_a_lock
from benchmarks.scale_backlog import COUNTED, Case, Newest, settings_of
from benchmarks.scale_rows import Rows, fill, rows_of
from benchmarks.workload import agent_names, changed
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.audit.audit import audit_on
from nova_stream.storage.database import Connection

_POLL = 0.02
_LIMIT = 1800.0
_SETTLE = 3.0
#: Surely some in every partition that there may be.
_OF_ALL_PARTITIONS = 2_000
#: Versions of changes of rows that lie there, and above those of a second time.
_LATER = 100_000_000

_APPLIED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM stream_positions"
_WATCHED = "SELECT total_tasks FROM agent_stats_cache WHERE agent_id = $1"


class Turn:
    """A case at work in a database of its own."""

    def __init__(self, servers: Stack, settings: Settings, case: Case, ended: ExitStack) -> None:
        self._servers = servers
        self._settings = settings
        self._case = case
        self._ended = ended
        self._workers: list[Process] = []
        self._watches: list[Watch] = []
        self._highest = 0
        self.wrong: list[str] = []

    def start(self) -> None:
        worker = self._ended.enter_context(
            process(self._servers, "worker", WORKER, self._settings, code=self._case.checkout)
        )
        self._workers.append(worker)
        self._watches.append(self._ended.enter_context(Watch(worker)))

    def check(self) -> None:
        for worker in self._workers:
            worker.check()

    def cpu(self) -> float:
        return sum(worker.cpu() for worker in self._workers)

    def highest_mb(self) -> float:
        """The most that one of the workers has held so far."""
        return max(self._highest, *(watch.highest for watch in self._watches)) / 1024**2

    async def members(self, count: int) -> None:
        """Wait until the group has so many members and is at rest, all partitions known."""
        async with KafkaAdmin(self._settings) as admin, asyncio.timeout(_LIMIT):
            while (group := await admin.group(self._settings.consumer_group)) is not None:
                if group.members == count and group.state == "Stable":
                    break
                self.check()
                await asyncio.sleep(0.1)
        async with connected(self._settings) as connection, asyncio.timeout(_LIMIT):
            known = "SELECT count(*) FROM stream_positions"
            while await connection.fetchval(known) < len(Entity) * self._case.partitions:
                self.check()
                await asyncio.sleep(0.1)

    async def apply(self, count: int) -> dict[str, Any]:
        """Wait until so many records are applied; gives the rate and what an event costs."""
        samples: list[tuple[float, int]] = []
        before = await self._spent()
        async with connected(self._settings) as connection, asyncio.timeout(_LIMIT):
            while not samples or samples[-1][1] < count:
                applied = await connection.fetchval(_APPLIED)
                if not samples and applied:
                    before = await self._spent()
                if applied and (not samples or applied > samples[-1][1]):
                    samples.append((time.perf_counter(), applied))
                self.check()
                await asyncio.sleep(_POLL)
        after = await self._spent()
        return rates(samples) | _each(before, after, samples[-1][1] - samples[0][1])

    async def _spent(self) -> dict[str, float]:
        """Microseconds of processor time so far, and bytes of Postgres' log."""
        kafka = psutil.Process(self._servers.kafka.pid).cpu_times()
        async with connected(self._settings) as connection:
            wal = await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return {
            "cpu_us": self.cpu() * 1e6,
            "postgres_cpu_us": self._servers.postgres_cpu() * 1e6,
            "kafka_cpu_us": (kafka.user + kafka.system) * 1e6,
            "wal_bytes": float(wal),
        }

    async def change_old(self, rows: Rows, count: int) -> dict[str, Any]:
        """Changes of rows that lie there, each of another one, as a backlog of full buffers."""
        numbers = random.Random(1).sample(range(1, rows.tasks + 1), min(count, rows.tasks))
        lines = changed(numbers, agent_names(rows.agents), seed=3, first=_LATER)
        return await self._behind_a_lock(lines, len(numbers))

    async def fill_beside(self, lines: Iterator[ChangeLine], count: int) -> dict[str, Any]:
        """A backlog that came while nothing could be committed, all workers there already."""
        return await self._behind_a_lock(lines, count)

    async def _behind_a_lock(self, lines: Iterator[ChangeLine], count: int) -> dict[str, Any]:
        async with connected(self._settings) as connection:
            before = await connection.fetchval(_APPLIED)
        spent = await self._spent()
        await publish_beside_a_lock(self._settings, lines)
        began = time.perf_counter()
        found = await self.apply(before + count)
        seconds = time.perf_counter() - began
        # Decoding began behind the lock: its processor time counts, its time does not.
        spending = _each(spent, await self._spent(), count)
        return found | spending | {"events_per_s": round(count / seconds)}

    async def fresh(self, rate: int, seconds: float, before: int) -> dict[str, Any]:
        """Milliseconds from publishing to seeing, under a load of ``rate`` events/s."""
        command = (sys.executable, "-m", "benchmarks.load", str(rate))
        words = (*command, str(seconds + 2 * _SETTLE), str(self._case.agents))
        with ExitStack() as ended:
            if rate:
                ended.enter_context(process(self._servers, "load", words, self._settings))
            async with (
                connected(self._settings) as connection,
                ChangePublisher(self._settings) as publisher,
            ):
                await publisher.agent({"id": freshness.AGENT, "name": "PROBE"})
                await freshness.until(
                    connection, self._workers[-1], _WATCHED, before, freshness.AGENT
                )
                applied = await connection.fetchval(_APPLIED)
                least = applied + rate // 10
                await freshness.until(connection, self._workers[-1], _APPLIED, least)
                await asyncio.sleep(_SETTLE if rate else 0.5)
                probe = partial(freshness.one, connection, publisher)
                times = await freshness.probes(probe, seconds, before=before)
        self.check()
        return {
            "probes": len(times),
            "p50": round(percentile(times, 50), 1),
            "p99": round(percentile(times, 99), 1),
        }

    async def recover(self) -> float:
        """Seconds from kill -9 of a worker until changes of all partitions, published at once, are
        in the cache; the only worker is started again at once, else the others go on.
        """
        async with (
            connected(self._settings) as connection,
            ChangePublisher(self._settings) as publisher,
        ):
            await publisher.agent({"id": "a-after", "name": "AFTER"})
            await freshness.until(connection, self._workers[-1], _WATCHED, 0, "a-after")
            began = time.perf_counter()
            self._workers.pop(0).kill()
            self._highest = max(self._highest, self._watches.pop(0).highest)
            if not self._workers:
                self.start()
            await publisher.publish(map(_after, range(_OF_ALL_PARTITIONS)))
            await freshness.until(
                connection, self._workers[-1], _WATCHED, _OF_ALL_PARTITIONS, "a-after"
            )
            return time.perf_counter() - began

    async def audit(self, what: str) -> float:
        """nova-stream's own audit, and no dead letters; gives the seconds that it took."""
        async with connected(self._settings) as connection:
            began = time.perf_counter()
            report = await audit_on(connection)
            self.wrong += [f"{what}: {d.row} {d.figure}" for d in report.differences]
            dead = await connection.fetchval("SELECT count(*) FROM dead_letters")
            self.wrong += [f"{what}: {dead} dead letters"] if dead else []
            return time.perf_counter() - began

    async def compare(self, rows: Rows, wanted: Newest) -> None:
        """Every document of the backlog is there with its newest version, and every row before."""
        before = {
            Entity.BUILDS: rows.builds,
            Entity.TASKS: rows.tasks,
            Entity.EXECUTIONS: rows.executions,
        }
        async with connected(self._settings) as connection:
            for entity in COUNTED:
                query = f"SELECT count(*), coalesce(sum(version), 0)::bigint FROM {TABLES[entity]}"
                found = tuple(await connection.fetchrow(query, timeout=600) or ())
                there = before[entity]
                want = (wanted.documents[entity] + there, wanted.versions[entity] + there)
                if found != want:
                    self.wrong.append(f"{entity.value}: rows and versions {found}, not {want}")

    async def sizes(self) -> dict[str, Any]:
        """Bytes on disk an entity, rows and indexes; all of the database in MB."""
        async with connected(self._settings) as connection:
            return {entity.value: await _size(connection, TABLES[entity]) for entity in COUNTED} | {
                "database_mb": await connection.fetchval(
                    "SELECT pg_database_size(current_database()) / 1048576"
                ),
                "partials_rows": await connection.fetchval(
                    "SELECT count(*) FROM agent_stats_partials"
                ),
            }


async def _size(connection: Connection, table: str) -> dict[str, int]:
    row = await connection.fetchrow(
        f"SELECT (SELECT count(*) FROM {table}) AS n, sum(pg_table_size(relid))::bigint AS heap, "
        f"sum(pg_indexes_size(relid))::bigint AS indexes "
        f"FROM (SELECT '{table}'::regclass UNION SELECT relid FROM pg_partition_tree('{table}')) "
        "AS parts (relid)",
        timeout=600,
    )
    assert row is not None
    count = max(1, row["n"])
    return {"rows": row["n"], "row": row["heap"] // count, "indexes": row["indexes"] // count}


def _after(number: int) -> ChangeLine:
    document = {"id": f"after-{number}", "agent": "AFTER", "status": "done", "title": "after"}
    return change_line({"entity": "tasks", "after": document})


def rates(samples: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """Events a second: of the whole, and of each tenth between the first sample and the last."""
    (first, begun), (last, end) = samples[0], samples[-1]
    events = max(1, end - begun)
    edges = [_moment(samples, begun + events * n / 10) for n in range(11)]
    return {
        "events_per_s": round(events / max(last - first, _POLL)),
        "tenths": [round(events / 10 / max(b - a, 1e-3)) for a, b in pairwise(edges)],
    }


def _each(before: dict[str, float], after: dict[str, float], events: int) -> dict[str, float]:
    """What an event cost."""
    return {name: round((after[name] - before[name]) / max(1, events), 2) for name in before}


def _moment(samples: Sequence[tuple[float, int]], count: float) -> float:
    """When so many were applied, between two samples by proportion."""
    for (before, low), (after, high) in pairwise(samples):
        if count <= high:
            return before + (after - before) * max(0.0, count - low) / (high - low)
    return samples[-1][0]


@contextmanager
def turn_of(servers: Stack, prefix: str, case: Case) -> Iterator[tuple[Turn, Rows]]:
    """A database with the case's rows in it, and no worker yet."""
    with servers.database(code=case.checkout) as database, ExitStack() as ended:
        settings = settings_of(servers, database, prefix, case)
        rows = rows_of(case.agents, case.entities)
        asyncio.run(fill(settings, rows))
        if case.hashed:
            asyncio.run(_split(settings, case.hashed))
        yield Turn(servers, settings, case, ended), rows


async def _split(settings: Settings, count: int) -> None:
    async with connected(settings) as connection:
        for table in ("tasks", "executions"):
            await split(connection, table, count)
