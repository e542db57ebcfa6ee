"""``python -m benchmarks.api_load streams|reads …``: the API's clients, as processes of their own.

Both speak HTTP over bare sockets, so that little of the processor goes into measuring. Results are
one line of JSON on standard output.
"""

from __future__ import annotations

import asyncio
import re
import resource
import sys
import time
from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

PATHS = ("/api/v1/agents/stats", "/api/v1/overview", "/api/v1/builds/stats")

_EVENT = re.compile(rb"id: [^\n]*\nevent: ([a-z-]+)\ndata: ([^\n]*)\n\n")
_KEY = re.compile(rb'"(?:agentId":"|id":"|agentName":")[^"]*')
_OPEN = 60.0
_IDLE = 3.0
#: Seconds between two looks at the clock, and by which one may be late.
_TICK = 0.02
_STALL = 0.05
_CONNECTING = 50  # at once


class _Row(NamedTuple):
    key: bytes
    data: bytes


class _Parsed:
    """Frames as rows; a frame that many clients get is read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, list[_Row]] = {}

    def rows(self, frame: bytes) -> list[_Row]:
        found = self._known.get(frame)
        if found is None:
            if len(self._known) > 64:
                self._known.clear()
            found = self._known[frame] = [_row(*match) for match in _EVENT.findall(frame)]
        return found


def _row(event: bytes, data: bytes) -> _Row:
    kind = b"agent" if event == b"agent-gone" else event
    key = _KEY.search(data) if kind in {b"agent", b"build", b"activity"} else None
    return _Row(kind + (key[0] if key else b""), data)


class _Stalls:
    """When this process last stood still: frames that came one after the other are then read at
    once, which says nothing about the API.
    """

    def __init__(self) -> None:
        self._ran_at = time.perf_counter()
        self._stalled_at = float("-inf")

    async def watch(self) -> None:
        while True:
            self.recent(time.perf_counter())
            self._ran_at = time.perf_counter()
            await asyncio.sleep(_TICK)

    def recent(self, now: float) -> bool:
        """Whether it stood still within the last second."""
        if now - self._ran_at > _TICK + _STALL:
            self._stalled_at = now
        return now - self._stalled_at < 1.0


class _Reader(asyncio.Protocol):
    """One stream: when its rows came, and what they were last."""

    def __init__(self, parsed: _Parsed, stalls: _Stalls, request: bytes) -> None:
        self._parsed = parsed
        self._stalls = stalls
        self._request = request
        self._rest = b""
        self._began = False
        self.last: dict[bytes, bytes] = {}
        self.times: dict[bytes, tuple[float, float]] = {}
        self.updates: Counter[bytes] = Counter()
        self.received = 0
        self.crowded: Counter[str] = Counter()
        self.complete = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.received += len(data)
        data = self._rest + data
        if not self._began:
            head, _, data = data.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            self._began = True
        end = data.rfind(b"\n\n") + 2
        self._rest = data[end:]
        if end > 1:
            self._take(data[:end], now)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.complete.done():
            self.complete.set_exception(exc or ConnectionError("the stream ended"))

    def _take(self, frame: bytes, now: float) -> None:
        last, times = self.last, self.times
        for key, data in self._parsed.rows(frame):
            if key == b"snapshot":
                self.complete.set_result(None)
                continue
            if last.get(key) == data:
                continue
            last[key] = data
            before = times.get(key)
            if before is None:
                times[key] = (-1e9, now)
                continue
            if now - before[0] < 1.0:  # three within a second
                self.crowded["unclear" if self._stalls.recent(now) else "clear"] += 1
            times[key] = (before[1], now)
            self.updates[key] += 1


async def streams(address: str, count: int) -> dict[str, Any]:
    """Open streams, tell on standard output that all are, and read until a line comes in."""
    parts = urlsplit(address)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    # HTTP/1.0: the answer is the events alone, without the sizes of its parts.
    request = f"GET /api/v1/stream HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()
    parsed, stalls = _Parsed(), _Stalls()
    watching = asyncio.create_task(stalls.watch())
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(_CONNECTING)

    async def one() -> _Reader:
        async with gate:
            _, reader = await loop.create_connection(
                lambda: _Reader(parsed, stalls, request), host, port
            )
            await asyncio.wait_for(reader.complete, _OPEN)
            return reader

    readers = await asyncio.gather(*(one() for _ in range(count)))
    began, received = time.perf_counter(), sum(reader.received for reader in readers)
    _say({"open": len(readers)})
    await loop.run_in_executor(None, sys.stdin.readline)
    seconds = time.perf_counter() - began
    watching.cancel()
    agents = Counter(
        tuple(sorted(data for key, data in reader.last.items() if key.startswith(b"agent")))
        for reader in readers
    )
    return {
        "lost": sum(reader.lost for reader in readers),
        "updates": sum(reader.updates.total() for reader in readers),
        "mb_per_s": (sum(reader.received for reader in readers) - received) / seconds / 1e6,
        "crowded": sum(reader.crowded["clear"] for reader in readers),
        "unclear": sum(reader.crowded["unclear"] for reader in readers),
        "busiest": max(max(reader.updates.values(), default=0) for reader in readers) / seconds,
        "cpu_s": _cpu(),
        "pictures": [
            {"clients": clients, "agents": [msgspec.json.decode(row) for row in rows]}
            for rows, clients in agents.items()
        ],
    }


async def reads(address: str, rate: float, seconds: float) -> dict[str, Any]:
    """Read the statistics at a steady rate; times count from when a request was due."""
    free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
    times: dict[str, list[float]] = {path: [] for path in PATHS}
    failed: Counter[int] = Counter()
    running: set[asyncio.Task[None]] = set()
    began = time.perf_counter()

    async def one(path: str, due: float) -> None:
        connection = None if free.empty() else free.get_nowait()
        if connection is None or connection.idle():
            connection = await Connection.open(address)
        status = await connection.get(path)
        times[path].append((time.perf_counter() - due) * 1000)
        failed[status] += status != 200
        free.put_nowait(connection)

    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(PATHS[number % len(PATHS)], due))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return {"times": times, "failed": sum(failed.values()), "cpu_s": _cpu()}


class Connection:
    """A connection that is kept."""

    def __init__(
        self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._host = host
        self._used_at = time.perf_counter()
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> Connection:
        parts = urlsplit(address)
        return cls(parts.netloc, *await asyncio.open_connection(parts.hostname, parts.port))

    def idle(self) -> bool:
        """Whether the server may be about to close it."""
        return time.perf_counter() - self._used_at > _IDLE

    async def get(self, path: str) -> int:
        """The status of the whole answer."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        size = re.search(rb"content-length: (\d+)", head)
        assert size is not None, head
        await self._reader.readexactly(int(size[1]))
        self._used_at = time.perf_counter()
        return int(head[9:12])


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(value: Any) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Be the clients that the arguments name."""
    kind, address, *numbers = sys.argv[1:]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    if kind == "streams":
        _say(asyncio.run(streams(address, int(numbers[0]))))
    else:
        _say(asyncio.run(reads(address, float(numbers[0]), float(numbers[1]))))


if __name__ == "__main__":
    main()
