"""The API under load, and its reads beside a recount.

Streams of changes and reads of the statistics while events arrive: the load generator, Kafka,
Postgres, the worker, the API and all its clients share two processors. A probe publishes and looks,
as in ``freshness``. Afterwards, without load, the same reads stand beside the guide's targets, and
reading the cache in SQL beside recounting from the rows in SQL, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from rich.table import Table

from benchmarks import freshness, report
from benchmarks.api_load import PATHS, Connection
from benchmarks.common import (
    WORKER,
    Process,
    Stack,
    connected,
    environment,
    make_topics,
    percentile,
    process,
    stack,
)
from benchmarks.report import Say
from nova_stream.local.ports import free_port
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.stats import sql

STREAMS, READS, RATE, SECONDS = 500, 200, 10_000, 30.0
CORES = 2
#: Milliseconds: reads under load, and the stream's freshness.
READ_TARGET, FRESH_TARGET = 50.0, 500.0
#: The guide's own targets in milliseconds.
GUIDE = dict(zip(PATHS, (20.0, 150.0, 20.0), strict=True))

_LIMIT = 120.0
_TURNS = 30
_CACHED = dict(zip(PATHS, (sql.AGENTS_STATS, sql.OVERVIEW, sql.BUILD_STATS), strict=True))
_RECOUNT = {
    PATHS[0]: "SELECT * FROM agent_stats_recount ORDER BY last_active DESC NULLS LAST",
    PATHS[1]: """
        SELECT b.*, t.active, t.completed, (SELECT count(*) FROM agents WHERE deleted_at IS NULL)
        FROM build_stats_recount b CROSS JOIN (
            SELECT count(*) FILTER (WHERE status IN ('pending', 'ready', 'running')) AS active,
                count(*) FILTER (WHERE status = 'done') AS completed
            FROM tasks WHERE deleted_at IS NULL
        ) t""",
    PATHS[2]: "SELECT * FROM build_stats_recount",
}
API = (*WORKER[:-1], "api", "--port")
_CLIENTS = (sys.executable, "-m", "benchmarks.api_load")


def measure(say: Say, *, streams: int, reads: float, rate: int, seconds: float) -> dict[str, Any]:
    """Measure with a worker and an API of its own; gives what ``tables`` shows."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with stack() as servers, servers.database() as database:
        settings = servers.settings(database, prefix="api", group=database)
        asyncio.run(make_topics(settings))
        port = free_port()
        with (
            process(servers, "worker", WORKER, settings) as worker,
            process(servers, "api", (*API, str(port)), settings) as api,
        ):
            bench = _Bench(servers, settings, worker, api, f"http://127.0.0.1:{port}", say)
            return asyncio.run(bench.run(streams, reads, rate, seconds))


