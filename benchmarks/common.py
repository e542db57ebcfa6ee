"""What the benchmarks share: servers of their own, databases, processes, publishing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg
import psutil

from nova_stream.events.lines import ChangeLine
from nova_stream.kafka.admin import TopicAdmin
from nova_stream.local import processes
from nova_stream.local.kafka import LocalKafka
from nova_stream.local.postgres import LocalPostgres
from nova_stream.local.sql import run_sql
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import Connection

ROOT = Path(__file__).resolve().parents[1]
PARTITIONS = 8

WORKER = (sys.executable, "-m", "nova_stream.cli.main", "worker")
#: The events' own times lie far back: at its slot each of these would change rows that are then
#: compared with what was published. (Every worker has its jobs all the same.)
_NEVER_DUE = {
    f"NOVA_SCHEDULE_{job}": "0 0 29 2 *"
    for job in ("CHECK_STALLED_BUILDS", "CLEANUP_OLD_ACTIVITY", "COMPACT_OLD_EXECUTIONS")
}
MIGRATE = (*WORKER[:-1], "migrate")


class Stack(NamedTuple):
    """The servers, and a folder for logs."""

    kafka: LocalKafka
    postgres: LocalPostgres
    folder: Path

    def settings(self, database: str, *, prefix: str, group: str = "bench") -> Settings:
        """Settings of a process that reads the topics ``prefix.*`` into ``database``."""
        return load_settings(
            kafka_brokers=(self.kafka.bootstrap_servers,),
            database_url=self.postgres.url_of(database),
            topic_prefix=prefix,
            consumer_group=group,
            partitions=PARTITIONS,
            metrics_port=0,
        )

    def postgres_cpu(self) -> float:
        """Seconds of processor time that the server's living processes have used."""
        server = psutil.Process(self.postgres.pid)
        used = 0.0
        for one in (server, *server.children()):
            with contextlib.suppress(psutil.NoSuchProcess):  # its work was short
                times = one.cpu_times()
                used += float(times.user + times.system)
        return used

    @contextmanager
    def database(self, *, code: Path = ROOT) -> Iterator[str]:
        """A new database with the newest schema of the checkout ``code``; gives its name, drops
        it at the end.
        """
        name = f"bench_{uuid.uuid4().hex[:12]}"
        server = self.postgres.url_of("postgres")
        run_sql(server, f"CREATE DATABASE {name}", limit=60)
        try:
            variables = environment(self.settings(name, prefix="nova"))
            processes.run(MIGRATE, cwd=self.folder, env=variables | {"PYTHONPATH": str(code)})
            run_sql(server, "CHECKPOINT", limit=60)
            yield name
        finally:
            run_sql(server, f"DROP DATABASE {name} WITH (FORCE)", limit=60)


@contextmanager
def stack() -> Iterator[Stack]:
    """Kafka and Postgres in a temporary folder, with commits as safe as in production."""
    with (
        tempfile.TemporaryDirectory(prefix="nova-bench-", ignore_cleanup_errors=True) as folder,
        LocalKafka(Path(folder)) as kafka,
        LocalPostgres(Path(folder), fsync=True) as postgres,
    ):
        yield Stack(kafka, postgres, Path(folder))


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a process with these settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("NOVA_")}
    return kept | {
        "NOVA_KAFKA_BROKERS": ",".join(settings.kafka_brokers),
        "NOVA_DATABASE_URL": settings.database_url.get_secret_value(),
        "NOVA_TOPIC_PREFIX": settings.topic_prefix,
        "NOVA_CONSUMER_GROUP": settings.consumer_group,
        "NOVA_PARTITIONS": str(settings.partitions),
        "NOVA_METRICS_PORT": "0",
        "NOVA_LOG_FORMAT": "json",
        **_NEVER_DUE,
    }


class Process:
    """A child process whose output goes to a log file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def memory(self) -> int:
        """Bytes resident, of the process and all that it started."""
        used = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.pid)
            for one in (own, *own.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    used += int(one.memory_info().rss)
        return used

    def kill(self) -> None:
        """kill -9 of it and of all that it started and that stayed in its session's group."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def check(self) -> None:
        """Raises RuntimeError with the end of its log when the process has ended."""
        if self._process.poll() is not None:
            code = self._process.returncode
            raise RuntimeError(f"{self._log.stem} ended with {code}:\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of its log."""
        return processes.tail(self._log, lines=20)


@contextmanager
def process(
    stack: Stack,
    name: str,
    command: Sequence[str],
    settings: Settings,
    *,
    code: Path = ROOT,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """A running child process, ended at the end; ``code`` is the checkout that it runs,
    ``variables`` are set in its environment besides those of the settings.
    """
    log = stack.folder / f"{name}-{uuid.uuid4().hex[:6]}.log"
    given = environment(settings) | {"PYTHONPATH": str(code)} | dict(variables or {})
    child = processes.start(processes.Launch(command, log, cwd=stack.folder, env=given))
    try:
        yield Process(child, log)
    finally:
        processes.stop(child, limit=10)


async def make_topics(settings: Settings) -> None:
    """Make the six topics as the worker would."""
    async with TopicAdmin(settings) as admin:
        await admin.prepare_sources()


async def publish(settings: Settings, lines: Iterable[ChangeLine]) -> None:
    """Publish lines as the product's publisher does, acknowledged."""
    async with ChangePublisher(settings) as publisher:
        await publisher.publish(iter(lines))


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Connection]:
    """A connection for looking on."""
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        yield connection
    finally:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            await connection.close(timeout=5)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which ``percent`` of the sorted values lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
