"""How soon a published change shows in SQL: idle, and under a steady load of other changes.

A probe publishes a task of an agent of its own through the SDK and looks at the agent's row of
``agent_stats_cache`` until it counts the task. Load generator, probe, Kafka, Postgres and worker
share this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.common import (
    WORKER,
    Process,
    Stack,
    connected,
    make_topics,
    percentile,
    process,
    stack,
)
from benchmarks.report import Say
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection

SECONDS = 20.0
#: Background load in events/s, and the 99th percentile to be below in milliseconds.
LOADS = ((0, 25.0), (5_000, 120.0), (20_000, 300.0))

_AGENT = "a-probe"
_SETTLE = 3.0
_LIMIT = 120.0

_SEEN = "SELECT total_tasks FROM agent_stats_cache WHERE agent_id = $1"
_APPLIED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM stream_positions"


def measure(say: Say, *, seconds: float = SECONDS) -> dict[str, Any]:
    """Measure every load with a worker of its own; gives what the report shows."""
    loads = []
    with stack() as servers:
        for rate, target in LOADS:
            say(f"background of {rate:,} events/s" if rate else "no background")
            loads.append(_load(servers, rate, seconds) | {"rate": rate, "target": target})
    return {"seconds": seconds, "loads": loads}


def _load(servers: Stack, rate: int, seconds: float) -> dict[str, Any]:
    with servers.database() as database:
        settings = servers.settings(database, prefix=f"fresh{rate}", group=database)
        asyncio.run(make_topics(settings))
        with (
            process(servers, "worker", WORKER, settings) as worker,
            _generator(servers, settings, rate, seconds + 2 * _SETTLE),
        ):
            return asyncio.run(_probe(settings, worker, rate, seconds))


def _generator(
    servers: Stack, settings: Settings, rate: int, seconds: float
) -> contextlib.AbstractContextManager[Process | None]:
    if not rate:
        return contextlib.nullcontext()
    command = (sys.executable, "-m", "benchmarks.load", str(rate), str(seconds))
    return process(servers, "load", command, settings)


async def _probe(settings: Settings, worker: Process, rate: int, seconds: float) -> dict[str, Any]:
    async with connected(settings) as connection, ChangePublisher(settings) as publisher:
        await publisher.agent({"id": _AGENT, "name": "PROBE"})
        await _until(connection, worker, _SEEN, 0, _AGENT)
        if rate:
            await _until(connection, worker, _APPLIED, rate // 10)
        await asyncio.sleep(_SETTLE)
        applied, begun = await connection.fetchval(_APPLIED), time.perf_counter()
        times = [
            await _one(connection, publisher, number) async for number in _paced(begun, seconds)
        ]
        applied = await connection.fetchval(_APPLIED) - applied
        worker.check()
    return {
        "probes": len(times),
        "applied_per_s": round(applied / (time.perf_counter() - begun)),
        "p50": percentile(times, 50),
        "p90": percentile(times, 90),
        "p99": percentile(times, 99),
        "max": max(times),
    }


async def _paced(begun: float, seconds: float) -> AsyncIterator[int]:
    """Numbers from 1 on, at uneven moments, so that no rhythm is met."""
    pause = random.Random(1)
    number = 0
    while time.perf_counter() - begun < seconds:
        await asyncio.sleep(pause.uniform(0.01, 0.04))
        number += 1
        yield number


async def _one(connection: Connection, publisher: ChangePublisher, number: int) -> float:
    """Milliseconds from the call that publishes to the row that shows it."""
    document = {"id": f"probe-{number}", "agent": "PROBE", "status": "done", "title": "a probe"}
    begun = time.perf_counter()
    publishing = asyncio.create_task(publisher.task(document))
    while await connection.fetchval(_SEEN, _AGENT) < number:  # noqa: ASYNC110 - SQL tells
        await asyncio.sleep(0.001)
    passed = time.perf_counter() - begun
    await publishing
    return passed * 1000


async def _until(
    connection: Connection, worker: Process, query: str, least: int, *values: Any
) -> None:
    """Wait until a query gives ``least`` or more."""
    async with asyncio.timeout(_LIMIT):
        while (found := await connection.fetchval(query, *values)) is None or found < least:
            worker.check()
            await asyncio.sleep(0.05)
