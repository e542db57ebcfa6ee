"""Servers, workers and an API of a scenario, all of which may be killed, and who looks on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import psutil

from nova_stream.local.kafka import LocalKafka
from nova_stream.local.ports import free_port
from nova_stream.local.postgres import LocalPostgres
from tests.acceptance.harness import signal_all
from tests.acceptance.relay import Relay

if TYPE_CHECKING:
    from tests.chaos.standby import Standby
    from tests.integration.jobs.test_archive_s3 import Weed

#: Slots come once a minute for those that change nothing; what is old in the traffic stays.
_EVERY_MINUTE = ("COMPUTE_AGENT_STATS", "REFRESH_BUILD_STATS", "HEALTH_CHECK")
_NEVER = (
    "CLEANUP_OLD_ACTIVITY",
    "CHECK_STALLED_BUILDS",
    "COMPACT_OLD_EXECUTIONS",
    "MARK_INACTIVE_USERS",
    "SUMMARIZE_ENGAGEMENT",
)


class LeftOutError(Exception):
    """What a scenario needs is not on this machine."""


class Servers(NamedTuple):
    """The servers of a scenario; ``relay`` is before Kafka, where there is one."""

    folder: Path
    kafka: LocalKafka
    postgres: LocalPostgres
    relay: Relay | None


class Field:
    """Where a scenario takes place. ``product`` is the folder whose nova_stream runs."""

    def __init__(self, servers: Servers, seed: int, product: Path, rate: float) -> None:
        self.folder, self.kafka, self.postgres, self.relay = servers
        self.random = random.Random(seed)
        self.seed = seed
        self.rate = rate
        self.prefix = "chaos"
        self.api_port = free_port()
        self.address = f"http://127.0.0.1:{self.api_port}"
        self.url = self.postgres.url
        self.workers: list[subprocess.Popen[bytes]] = []
        self.environment: dict[str, str] = {}
        #: Folders of modules that the product's processes have besides it.
        self.modules: list[Path] = []
        self.slots_from = datetime.now(UTC)
        #: What a scenario has besides, if it has.
        self.standby: Standby | None = None
        self.newest = product
        self.s3: Weed | None = None
        #: Whether executions go to an archive.
        self.archive = False
        #: Ends what a scenario has started besides.
        self.cleanup = contextlib.ExitStack()
        #: The folder whose nova_stream a process runs.
        self.product = product
        self._all: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._ended: set[int] = set()
        self._wide = self._environment_of_all()

    def _environment_of_all(self) -> dict[str, str]:
        brokers = self.kafka.bootstrap_servers
        if self.relay is not None:
            brokers = f"127.0.0.1:{self.relay.port}"
        return {
            **os.environ,
            "NOVA_KAFKA_BROKERS": brokers,
            "NOVA_TOPIC_PREFIX": self.prefix,
            "NOVA_CONSUMER_GROUP": self.prefix,
            "NOVA_ARCHIVE_URL": f"file://{self.folder}/archive",
            "NOVA_STACK_ENV": str(self.folder / "none.env"),
            **{f"NOVA_SCHEDULE_{job}": "* * * * *" for job in _EVERY_MINUTE},
            **{f"NOVA_SCHEDULE_{job}": "0 0 29 2 *" for job in _NEVER},
        }

    # -- processes ---------------------------------------------------------------------------------

    def command(self, *words: str, product: Path | None = None, **more: str) -> Any:
        """Start ``nova-stream WORDS``; its output goes to a log of its own."""
        log = self.folder / f"{words[0]}-{len(self._all)}.log"
        environment = self._wide | {"NOVA_DATABASE_URL": self.url} | self.environment | more
        environment["PYTHONPATH"] = os.pathsep.join(
            map(str, (product or self.product, *self.modules))
        )
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "nova_stream.cli.main", *words],
                env=environment,
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
            )
        self._all.append((" ".join(words), process))
        return process

    async def run(self, *words: str, product: Path | None = None, **more: str) -> int:
        """``command`` until it ends; gives its exit status."""
        process = self.command(*words, product=product, **more)
        self._ended.add(process.pid)
        return int(await asyncio.to_thread(process.wait))

    async def answer(self, *words: str) -> tuple[int, str]:
        """``run``, with what it printed."""
        status = await self.run(*words)
        return status, (self.folder / f"{words[0]}-{len(self._all) - 1}.log").read_text()

    def start_worker(self, product: Path | None = None, **more: str) -> Any:
        self.workers.append(self.command("worker", product=product, **more))
        return self.workers[-1]

    def start_api(self) -> None:
        self.api = self.command("api", "--port", str(self.api_port))

    async def end(self, process: Any, how: signal.Signals = signal.SIGKILL) -> None:
        """End it by a signal; that it is gone counts as nobody's fault."""
        self._ended.add(process.pid)
        process.send_signal(how)
        await asyncio.to_thread(process.wait)
        if process in self.workers:
            self.workers.remove(process)

    async def until_answers(self) -> None:
        """Wait until the API says that it is ready."""
        end = time.monotonic() + 60
        async with httpx.AsyncClient(base_url=self.address, timeout=5) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get("/health/ready")).is_success:
                        return
                assert time.monotonic() < end, "the API is not ready"
                await asyncio.sleep(0.1)

    async def ask_for_run(self, job: str) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=20) as client:
            (await client.post(f"/api/v1/jobs/{job}/run")).raise_for_status()

    def gone(self) -> list[str]:
        """Processes that ended though nobody asked them to."""
        return [
            f"{words} ended with {process.returncode}"
            for words, process in self._all
            if process.pid not in self._ended and process.poll() is not None
        ]

    def tracebacks(self) -> list[str]:
        """Lines of the logs that begin a traceback, with what follows."""
        found = []
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(errors="replace")
            for piece in text.split("Traceback (most recent call last)")[1:]:
                # In JSON a traceback is within a line, on a console it ends with an indented one.
                lines = piece.split("\n")
                end = next((n for n, line in enumerate(lines[1:], 1) if line[:1] != " "), 0)
                told = lines[0] if len(lines[0]) > 10 else "\n".join(lines[: end + 1])
                if "/before/" in told and "graceful shutdown exceeded" in told:
                    # An API of the version before had it where a read waited for its token, and no
                    # release can change that any more.
                    continue
                found.append(f"{log.name}: ...{told[-600:]}")
        return found

    def keep_logs(self, place: Path) -> None:
        """Copy the logs of all processes and servers there."""
        place.mkdir(parents=True, exist_ok=True)
        for log in (*self.folder.glob("*.log"), *self.folder.glob("stack/logs/*")):
            shutil.copy(log, place)

    def end_all(self) -> None:
        self.cleanup.close()
        for _, process in self._all:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
            process.wait()
        for server in (self.kafka, self.postgres):
            if server.pid is not None and psutil.pid_exists(server.pid):
                signal_all(server.pid, signal.SIGCONT)

    # -- what scenarios do -------------------------------------------------------------------------

    async def pause(self, low: float, high: float) -> None:
        """A while that the seed decides: this is when things happen, not waiting for luck."""
        await asyncio.sleep(self.random.uniform(low, high))

    def signal_server(self, server: LocalKafka | LocalPostgres, number: signal.Signals) -> None:
        signal_all(server.pid, number)

    async def until_runs(self, server: LocalKafka | LocalPostgres) -> None:
        """Wait until a server that is being started has a process."""
        while not server.is_running():  # noqa: ASYNC110 - another thread starts it
            await asyncio.sleep(0.01)

    async def restart(self, server: LocalKafka | LocalPostgres) -> None:
        """Start a server again that was killed."""
        await asyncio.to_thread(server.start)


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A tmpfs of ``size`` MB; only root may mount it."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "chaos", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode:
        raise LeftOutError("a tmpfs cannot be mounted: that takes root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextlib.contextmanager
def servers_in(folder: Path, *, relayed: bool = False, disk: int = 0) -> Iterator[Servers]:
    """A Kafka and a Postgres with nothing in them; Kafka behind a relay if ``relayed``, Postgres
    on a disk of its own of ``disk`` MB.
    """
    place = folder / "stack"
    with contextlib.ExitStack() as stack:
        options: dict[str, Any] = {}
        relay = None
        if relayed:
            port = free_port()
            relay = stack.enter_context(Relay(port))
            # The sender and the broker itself talk to it directly; workers and API by the relay.
            at = f"PLAINTEXT://127.0.0.1:{relay.port}"
            options = {"port": port, "properties": {"advertised.listeners": at}}
        kafka = stack.enter_context(LocalKafka(place, **options))
        home = stack.enter_context(small_disk(folder / "disk", disk)) if disk else place
        postgres = stack.enter_context(LocalPostgres(home))
        yield Servers(folder, kafka, postgres, relay)


@contextlib.asynccontextmanager
async def sending(field: Field) -> AsyncIterator[Path]:
    """The sender, from here to the end of the block; then the path of what it noted."""
    file = field.folder / "sent.json"
    words = [field.kafka.bootstrap_servers, field.prefix, str(field.rate), str(field.seed)]
    with (field.folder / "sender.txt").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.sender",
            *words,
            str(file),
            stdin=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield file
        assert process.stdin is not None
        process.stdin.close()
        status = await process.wait()
        assert status == 0, (field.folder / "sender.txt").read_text()[-3000:]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
