"""How much memory a worker takes: by the number of entities, and while the database is away."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Any

import psutil

from benchmarks.common import (
    WORKER,
    Process,
    Stack,
    connected,
    make_topics,
    process,
    publish,
    stack,
)
from benchmarks.report import Say
from benchmarks.workload import AGENTS, distinct
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.settings import Settings

ENTITIES = (200_000, 500_000, 1_000_000, 2_000_000)

_MB = 1024 * 1024
_BACKLOG = 200_000
_WAITING = 500 * _MB
_EACH = 8_000
_SETTLE = 3.0
_STAY_AWAY = 10.0
_LIMIT = 900.0

_APPLIED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM stream_positions"


class Watch:
    """Samples a process's resident memory in a thread of its own."""

    def __init__(self, worker: Process) -> None:
        self._process = psutil.Process(worker.pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.highest = 0

    @property
    def now(self) -> int:
        return int(self._process.memory_info().rss)

    def _run(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it was killed
            while not self._stop.wait(0.05):
                self.highest = max(self.highest, self.now)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def measure(say: Say, *, entities: tuple[int, ...] = ENTITIES) -> dict[str, Any]:
    """Measure one worker through all steps; gives what the report shows.

    What a worker holds follows from its load, so that each step puts the same load on it: a
    backlog of 200,000 events that came while it could write nothing, its buffers full.
    """
    steps = []
    with stack() as servers, servers.database() as database:
        settings = servers.settings(database, prefix="memory", group=database)
        asyncio.run(make_topics(settings))
        asyncio.run(publish(settings, _agents()))
        with process(servers, "worker", WORKER, settings) as worker:
            total = len(AGENTS)
            asyncio.run(_applied(settings, worker, total))
            for number, count in enumerate(entities):
                say(f"{count:,} entities")
                more = max(0, count - _BACKLOG - (total - len(AGENTS)))
                asyncio.run(publish(settings, distinct(more, seed=2 * number)))
                total += more
                asyncio.run(_applied(settings, worker, total))
                lines = distinct(_BACKLOG, seed=2 * number + 1)
                total += _BACKLOG
                steps.append(_step(settings, worker, f"{count:,} entities", lines, total))
            say("the database is away, 500 MB are published")
            steps.append(_away(servers, settings, worker, total))
    return {"steps": steps}


def _agents() -> Iterable[ChangeLine]:
    for name in AGENTS:
        yield change_line({"entity": "agents", "after": {"id": name, "name": name}, "seq": 1})


def _step(
    settings: Settings, worker: Process, what: str, lines: Iterable[ChangeLine], total: int
) -> dict[str, Any]:
    with Watch(worker) as watch:
        asyncio.run(publish_beside_a_lock(settings, lines))
        asyncio.run(_applied(settings, worker, total))
        time.sleep(_SETTLE)
    return _result(what, watch)


async def publish_beside_a_lock(settings: Settings, lines: Iterable[ChangeLine]) -> None:
    """Publish while no flush can commit."""
    async with connected(settings) as connection, connection.transaction():
        await connection.execute("LOCK TABLE stream_positions IN ACCESS EXCLUSIVE MODE")
        await publish(settings, lines)


def _away(servers: Stack, settings: Settings, worker: Process, total: int) -> dict[str, Any]:
    count = _WAITING // _EACH
    with Watch(worker) as watch:
        servers.postgres.stop()
        try:
            asyncio.run(publish(settings, distinct(count, seed=99, bytes_each=_EACH)))
            time.sleep(_STAY_AWAY)
        finally:
            servers.postgres.start()
        asyncio.run(_applied(settings, worker, total + count))
        time.sleep(_SETTLE)
    return _result("500 MB while the database is away", watch)


def _result(what: str, watch: Watch) -> dict[str, Any]:
    return {"what": what, "highest_mb": watch.highest / _MB, "afterwards_mb": watch.now / _MB}


async def _applied(settings: Settings, worker: Process, count: int) -> None:
    """Wait until so many records are applied."""
    async with asyncio.timeout(_LIMIT), connected(settings) as connection:
        while await connection.fetchval(_APPLIED) < count:
            worker.check()
            await asyncio.sleep(0.1)
