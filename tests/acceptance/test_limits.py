"""Whatever a route takes at the largest: probes are answered, and the API's memory is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
import os
import resource
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from nova_stream.api.app import ROUTES
from nova_stream.api.budget.budget import MB
from nova_stream.api.convex.backend import FUNCTIONS
from nova_stream.local.ports import free_port
from nova_stream.publish.position_token import PositionToken
from nova_stream.storage.database import connect
from tests.acceptance.harness import Stack, stopped_at_the_end, until
from tests.acceptance.largest import CALLS, FILL_AGENTS, FILL_REST, LARGEST, TOGETHER, TOKEN
from tests.acceptance.test_broker_kills import ready, start_api
from tools.limits_page import budgets_of

_log = logging.getLogger(__name__)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

MEMORY = 300 * MB
#: Seconds within which probes answer: enough for a machine that does other things, too, and not
#: for a loop that is blocked. For a quiet one with two cores: NOVA_TEST_PROBE=0.25.
PROBED = float(os.environ.get("NOVA_TEST_PROBE", "2.5"))
OTHER = "another"


def test_the_walk_goes_to_every_route_and_function() -> None:
    routes = budgets_of(route for module in ROUTES for route in module.router.routes)
    assert routes.keys() == LARGEST.keys()
    text = b"".join(CALLS).decode()
    for path, function in FUNCTIONS.items():
        assert function.kind == "mutation" or path in text, path


class Probes:
    """A process that asks whether the API lives, again and again, and looks at its memory."""

    def __init__(self, stack: Stack, address: str, process: subprocess.Popen[bytes]) -> None:
        self._told = stack.folder / "probes.txt"
        self._asks = [sys.executable, "-c", PROBE, address, str(process.pid)]
        self._seen = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        with self._told.open("wb") as told, subprocess.Popen(self._asks, stdout=told) as probing:
            try:
                yield
                assert probing.poll() is None
            finally:
                probing.kill()

    def told(self) -> tuple[int, int]:
        """The slowest probe since the last question in milliseconds, and the largest memory so far
        in MB.
        """
        lines = [line.split() for line in self._told.read_text().splitlines()]
        assert lines
        slowest = max((float(line[0]) for line in lines[self._seen :]), default=0.0)
        self._seen = len(lines)
        return round(slowest * 1000), round(max(int(line[1]) for line in lines) / MB)


#: Prints how long each probe took, on a connection of its own, and the memory of a process.
PROBE = """
import sys, time, urllib.request
import psutil
address, process = sys.argv[1], psutil.Process(int(sys.argv[2]))
while True:
    began = time.monotonic()
    with urllib.request.urlopen(f"{address}/health/live", timeout=30) as answer:
        assert answer.status == 200
    print(time.monotonic() - began, process.memory_info().rss, flush=True)
    time.sleep(0.02)
