"""Connections: those that ask for nothing give way, those that are slow end, probes get in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from nova_stream.api import connections
from nova_stream.api.budget.budget import CUT
from nova_stream.api.connections import PROBES, Connections
from nova_stream.api.metrics import ApiMetrics

pytestmark = pytest.mark.integration

MOST = 20
LIMIT = 10.0
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Serving:
    """A server with few places, and raw connections to it."""

    def __init__(self, port: int, metrics: ApiMetrics) -> None:
        self.port = port
        self._metrics = metrics
        self.peers: list[Peer] = []
        #: Set to let held requests go on.
        self.goes_on = asyncio.Event()

    async def connect(self, sent: bytes = b"") -> Peer:
        peer = await asyncio.open_connection("127.0.0.1", self.port)
        peer[1].write(sent)
        self.peers.append(peer)
        return peer

    async def ask(self, path: str) -> int:
        async with httpx.AsyncClient() as client:
            found = await client.get(f"http://127.0.0.1:{self.port}{path}", timeout=LIMIT)
            return found.status_code

    def closed(self, reason: str) -> float:
        name, labels = "nova_api_connections_closed_total", {"reason": reason}
        return self._metrics.registry.get_sample_value(name, labels) or 0

    def open(self) -> float:
        return self._metrics.registry.get_sample_value("nova_api_connections") or 0


@asynccontextmanager
async def serving(most: int = MOST) -> AsyncIterator[Serving]:
    app = FastAPI()
    metrics = ApiMetrics()

    @app.get("/health/live")
    @app.get("/page")
    async def answer() -> str:
        return "here"

    @app.get("/held")
    async def held() -> str:
        await found.goes_on.wait()
        return "here"

    @app.get("/given-up")
    async def given_up(request: Request) -> Response:
        request.scope[CUT]("not read")
        await asyncio.sleep(0)
        return Response("x" * 1000)

    @app.get("/large")
    async def large() -> Response:
        return StreamingResponse(pieces())

    @app.post("/body")
    async def body(request: Request) -> str:
        return str(len(await request.body()))

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 65536

    guard = Connections(most, metrics)
    config = uvicorn.Config(
        app,
        port=0,
        http=guard.protocol(),
        log_config=None,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=60,
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    found = Serving(server.servers[0].sockets[0].getsockname()[1], metrics)
    try:
        yield found
    finally:
        found.goes_on.set()
        for _, writer in found.peers:
            writer.close()
        server.should_exit = True
        await running


async def until(ask: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not ask():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


async def ended(peer: Peer) -> None:
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(LIMIT):
            while await peer[0].read(65536):
                pass


async def test_who_asks_for_nothing_gives_way_to_who_comes() -> None:
    async with serving() as found:
        idle = [await found.connect() for _ in range(3 * MOST)]
        half = [await found.connect(b"GET /page HTTP/1.1\r\nHost: x\r\n") for _ in range(MOST)]
        for path in ("/health/live", "/page"):
            assert await found.ask(path) == 200
        assert found.open() <= MOST
        assert found.closed("no place") >= 3 * MOST
        await ended(idle[0])
        half[-1][1].write(b"\r\n")  # the newest still has its place
        assert (await asyncio.wait_for(half[-1][0].readline(), LIMIT)).endswith(b"200 OK\r\n")


async def test_where_all_are_at_work_probes_get_in_and_nobody_else() -> None:
    async with serving() as found:
        ask = b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"
        at_work = [await found.connect(ask) for _ in range(MOST * 3 // 4)]
        await until(lambda: found.open() == len(at_work))
        assert await found.ask("/health/live") == 200
        assert await found.ask("/page") == 503
        more = [await found.connect() for _ in range(2 * PROBES)]
        assert await found.ask("/health/live") == 200
        await ended(more[0])
        found.goes_on.set()
        for reader, _ in at_work:  # nobody at work was ended
            line = await asyncio.wait_for(reader.readline(), LIMIT)
            assert line.endswith(b"200 OK\r\n")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "slow headers"),
        (b"GET /page HTTP/1.1\r\nHost: x\r\nX-A: ", "slow headers"),
        (b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123", "slow body"),
        (b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n", "not read"),
        # What is left of an answer when the server has done with it, and wants to close.
        (b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n", "not read"),
        (b"GET /given-up HTTP/1.1\r\nHost: x\r\n\r\n", "not read"),
    ],
)
async def test_who_is_slow_is_ended(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, reason: str
) -> None:
    monkeypatch.setitem(connections._LIMITS, "headers", 0.3)
    monkeypatch.setitem(connections._LIMITS, "body", 0.3)
    monkeypatch.setitem(connections._LIMITS, "idle", 0.3)
    monkeypatch.setattr(connections, "UNREAD", 0.3)
    async with serving() as found:
        peer = await found.connect(sent)
        await until(lambda: found.closed(reason) == 1)
        await until(lambda: found.open() == 0)
        await ended(peer)


async def test_a_trickle_does_not_put_the_deadline_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections._LIMITS, "headers", 0.5)
    async with serving() as found:
        reader, writer = await found.connect(b"GET /page HTTP/1.1\r\nHost: x\r\nX-A: ")
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(LIMIT):
                while not reader.at_eof() and not found.closed("slow headers"):
                    writer.write(b"x")
                    await asyncio.sleep(0.05)
        assert found.closed("slow headers") == 1


async def test_what_is_in_time_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections._LIMITS, "headers", 0.3)
    monkeypatch.setitem(connections._LIMITS, "body", 0.3)
    async with serving() as found:
        reader, writer = await found.connect()
        asked = [
            b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
            b"GET /page HTTP/1.1\r\nHost: x\r\n\r\n" * 2,  # pipelined
        ]
        for number, request in enumerate(asked):
            writer.write(request)
            if number == 0:
                await asyncio.sleep(0.6)  # longer than it may take to ask
                found.goes_on.set()
            for _ in range(request.count(b"HTTP/1.1")):
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
                assert head.startswith(b"HTTP/1.1 200")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                await reader.readexactly(length)
        assert found.open() == 1
