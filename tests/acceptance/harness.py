"""Workers as processes that can be killed, and a probe that compares cache and recount."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil

from nova_stream.errors import DatabaseUnavailableError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.local.kafka import LocalKafka
from nova_stream.local.postgres import LocalPostgres
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit_on
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.faults import DATABASE_ERRORS, is_away
from tests.recount import recount


class Stack:
    """One test's servers, settings and processes."""

    def __init__(
        self, folder: Path, kafka: LocalKafka, postgres: LocalPostgres, settings: Settings
    ) -> None:
        self.folder = folder
        self.kafka = kafka
        self.postgres = postgres
        self.settings = settings
        #: Where worker and API look for Kafka.
        self.brokers = kafka.bootstrap_servers
        self._count = 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "NOVA_KAFKA_BROKERS": self.brokers,
            "NOVA_DATABASE_URL": self.settings.database_url.get_secret_value(),
            "NOVA_TOPIC_PREFIX": self.settings.topic_prefix,
            "NOVA_CONSUMER_GROUP": self.settings.consumer_group,
        }

    def start_worker(self) -> subprocess.Popen[bytes]:
        self._count += 1
        with (self.folder / f"worker-{self._count}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "nova_stream.cli.main", "worker"],
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def start_traffic(self, rate: float, seconds: float, seed: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.acceptance.traffic",
                self.kafka.bootstrap_servers,
                self.settings.topic_prefix,
                str(rate),
                str(seconds),
                str(seed),
                str(self.folder / "final.json"),
            ],
        )

    def published(self) -> dict[str, Any]:
        """What must stand at the end, as the traffic wrote it."""
        decoded: dict[str, Any] = msgspec.json.decode((self.folder / "final.json").read_bytes())
        return decoded

    def logs(self) -> str:
        return "".join(p.read_text() for p in sorted(self.folder.glob("worker-*.log")))


@contextlib.contextmanager
def stopped_at_the_end(processes: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def signal_all(pid: int | None, number: signal.Signals) -> None:
    """Send a signal to a server and all its processes; some may go meanwhile."""
    assert pid is not None
    main = psutil.Process(pid)
    for process in [main, *main.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


class Probe:
    """Compares both caches with the recount in one REPEATABLE READ snapshot, again and again."""

    def __init__(self, settings: Settings, every: float = 0.2) -> None:
        self._settings = settings
        self._every = every
        self.snapshots = 0
        self.differences: list[Any] = []

    async def run(self) -> None:
        connection: Connection | None = None
        try:
            while True:
                try:
                    connection = connection or await connect(self._settings, "probe")
                    report = await audit_on(connection)
                except DATABASE_ERRORS as error:
                    if not is_away(error):
                        raise
                    # Postgres is away on purpose in some tests.
                    connection = None
                    await asyncio.sleep(self._every)
                    continue
                self.snapshots += 1
                self.differences += report.differences
                await asyncio.sleep(self._every)
        finally:
            if connection is not None:
                connection.terminate()


@contextlib.asynccontextmanager
async def probing(settings: Settings) -> AsyncIterator[Probe]:
    probe = Probe(settings)
    task = asyncio.create_task(probe.run())
    try:
        yield probe
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(what: str, ask: Callable[[], Awaitable[bool]], limit: float = 60.0) -> None:
    """Wait until ``ask`` says yes; AssertionError that names ``what`` after ``limit`` seconds."""
    end = time.monotonic() + limit
    while not await ask():
        assert time.monotonic() < end, f"not within {limit:.0f} s: {what}"
        await asyncio.sleep(0.1)


async def applied(stack: Stack) -> int:
    """Records below the positions in Postgres; -1 without any, or while it does not answer."""
    try:
        connection = await connect(stack.settings, "applied")
    except DatabaseUnavailableError:
        return -1
    try:
        return int(
            await connection.fetchval("SELECT coalesce(sum(next_offset), -1) FROM stream_positions")
        )
    finally:
        await connection.close()


async def until_applied(stack: Stack, count: int, limit: float = 60.0) -> None:
    """Wait until ``count`` records are applied; 0: until the workers have begun to read."""

    async def enough() -> bool:
        return await applied(stack) >= count

    await until(f"{count} records are applied", enough, limit)


async def until_all_applied(stack: Stack, sent: int, limit: float = 60.0) -> None:
    """Wait until all of the logs is applied, which holds at least the ``sent`` records.

    The logs' own ends count: a producer that repeats a batch after an outage makes them longer than
    what was sent.
    """
    async with KafkaAdmin(stack.settings) as admin:
        logs = await admin.logs(list(stack.settings.topics()))
    end = sum(log.end for log in logs.values())
    assert end >= sent, f"{sent} records were acknowledged, the logs hold {end}"
    await until_applied(stack, end, limit)


async def assert_equals_published(stack: Stack) -> None:
    """The rows are what was published, and the caches equal a plain Python recount of it."""
    documents = stack.published()
    wanted = recount(
        documents["agents"], documents["builds"], documents["tasks"], documents["executions"]
    )
    connection = await connect(stack.settings, "final")
    try:
        for entity in ("agents", "builds", "tasks", "executions"):
            assert await _rows_that_differ(connection, entity, documents[entity]) == {}
        rows = await connection.fetch("SELECT * FROM agent_stats_cache")
        found = {row["agent_id"]: dict(row) for row in rows}
        assert found.keys() == wanted.agents.keys()
        for id_, figures in wanted.agents.items():
            for name in figures.__struct_fields__:
                assert found[id_][name] == getattr(figures, name), (id_, name)
        row = await connection.fetchrow("SELECT * FROM build_stats_cache")
        assert row is not None
        for name in wanted.builds.__struct_fields__:
            assert row[name] == getattr(wanted.builds, name), name
        assert (await audit_on(connection)).differences == []
    finally:
        await connection.close()


async def _rows_that_differ(
    connection: Connection, entity: str, documents: list[dict[str, Any]]
) -> dict[str, tuple[Any, Any]]:
    """What was published and what stands, of the first ids of ``entity`` where they differ."""
    rows = await connection.fetch(f"SELECT id, doc FROM {entity} WHERE deleted_at IS NULL")
    found = {row["id"]: msgspec.json.decode(row["doc"]) for row in rows}
    wanted = {document["id"]: document for document in documents}
    ids = sorted(id_ for id_ in found.keys() | wanted.keys() if found.get(id_) != wanted.get(id_))
    return {id_: (wanted.get(id_), found.get(id_)) for id_ in ids[:5]}
