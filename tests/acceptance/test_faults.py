"""Five pages stay open while everything else fails in turn: each says what is wrong, and goes on.

``make chaos-pages`` makes the long campaign of it: 30 kills of the broker, 10 of each other fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import asyncpg
import httpx
import psutil
import pytest
from playwright.async_api import Page, async_playwright

from nova_stream.local.ports import free_port
from tests.acceptance.conftest import stack_in
from tests.acceptance.harness import Stack, signal_all, stopped_at_the_end, until
from tests.acceptance.relay import Relay
from tests.acceptance.test_broker_kills import ready, start_api
from tests.chromium import ARGUMENTS, CHROMIUM

FAULTS = int(os.environ.get("NOVA_TEST_FAULTS", "1"))
KILLS = int(os.environ.get("NOVA_TEST_KILLS", str(FAULTS)))
PAGES = 5
#: Seconds until every page and /health/ready say what is wrong.
TOLD_WITHIN = 5.0
#: Seconds until every page is live again: a worker joins its group in that time, too.
LIVE_WITHIN = 90.0

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120 + 60 * (KILLS + 6 * FAULTS))]

_log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None]]


class Fault(NamedTuple):
    """What happens, what ends it, what the pages' pill says meanwhile, and how often.

    ``checks`` is what /health/ready says; empty where that is nothing else than before.
    """

    happens: Step
    ends: Step
    pill: str
    checks: Mapping[str, str] = MappingProxyType({})
    times: int = FAULTS


NO_KAFKA = ("Kafka refuses connections", {"kafka": "away"})
MUTE_KAFKA = ("Kafka does not answer", {"kafka": "away: no answer"})
NO_POSTGRES = ("Postgres refuses connections", {"database": "away"})
MUTE_POSTGRES = ("Postgres does not answer", {"database": "away: no answer"})


class Platform:
    """A worker and an API that may be killed, on servers that may be, too."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.worker = self._kept(stack.start_worker())
        self.api = self._kept(start_api(stack, self.port))

    async def kill_worker(self) -> None:
        await _killed(self.worker)

    async def start_worker(self) -> None:
        self.worker = self._kept(self.stack.start_worker())

    async def kill_api(self) -> None:
        await _killed(self.api)

    async def start_api(self) -> None:
        self.api = self._kept(start_api(self.stack, self.port))

    def signal_kafka(self, number: signal.Signals) -> Step:
        return lambda: _signal(self.stack.kafka.pid, number)

    def signal_postgres(self, number: signal.Signals) -> Step:
        return lambda: _signal(self.stack.postgres.pid, number)

    def signal_api(self, number: signal.Signals) -> Step:
        return lambda: _signal(self.api.pid, number)

    async def start_kafka(self) -> None:
        await asyncio.to_thread(self.stack.kafka.start)

    async def start_postgres(self) -> None:
        await asyncio.to_thread(self.stack.postgres.start)

    async def stop_postgres(self) -> None:
        await asyncio.to_thread(self.stack.postgres.stop)

    def _kept(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        self.processes.append(process)
        return process

    async def go_on(self) -> None:
        """Let whoever was stopped go on: it could not be ended otherwise."""
        for server in (self.stack.kafka, self.stack.postgres):
            if server.pid is not None and psutil.pid_exists(server.pid):
                await _signal(server.pid, signal.SIGCONT)

    def logs(self) -> str:
        return self.stack.logs() + (self.stack.folder / "api.log").read_text()

    def faults(self) -> dict[str, Fault]:
        kafka, postgres, api = self.signal_kafka, self.signal_postgres, self.signal_api
        stop, go, kill = signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL
        slots = Slots(self.stack)
        return {
            "Kafka is killed": Fault(kafka(kill), self.start_kafka, *NO_KAFKA, KILLS),
            "Kafka hangs": Fault(kafka(stop), kafka(go), *MUTE_KAFKA),
            "Postgres is killed": Fault(postgres(kill), self.start_postgres, *NO_POSTGRES),
            "Postgres hangs": Fault(postgres(stop), postgres(go), *MUTE_POSTGRES),
            "Postgres is stopped": Fault(self.stop_postgres, self.start_postgres, *NO_POSTGRES),
            "Postgres is full": Fault(slots.take, slots.give_back, *NO_POSTGRES),
            "the worker is killed": Fault(self.kill_worker, self.start_worker, "No worker runs"),
            "the API is killed": Fault(self.kill_api, self.start_api, "Connection lost"),
            "the API hangs": Fault(api(stop), api(go), "Connection lost"),
        }


class Slots:
    """All connections that Postgres gives, none of them left for others."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.settings.database_url.get_secret_value()
        self._taken: list[asyncpg.Connection[Any]] = []

    async def take(self) -> None:
        quiet = 0
        while quiet < 2:  # a session that ends may leave its slot to another one meanwhile
            new = await self._fill()
            others = await self._taken[0].fetch(_END_OTHERS)
            quiet = 0 if new or others else quiet + 1

    async def give_back(self) -> None:
        await asyncio.gather(*(connection.close() for connection in self._taken))
        self._taken.clear()

    async def _fill(self) -> int:
        before = len(self._taken)
        with contextlib.suppress(asyncpg.TooManyConnectionsError):
            while True:
                self._taken.append(await asyncpg.connect(self._url))
        return len(self._taken) - before


#: Ends the sessions of worker and API, and tells which there were.
_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'nova-stream%'
"""


async def _killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    await asyncio.to_thread(process.wait)


async def _signal(pid: int | None, number: signal.Signals) -> None:
    signal_all(pid, number)


@contextlib.asynccontextmanager
async def pages_of(address: str) -> AsyncIterator[list[Page]]:
    """Pages of the dashboard in a Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        pages = [await (await browser.new_context()).new_page() for _ in range(PAGES)]
        errors: list[str] = []
        for page in pages:
            page.on("pageerror", lambda error: errors.append(str(error.stack)))
            await page.goto(address)
        try:
            yield pages
        finally:
            await browser.close()
            assert errors == []


async def say(pages: list[Page], pill: str) -> bool:
    """Whether the pill of every page begins with ``pill``, and, unless that is that all is well,
    each says of its numbers how old they are.
    """
    for page in pages:
        texts = [await page.locator(place).inner_text() for place in ("#state-text", ".banner")]
        old = pill == "Live" or any(word in texts[1] for word in (" old.", " until "))
        if not texts[0].startswith(pill) or not old:
            return False
    return True


async def checks(address: str, wanted: Mapping[str, str]) -> bool:
    """Whether /health/ready says what is ``wanted``."""
    async with httpx.AsyncClient(base_url=address, timeout=TOLD_WITHIN) as client:
        told: dict[str, str] = (await client.get("/health/ready")).json()["checks"]
    return wanted.items() <= told.items()


async def applied(address: str) -> bool:
    """Whether a change is published and applied."""
    change = {"entity": "tasks", "op": "c", "after": {"id": "t", "status": "done"}}
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        told = await client.post("/api/v1/events", json=change)
        after = {"after": told.json().get("token"), "timeout": 20}
        return told.is_success and (await client.get("/api/v1/overview", params=after)).is_success


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
async def test_five_pages_say_what_is_wrong_and_go_on(stack: Stack) -> None:
    platform = Platform(stack)
    await _campaign(platform, platform.faults())


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
async def test_five_pages_say_that_the_network_of_kafka_is_bad(
    relayed: tuple[Stack, Relay],
) -> None:
    stack, relay = relayed

    def delay(seconds: float | None) -> Step:
        async def set_it() -> None:
            relay.set_delay(seconds)

        return set_it

    faults = {
        "Kafka is half open": Fault(delay(None), delay(0), *MUTE_KAFKA),
        "Kafka is slow": Fault(delay(3), delay(0), *MUTE_KAFKA),
    }
    await _campaign(Platform(stack), faults)


@pytest.fixture
def relayed(tmp_path: Path, nova_topic_prefix: str) -> Iterator[tuple[Stack, Relay]]:
    """A stack that has its Kafka behind a relay."""
    port = free_port()
    with Relay(port) as relay:
        at = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{relay.port}"}
        with stack_in(tmp_path, nova_topic_prefix, port=port, properties=at) as stack:
            stack.brokers = f"127.0.0.1:{relay.port}"
            yield stack, relay


async def _campaign(platform: Platform, faults: dict[str, Fault]) -> None:
    slowest: dict[str, tuple[float, float]] = {}
    with stopped_at_the_end(platform.processes):
        await until("the API is ready", lambda: ready(platform.address))
        await until("something is applied", lambda: applied(platform.address))
        try:
            async with pages_of(platform.address) as pages:
                await until("all pages are live", lambda: say(pages, "Live"), LIVE_WITHIN)
                for name, fault in faults.items():
                    for _ in range(fault.times):
                        told, live = await _dance(platform, pages, name, fault)
                        before = slowest.get(name, (0.0, 0.0))
                        slowest[name] = (max(before[0], told), max(before[1], live))
        except AssertionError as error:
            error.add_note(platform.logs()[-4000:])
            raise
        finally:
            await platform.go_on()
    for name, (told, live) in slowest.items():
        times = faults[name].times
        _log.info("%s, %d times: told in %.1f s, live again in %.1f s", name, times, told, live)
    assert "Traceback" not in platform.logs()


async def _dance(
    platform: Platform, pages: list[Page], name: str, fault: Fault
) -> tuple[float, float]:
    """Seconds until all say it, and from its end until the pages are live again, at most."""
    await fault.happens()
    began = time.monotonic()
    await until(f"{name}: pages say {fault.pill}", lambda: say(pages, fault.pill), TOLD_WITHIN)
    if fault.checks:
        left = TOLD_WITHIN - (time.monotonic() - began)
        told = lambda: checks(platform.address, fault.checks)  # noqa: E731
        await until(f"{name}: /health/ready says {fault.checks}", told, left)
    took = time.monotonic() - began
    await fault.ends()
    ended = time.monotonic()
    await until(f"after {name}: all pages are live", lambda: say(pages, "Live"), LIVE_WITHIN)
    for process in (platform.worker, platform.api):
        assert process.poll() is None, f"{name} ended it:\n{platform.logs()[-4000:]}"
    return took, time.monotonic() - ended
