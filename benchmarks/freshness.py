"""How soon a published change shows in SQL: idle, and under a steady load of other changes.

A probe publishes a task of an agent of its own through the SDK and looks at the agent's row of
``agent_stats_cache`` until it counts the task. Load generator, probe, Kafka, Postgres and worker
share this machine. Two checkouts are measured in turns, in the order A B B A. Beside them stands
what Kafka alone takes, from the same call to a bare consumer.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import kafka_alone
from benchmarks.common import (
    ROOT,
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
LOADS = ((0, 12.0), (5_000, 50.0), (20_000, 90.0))

AGENT = "a-probe"
#: Seconds of probes that do not count: what has just been started is slower.
_SETTLE = 3.0
_LIMIT = 120.0

_SEEN = "SELECT total_tasks FROM agent_stats_cache WHERE agent_id = $1"
_APPLIED = "SELECT coalesce(sum(next_offset), 0)::bigint FROM stream_positions"


class _Turn(NamedTuple):
    """What the probes of one worker saw."""

    times: list[float]
    applied: int
    passed: float
    #: Seconds of processor time of the worker and of Postgres meanwhile.
    cpu: float
    postgres_cpu: float


def measure(say: Say, *, seconds: float = SECONDS, against: Path | None = None) -> dict[str, Any]:
    """Measure every load with workers of its own; gives what the report shows. ``against`` is
    another checkout, whose worker meets the same loads.
    """
    loads = []
    order = [ROOT] if against is None else [ROOT, against, against, ROOT]
    with stack() as servers:
        for rate, target in LOADS:
            say(f"background of {rate:,} events/s" if rate else "no background")
            lasts = seconds / order.count(ROOT)
            alone = _percentiles(_kafka_alone(servers, rate, seconds))
            loads.append(alone | {"name": "Kafka alone", "rate": rate})
            turns = [(code, _load(servers, rate, lasts, code)) for code in order]
            for code in dict.fromkeys(order):
                found = _summary([turn for its, turn in turns if its is code])
                name = "nova-stream" if code is ROOT else str(code)
                loads.append(found | {"name": name, "rate": rate, "target": target})
    return {"seconds": seconds, "loads": loads}


def _summary(turns: list[_Turn]) -> dict[str, Any]:
    passed = sum(turn.passed for turn in turns)
    return _percentiles([time for turn in turns for time in turn.times]) | {
        "applied_per_s": round(sum(turn.applied for turn in turns) / passed),
        "cpu_share": sum(turn.cpu for turn in turns) / passed,
        "postgres_cpu_share": sum(turn.postgres_cpu for turn in turns) / passed,
    }


def _percentiles(times: list[float]) -> dict[str, Any]:
    return {
        "probes": len(times),
        "p50": percentile(times, 50),
        "p90": percentile(times, 90),
        "p99": percentile(times, 99),
        "max": max(times),
    }


def _kafka_alone(servers: Stack, rate: int, seconds: float) -> list[float]:
    with (
        _place(servers, ROOT) as settings,
        _generator(servers, settings, rate, seconds + 2 * _SETTLE),
    ):
        return asyncio.run(_arrivals(settings, rate, seconds))


async def _arrivals(settings: Settings, rate: int, seconds: float) -> list[float]:
    async with (
        kafka_alone.BareConsumer(settings) as consumer,
        ChangePublisher(settings) as publisher,
    ):
        async with asyncio.timeout(_LIMIT):
            while consumer.received < rate // 10:  # noqa: ASYNC110 - the consumer counts
                await asyncio.sleep(0.05)
        probe = partial(consumer.one, publisher)
        return await probes(probe, seconds, before=len(await probes(probe, _SETTLE)))


def _load(servers: Stack, rate: int, seconds: float, code: Path) -> _Turn:
    with (
        _place(servers, code) as settings,
        process(servers, "worker", WORKER, settings, code=code) as worker,
        _generator(servers, settings, rate, seconds + 2 * _SETTLE),
    ):
        return asyncio.run(_probe(servers, settings, worker, rate, seconds))


@contextlib.contextmanager
def _place(servers: Stack, code: Path) -> Iterator[Settings]:
    """A database and topics of its own."""
    with servers.database(code=code) as database:
        settings = servers.settings(database, prefix=database, group=database)
        asyncio.run(make_topics(settings))
        yield settings


def _generator(
    servers: Stack, settings: Settings, rate: int, seconds: float
) -> contextlib.AbstractContextManager[Process | None]:
    if not rate:
        return contextlib.nullcontext()
    command = (sys.executable, "-m", "benchmarks.load", str(rate), str(seconds))
    return process(servers, "load", command, settings)


async def _probe(
    servers: Stack, settings: Settings, worker: Process, rate: int, seconds: float
) -> _Turn:
    async with connected(settings) as connection, ChangePublisher(settings) as publisher:
        await publisher.agent({"id": AGENT, "name": "PROBE"})
        await until(connection, worker, _SEEN, 0, AGENT)
        if rate:
            await until(connection, worker, _APPLIED, rate // 10)
        probe = partial(one, connection, publisher)
        before = len(await probes(probe, _SETTLE))
        applied, begun = await connection.fetchval(_APPLIED), time.perf_counter()
        cpu, postgres_cpu = worker.cpu(), servers.postgres_cpu()
        times = await probes(probe, seconds, before=before)
        worker.check()
        return _Turn(
            times,
            applied=await connection.fetchval(_APPLIED) - applied,
            passed=time.perf_counter() - begun,
            cpu=worker.cpu() - cpu,
            postgres_cpu=servers.postgres_cpu() - postgres_cpu,
        )


async def probes(
    probe: Callable[[int], Awaitable[float]], seconds: float, *, before: int = 0
) -> list[float]:
    """What probes say, numbered from those ``before`` on, at uneven moments, so that no rhythm is
    met.
    """
    begun, pause, times = time.perf_counter(), random.Random(1), list[float]()
    while time.perf_counter() - begun < seconds:
        await asyncio.sleep(pause.uniform(0.01, 0.04))
        times.append(await probe(before + len(times) + 1))
    return times


async def one(connection: Connection, publisher: ChangePublisher, number: int) -> float:
    """Milliseconds from the call that publishes to the row that shows it."""
    begun = time.perf_counter()
    publishing = asyncio.create_task(publisher.task(kafka_alone.probe(number)))
    while await connection.fetchval(_SEEN, AGENT) < number:  # noqa: ASYNC110 - SQL tells
        await asyncio.sleep(0.001)
    passed = time.perf_counter() - begun
    await publishing
    return passed * 1000


async def until(
    connection: Connection, worker: Process, query: str, least: int, *values: Any
) -> None:
    """Wait until a query gives ``least`` or more."""
    async with asyncio.timeout(_LIMIT):
        while (found := await connection.fetchval(query, *values)) is None or found < least:
            worker.check()
            await asyncio.sleep(0.05)
