"""How soon a published change shows in a peer's Postgres: idle, and beside other changes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from typing import Any

from benchmarks.common import Process, Stack, connected, make_topics, percentile, process
from benchmarks.peers.peer import Peer, Start
from benchmarks.peers.trial import Place, SlowError, place
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.storage.database import Connection

_AGENT = "PROBE"
_SETTLE = 3.0

#: What counts the probes: the statistics, or its row where a peer keeps none.
_STATISTIC = "SELECT total FROM peer.agents WHERE agent = $1"
_ROW = "SELECT count(*) FROM peer.rows WHERE entity = 'tasks' AND id = 'probe-' || $1"
_OTHERS = "SELECT EXISTS (SELECT FROM peer.rows WHERE entity = 'builds')"


def measure(
    servers: Stack, peer: Peer, start: Start, rate: int, seconds: float, limit: float
) -> dict[str, Any]:
    """Milliseconds from the call that publishes to the answer that shows it."""
    with place(servers, peer, f"fresh-{rate}-{peer.word}") as where:
        asyncio.run(make_topics(where.settings))
        with where.running(peer, start) as child:
            return asyncio.run(_measure(where, peer, child, rate, seconds, limit))


async def _measure(
    where: Place, peer: Peer, child: Process, rate: int, seconds: float, limit: float
) -> dict[str, Any]:
    async with connected(where.settings) as connection, ChangePublisher(where.settings) as out:
        begun = time.perf_counter()
        await out.agent({"id": "a-probe", "name": _AGENT})
        await _one(connection, out, peer, child, 0, begun + limit)  # so that it is up
        load = (sys.executable, "-m", "benchmarks.load", str(rate), str(seconds + 2 * _SETTLE))
        with (
            process(where.servers, "load", load, where.settings)
            if rate
            else contextlib.nullcontext()
        ):
            while rate and not await connection.fetchval(_OTHERS):
                child.check()
                await asyncio.sleep(0.05)
            await asyncio.sleep(_SETTLE)
            times = await _probes(connection, out, peer, child, seconds, begun + limit)
    return {
        "probes": len(times),
        "p50": round(percentile(times, 50), 1),
        "p99": round(percentile(times, 99), 1),
    }


async def _probes(
    connection: Connection,
    out: ChangePublisher,
    peer: Peer,
    child: Process,
    seconds: float,
    deadline: float,
) -> list[float]:
    pause, times = random.Random(1), list[float]()
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        await asyncio.sleep(pause.uniform(0.01, 0.04))  # so that no rhythm is met
        number = len(times) + 1
        times.append(await _one(connection, out, peer, child, number, deadline))
    return times


async def _one(
    connection: Connection,
    out: ChangePublisher,
    peer: Peer,
    child: Process,
    number: int,
    deadline: float,
) -> float:
    document = {
        "id": f"probe-{number}",
        "buildId": "b",
        "agent": _AGENT,
        "status": "done",
        "title": "a probe",
    }
    begun = time.perf_counter()
    publishing = asyncio.create_task(out.task(document))
    while not await _shown(connection, peer, number):
        if time.perf_counter() > deadline:
            raise SlowError(f"probe {number} did not show; it said: {child.tail()}")
        child.check()
        await asyncio.sleep(0.001)
    passed = time.perf_counter() - begun
    await publishing
    return passed * 1000


async def _shown(connection: Connection, peer: Peer, number: int) -> bool:
    if peer.statistics:
        return (await connection.fetchval(_STATISTIC, _AGENT) or 0) > number
    return bool(await connection.fetchval(_ROW, str(number)))
