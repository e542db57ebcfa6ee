"""Five pages stay open while everything else fails in turn: each says what is wrong, and goes on.

``NOVA_TEST_FAULTS=10 NOVA_TEST_KILLS=30`` makes the long campaign of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import pytest
from playwright.async_api import Page, async_playwright

from nova_stream.local.ports import free_port
from tests.acceptance.harness import Stack, signal_all, stopped_at_the_end, until
from tests.acceptance.test_broker_kills import ready, start_api
from tests.chromium import ARGUMENTS, CHROMIUM

FAULTS = int(os.environ.get("NOVA_TEST_FAULTS", "1"))
KILLS = int(os.environ.get("NOVA_TEST_KILLS", str(FAULTS)))
PAGES = 5
#: Seconds until every page says what is wrong; the state is asked for every second.
TOLD_WITHIN = float(os.environ.get("NOVA_TEST_TOLD", "10"))
#: Seconds until every page is live again: a worker joins its group in that time, too.
LIVE_WITHIN = 90.0

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120 + 60 * (KILLS + 6 * FAULTS))]

_log = logging.getLogger(__name__)

Step = Callable[[], Awaitable[None]]


class Fault(NamedTuple):
    """What happens, what the pages' pill says then, and what ends it."""

    happens: Step
    pill: str
    ends: Step
    times: int


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

    async def signal_kafka(self, number: signal.Signals) -> None:
        signal_all(self.stack.kafka.pid, number)

    async def signal_postgres(self, number: signal.Signals) -> None:
        signal_all(self.stack.postgres.pid, number)

    async def kill_postgres(self) -> None:
        await self.signal_postgres(signal.SIGKILL)

    async def start_kafka(self) -> None:
        await asyncio.to_thread(self.stack.kafka.start)

    async def start_postgres(self) -> None:
        await asyncio.to_thread(self.stack.postgres.start)

    async def stop_postgres(self) -> None:
        await asyncio.to_thread(self.stack.postgres.stop)

    def _kept(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        self.processes.append(process)
        return process

    def logs(self) -> str:
        return self.stack.logs() + (self.stack.folder / "api.log").read_text()

    def faults(self) -> dict[str, Fault]:
        def partial(
            to: Callable[[signal.Signals], Awaitable[None]], number: signal.Signals
        ) -> Step:
            return lambda: to(number)

        kafka, postgres = self.signal_kafka, self.signal_postgres
        stop, go, kill = signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL
        return {
            "Kafka is killed": Fault(
                partial(kafka, kill), "Kafka refuses connections", self.start_kafka, KILLS
            ),
            "Kafka hangs": Fault(
                partial(kafka, stop), "Kafka does not answer", partial(kafka, go), FAULTS
            ),
            "Postgres is killed": Fault(
                self.kill_postgres, "Postgres refuses connections", self.start_postgres, FAULTS
            ),
            "Postgres hangs": Fault(
                partial(postgres, stop),
                "Postgres does not answer",
                partial(postgres, go),
                FAULTS,
            ),
            "Postgres is stopped": Fault(
                self.stop_postgres, "Postgres refuses connections", self.start_postgres, FAULTS
            ),
            "the worker is killed": Fault(
                self.kill_worker, "No worker runs", self.start_worker, FAULTS
            ),
            "the API is killed": Fault(self.kill_api, "Connection lost", self.start_api, FAULTS),
        }


async def _killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    await asyncio.to_thread(process.wait)


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
    """Whether the pill of every page begins with ``pill``."""
    texts = [await page.locator("#state-text").all_inner_texts() for page in pages]
    return all(text and text[0].startswith(pill) for text in texts)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
async def test_five_pages_say_what_is_wrong_and_go_on(stack: Stack) -> None:
    platform = Platform(stack)
    slowest: dict[str, tuple[float, float]] = {}
    with stopped_at_the_end(platform.processes):
        await until("the API is ready", lambda: ready(platform.address))
        async with pages_of(platform.address) as pages:
            await until("all pages are live", lambda: say(pages, "Live"), LIVE_WITHIN)
            for name, fault in platform.faults().items():
                for _ in range(fault.times):
                    told, live = await _dance(platform, pages, name, fault)
                    before = slowest.get(name, (0.0, 0.0))
                    slowest[name] = (max(before[0], told), max(before[1], live))
    for name, (told, live) in slowest.items():
        _log.info("%s: told within %.1f s, live again %.1f s after its end", name, told, live)
    assert "Traceback" not in platform.logs()


async def _dance(
    platform: Platform, pages: list[Page], name: str, fault: Fault
) -> tuple[float, float]:
    """Seconds until all pages say it, and from its end until they are live again."""
    began = time.monotonic()
    await fault.happens()
    await until(f"{name}: pages say {fault.pill}", lambda: say(pages, fault.pill), TOLD_WITHIN)
    told = time.monotonic() - began
    await fault.ends()
    ended = time.monotonic()
    await until(f"after {name}: all pages are live", lambda: say(pages, "Live"), LIVE_WITHIN)
    for process in (platform.worker, platform.api):
        assert process.poll() is None, f"{name} ended it:\n{platform.logs()[-4000:]}"
    return told, time.monotonic() - ended