"""


async def fill(stack: Stack, statements: list[str]) -> None:
    connection = await connect(stack.settings, "fill")
    try:
        await connection.execute("SET transaction_timeout = 0")
        for statement in statements:
            await connection.execute(statement, timeout=300)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    os.environ["NOVA_API_TOKEN"] = TOKEN
    os.environ["NOVA_API_TOKENS"] = f"other:publish:{OTHER}"
    os.environ["NOVA_API_RATE"] = "0"
    try:
        process = start_api(stack, port)
    finally:
        for name in ("NOVA_API_TOKEN", "NOVA_API_TOKENS", "NOVA_API_RATE"):
            del os.environ[name]
    with stopped_at_the_end([process, stack.start_worker()]):
        await until("the API is ready", lambda: ready(address))
        yield address, process
        assert process.poll() is None
        log = (stack.folder / "api.log").read_text()
        assert "Traceback" not in log, log[-4000:]


async def test_every_route_at_its_largest(stack: Stack) -> None:
    await fill(stack, [*FILL_AGENTS, *FILL_REST])
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        found: dict[str, Any] = {}
        with probes.watching():
            async with (
                httpx.AsyncClient(base_url=address, headers=headers, timeout=120) as client,
            ):

                async def ask(name: str, path: str, body: bytes | None) -> int:
                    method = name.partition(" ")[0]
                    answer = await client.request(method, path, content=body)
                    assert answer.status_code != 500, (name, answer.text[:500])
                    return answer.status_code

                for name, requests in LARGEST.items():
                    for path, body in requests:
                        asked = [ask(name, path, body) for _ in range(TOGETHER)]
                        statuses = set(await asyncio.gather(*asked))
                        slowest, largest = probes.told()
                        found[f"{path} {(body or b'')[:60]!r}"] = (slowest, largest, statuses)
        for line, figures in found.items():
            _log.info("%s ms, %s MB, %s: %s", *figures, line)
        assert max(largest for _, largest, _ in found.values()) * MB < MEMORY
        slow = {line: figures for line, figures in found.items() if figures[0] > PROBED * 1000}
        assert not slow


async def test_a_hundred_streams_that_never_read(stack: Stack) -> None:
    await fill(stack, FILL_AGENTS)
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        port = int(address.rpartition(":")[2])
        ask = (
            f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\n\r\n"
        ).encode()
        with contextlib.ExitStack() as opened, probes.watching():
            for _ in range(100):
                peer = opened.enter_context(socket.socket())
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.connect(("127.0.0.1", port))
                peer.sendall(ask)
                await asyncio.sleep(0.05)
            await asyncio.sleep(5)
        slowest, largest = probes.told()
        _log.info("%s ms, %s MB", slowest, largest)
        assert largest * MB < MEMORY
        assert slowest <= PROBED * 1000


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_3000_idle_and_500_half_open_connections(stack: Stack) -> None:
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        port = int(address.rpartition(":")[2])
        half = b"GET /api/v1/overview HTTP/1.1\r\nHost: x\r\n"
        with many_files(), contextlib.ExitStack() as opened, probes.watching():
            for number in range(3500):
                peer = opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))
                if number >= 3000:
                    peer.sendall(half)
                if number % 100 == 99:
                    await asyncio.sleep(0)
            async with httpx.AsyncClient(base_url=address, timeout=10) as client:
                for _ in range(20):
                    page = await client.get("/")
                    assert page.status_code == 200
                    answer = await client.get(
                        "/api/v1/overview", headers={"Authorization": f"Bearer {TOKEN}"}
                    )
                    assert answer.status_code == 200
                    await asyncio.sleep(0.05)
        slowest, largest = probes.told()
        _log.info("%s ms, %s MB", slowest, largest)
        assert slowest <= PROBED * 1000
        assert largest * MB < MEMORY


# -- those who hold on to what they get ------------------------------------------------------------


def after(stack: Stack, partitions: int) -> str:
    """A token that the stream does not come to."""
    topic = next(iter(stack.settings.topics()))
    return PositionToken({topic: dict.fromkeys(range(partitions), 0) | {0: 10**9}}).encode()


async def status_of(address: str, headers: bytes, body: bytes = b"") -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(headers + body)
    line = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return int(line.split()[1])


async def test_those_who_hold_on_keep_nobody_else_out(stack: Stack) -> None:
    packed = gzip.compress(json.dumps({"entity": "users", "after": {"id": "u"}}).encode())
    async with running(stack) as (address, process):
        probes = Probes(stack, address, process)
        port = int(address.rpartition(":")[2])

        def head(first: str, token: str = TOKEN, *more: str) -> bytes:
            lines = (first + " HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *more)
            return "\r\n".join((*lines, "", "")).encode()

        found: dict[str, Any] = {}
        with contextlib.ExitStack() as opened, probes.watching():

            async def hold(sent: list[bytes]) -> None:
                for data in sent:
                    peer = opened.enter_context(socket.create_connection(("127.0.0.1", port), 10))
                    peer.sendall(data)
                    await asyncio.sleep(0.005)
                await asyncio.sleep(1)

            names = ",".join(f"agent-{number:030}" for number in range(99))
            await hold([head(f"GET /api/v1/stream?agents=n{n},{names}") for n in range(180)])
            found["streams"] = probes.told()
            many = ",".join(f"{number:x}" for number in range(10_000))
            assert await status_of(address, head(f"GET /api/v1/stream?agents={many}")) == 422
            waits = "GET /api/v1/overview?timeout=5&after="
            assert await status_of(address, head(f"{waits}{after(stack, 2400)}")) == 422
            await hold([head(f"{waits}{after(stack, 1)}")] * 400)
            found["waiting"] = probes.told()
            slow = head("POST /api/query", TOKEN, "Transfer-Encoding: chunked")
            await hold([slow + b"10001\r\n" + b" " * 0x10001 + b"\r\n"] * 20)
            publish = head(
                "POST /api/v1/events",
                OTHER,
                "Content-Encoding: gzip",
                f"Content-Length: {len(packed)}",
            )
            assert await status_of(address, publish, packed) == 202
            found["bodies"] = probes.told()
        _log.info("%s", found)
        for slowest, largest in found.values():
            assert slowest <= PROBED * 1000
            assert largest * MB < MEMORY
