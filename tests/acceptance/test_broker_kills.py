"""A broker that is killed, again and again, ends neither the API nor a worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psutil
import pytest

from nova_stream.local.ports import free_port
from tests.acceptance.harness import Stack, stopped_at_the_end, until

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

_log = logging.getLogger(__name__)

#: librdkafka's admin client ended the API in half of the kills.
KILLS = int(os.environ.get("NOVA_TEST_KILLS", "3"))
#: Pages that poll the status, and that follow the stream.
PAGES = 4
#: Seconds until everything works again after the broker has been started.
RECOVERS_WITHIN = 60.0


class Pages:
    """Pages of the dashboard that stay open: they poll the status and follow the stream."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.answers: list[dict[str, Any]] = []
        self.failures: list[str] = []

    async def poll(self) -> None:
        async with httpx.AsyncClient(base_url=self.address, timeout=10) as client:
            while True:
                for path in ("/api/v1/stream/status", "/health/ready"):
                    try:
                        answer = await client.get(path)
                    except httpx.HTTPError as error:
                        self.failures.append(f"{path}: {error!r}")
                    else:
                        if path.endswith("status"):
                            self.answers.append(answer.json())
                await asyncio.sleep(0.05)

    async def follow(self) -> None:
        try:
            async with (
                httpx.AsyncClient(base_url=self.address, timeout=None) as client,
                client.stream("GET", "/api/v1/stream") as answer,
            ):
                async for _ in answer.aiter_lines():
                    pass
            self.failures.append("a stream ended")
        except httpx.HTTPError as error:
            self.failures.append(f"a stream broke: {error!r}")

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(do()) for _ in range(PAGES) for do in (self.poll, self.follow)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def start_api(stack: Stack, port: int) -> subprocess.Popen[bytes]:
    with (stack.folder / "api.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "nova_stream.cli.main", "api", "--port", str(port)],
            env=stack.environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )


async def test_a_killed_broker_ends_neither_api_nor_worker(stack: Stack) -> None:
    port = free_port()
    pages = Pages(f"http://127.0.0.1:{port}")
    processes = {"worker": stack.start_worker(), "API": start_api(stack, port)}
    recovered = []
    with stopped_at_the_end(list(processes.values())):
        await until("the API is ready", lambda: ready(pages.address))
        async with pages.open():
            for number in range(KILLS):
                recovered.append(await killed(stack, pages, number))
                for name, process in processes.items():
                    log = stack.logs() + (stack.folder / "api.log").read_text()
                    assert process.poll() is None, f"the {name} ended:\n{log[-4000:]}"
    _log.info("%d answers; seconds to recover: %s", len(pages.answers), recovered)
    assert pages.failures == []


async def killed(stack: Stack, pages: Pages, number: int) -> float:
    """Kill the broker while everything works, start it again; seconds until all works again."""
    await until("a worker reads", lambda: works(pages), RECOVERS_WITHIN)
    assert stack.kafka.pid is not None
    psutil.Process(stack.kafka.pid).send_signal(signal.SIGKILL)
    await until("the page says so", lambda: says(pages, kafkaUp=False))
    await asyncio.to_thread(stack.kafka.start)
    began = time.monotonic()
    await until("a change is applied", lambda: applied(pages, number), RECOVERS_WITHIN)
    return round(time.monotonic() - began, 1)


async def ready(address: str) -> bool:
    async with httpx.AsyncClient(base_url=address) as client:
        try:
            return (await client.get("/health/ready")).status_code == 200
        except httpx.HTTPError:
            return False


async def works(pages: Pages) -> bool:
    return await says(pages, kafkaUp=True, databaseUp=True, workers=1, lag=0)


async def says(pages: Pages, **fields: Any) -> bool:
    return bool(pages.answers) and fields.items() <= pages.answers[-1].items()


async def applied(pages: Pages, number: int) -> bool:
    """Whether a change is published and applied."""
    change = {"entity": "tasks", "op": "c", "after": {"id": f"t{number}", "status": "done"}}
    async with httpx.AsyncClient(base_url=pages.address, timeout=60) as client:
        answer = await client.post("/api/v1/events", json=change)
        if answer.status_code >= 300:
            return False
        token = answer.json()["token"]
        read = await client.get("/api/v1/overview", params={"after": token, "timeout": 20})
    return read.status_code == 200 and read.json()["completedTasks"] == number + 1