class _Bench:
    def __init__(
        self,
        servers: Stack,
        settings: Settings,
        worker: Process,
        api: Process,
        address: str,
        say: Say,
    ) -> None:
        self._servers = servers
        self._settings = settings
        self._worker = worker
        self._api = api
        self._address = address
        self._say = say

    async def run(self, streams: int, reads: float, rate: int, seconds: float) -> dict[str, Any]:
        await self._answers()
        result: dict[str, Any] = {
            "streams": streams,
            "reads": reads,
            "rate": rate,
            "seconds": seconds,
        }
        result["idle_mb"] = self._memory()
        self._say(f"opening {streams} streams")
        async with self._clients("streams", str(streams)) as clients:
            assert clients.stdout is not None
            opened = await self._line(clients, _LIMIT)
            assert opened["open"] == streams
            result["open_mb"] = self._memory()
            self._say(f"{rate:,} events/s, {reads:g} reads/s, {seconds:g} s")
            result |= await self._loaded(reads, rate, seconds)
            await self._settled()
            output, _ = await clients.communicate(b"\n")
            result["clients"] = await self._checked(msgspec.json.decode(output))
        self._say("the same reads without load, beside a recount in SQL")
        result["quiet"] = await self._quiet()
        assert (await audit(self._settings)).differences == []
        return result

    async def _loaded(self, reads: float, rate: int, seconds: float) -> dict[str, Any]:
        most = self._memory()
        generating = freshness._generator(self._servers, self._settings, rate, seconds + 8)
        with generating:
            probing = asyncio.create_task(
                freshness._probe(self._servers, self._settings, self._worker, rate, seconds)
            )
            await self._flowing(rate)
            cpu, began = self._cpu(), time.perf_counter()
            async with self._clients("reads", str(reads), str(seconds)) as clients:
                reading = asyncio.create_task(clients.communicate())
                while not reading.done():
                    await asyncio.sleep(0.2)
                    most = max(most, self._memory())
                output, _ = await reading
            passed = time.perf_counter() - began
            used = {name: (now - cpu[name]) / passed for name, now in self._cpu().items()}
            fresh = freshness._summary([await probing])
        found = msgspec.json.decode(output)
        return {
            "fresh": fresh,
            "most_mb": most,
            "cpu": used,
            "read_cpu": found["cpu_s"] / passed,
            "failed": found["failed"],
            "loaded": _percentiles(found["times"]),
        }

    def _cpu(self) -> dict[str, float]:
        return {
            "API": self._api.cpu(),
            "worker": self._worker.cpu(),
            "Postgres": self._servers.postgres_cpu(),
        }

    def _memory(self) -> float:
        return float(psutil.Process(self._api.pid).memory_info().rss) / 1e6

    @asynccontextmanager
    async def _clients(self, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
        kind, *numbers = words
        child = await asyncio.create_subprocess_exec(
            *_CLIENTS,
            kind,
            self._address,
            *numbers,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment(self._settings),
            limit=1 << 26,
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    async def _line(self, child: asyncio.subprocess.Process, limit: float) -> Any:
        assert child.stdout is not None
        return msgspec.json.decode(await asyncio.wait_for(child.stdout.readline(), limit))

    async def _answers(self) -> None:
        async with httpx.AsyncClient(base_url=self._address) as client, asyncio.timeout(_LIMIT):
            while True:
                self._api.check()
                try:
                    if (await client.get(PATHS[1])).status_code == 200:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.1)

    async def _flowing(self, rate: int) -> None:
        """Wait until the load has begun to be applied."""
        async with connected(self._settings) as connection:
            await freshness.until(connection, self._worker, freshness._APPLIED, max(1, rate // 10))

    async def _settled(self) -> None:
        """Wait until everything is applied and shown."""
        async with connected(self._settings) as connection, asyncio.timeout(_LIMIT):
            before, now = -1, 0
            while now != before:
                await asyncio.sleep(2.0)
                before, now = now, await connection.fetchval(freshness._APPLIED)

    async def _checked(self, clients: dict[str, Any]) -> dict[str, Any]:
        """The clients' own figures, and how many ended with what a read shows."""
        async with httpx.AsyncClient(base_url=self._address) as client:
            answer = await client.get(f"{PATHS[0]}?unregistered=true")
        shown = sorted(answer.json()["items"], key=msgspec.json.encode)
        right = sum(
            picture["clients"]
            for picture in clients.pop("pictures")
            if sorted(picture["agents"], key=msgspec.json.encode) == shown
        )
        return {**clients, "right": right}

    async def _quiet(self) -> dict[str, Any]:
        times: dict[str, list[float]] = {path: [] for path in PATHS}
        cached: dict[str, list[float]] = {path: [] for path in PATHS}
        recounts: dict[str, list[float]] = {path: [] for path in PATHS}
        client = await Connection.open(self._address)
        async with connected(self._settings) as connection:
            rows = await connection.fetchval("SELECT count(*) FROM tasks")
            for path in (*PATHS,) * _TURNS:
                times[path].append(await _timed(client.get(path)))
                cached[path].append(await _timed(connection.fetch(_CACHED[path])))
                recounts[path].append(await _timed(connection.fetch(_RECOUNT[path])))
        return {
            "rows": rows,
            "reads": _percentiles(times),
            "cached": _percentiles(cached),
            "recounts": _percentiles(recounts),
        }


async def _timed(work: Awaitable[Any]) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


def _percentiles(times: dict[str, list[float]]) -> dict[str, Any]:
    return {
        path: {"p50": percentile(own, 50), "p99": percentile(own, 99), "max": max(own)}
        for path, own in times.items()
    }


# -- the report ------------------------------------------------------------------------------------


def tables(result: dict[str, Any]) -> None:
    """Reads beside their targets and a recount, then what streams got and cost."""
    quiet = result["quiet"]
    table = Table(
        title="Reads over HTTP; cached and recounted in SQL; milliseconds", title_justify="left"
    )
    columns = (
        "",
        "loaded p50",
        "p99",
        "target",
        "quiet p50",
        "p99",
        "guide",
        "cached",
        "recounted",
        "faster",
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for path in PATHS:
        loaded, alone = result["loaded"][path], quiet["reads"][path]
        cached, recount = quiet["cached"][path]["p50"], quiet["recounts"][path]["p50"]
        table.add_row(
            path.removeprefix("/api/v1"),
            f"{loaded['p50']:.1f}",
            f"{loaded['p99']:.1f}",
            f"< {READ_TARGET:g}",
            f"{alone['p50']:.1f}",
            f"{alone['p99']:.1f}",
            f"< {GUIDE[path]:g}",
            f"{cached:.1f}",
            f"{recount:.1f}",
            f"{recount / cached:.1f} x",
        )
    report.console.print(table)
    clients, fresh, cpu = result["clients"], result["fresh"], result["cpu"]
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in cpu.items())
    for line in (
        f"{result['reads']:g} reads/s, {result['failed']} failed; {result['rate']:,} events/s "
        f"({fresh['applied_per_s']:,} applied); {quiet['rows']:,} tasks at the end",
        f"{result['streams']} streams: {clients['right']} ended with every agent's last value, "
        f"{clients['lost']} were cut off; {clients['updates']:,} updates, the busiest row came "
        f"{clients['busiest']:.2f} times a second; {clients['crowded']:,} came as the third of a "
        f"row within a second (target 0; {clients['unclear']:,} more while the reading process "
        f"had no processor); {clients['mb_per_s']:.1f} MB/s",
        f"publish to visible: p50 {fresh['p50']:.0f} ms, p99 {fresh['p99']:.0f} ms "
        f"(target < {FRESH_TARGET:g}), {fresh['probes']} probes",
        f"the API's memory: {result['idle_mb']:.0f} MB, {result['open_mb']:.0f} MB with all "
        f"streams, {result['most_mb']:.0f} MB at most",
        f"processor time of one core: {shares}, reading clients {100 * result['read_cpu']:.0f} %, "
        f"streaming clients {clients['cpu_s']:.1f} s in all",
    ):
        report.say(line)


def main() -> None:
    """Measure, print, and write the results as JSON where wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__)
    parser.add_argument(
        "--streams",
        type=int,
        default=STREAMS,
        metavar="N",
        help="streams that are open (%(default)s)",
    )
    parser.add_argument(
        "--reads", type=float, default=READS, metavar="N", help="reads a second (%(default)s)"
    )
    parser.add_argument(
        "--rate", type=int, default=RATE, metavar="N", help="events a second (%(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="S",
        help="how long it lasts (%(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of topics that are new
    result = measure(
        report.say,
        streams=given.streams,
        reads=given.reads,
        rate=given.rate,
        seconds=given.seconds,
    )
    tables(result)
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))


if __name__ == "__main__":
    main()
