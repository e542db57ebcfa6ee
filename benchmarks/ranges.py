"""How long the figures of ranges of time take over HTTP, at multiples of the guide's sizes.

The executions are of the last ``days`` days, which are counted but for the last one; the tasks
finished in the same time. Each address is asked for one after the other, by one client.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec

from benchmarks import report
from benchmarks.api import API
from benchmarks.common import connected, make_topics, percentile, process, stack
from benchmarks.jobs import NOW, fill
from benchmarks.report import Say
from nova_stream.events.times import time_text
from nova_stream.local.ports import free_port

SCALE, DAYS, TIMES = 10, 90, 100
#: Milliseconds, of the 99th percentile.
TARGET = 100.0

_FINISHED = """
UPDATE tasks SET done_at = CASE WHEN status = 'done' THEN x.at END,
    failed_at = CASE WHEN status = 'failed' THEN x.at END
FROM (
    SELECT id, $1::timestamptz - row_number() OVER (ORDER BY id) * $2::interval / count(*) OVER ()
        AS at
    FROM tasks
) x WHERE x.id = tasks.id
"""
#: What is asked for, within each of the ranges.
_ADDRESSES = (
    "agents/stats?",
    "agents/AGENT-1/stats?",
    "agents/comparison?",
    "agents/AGENT-1/slowest?",
    "executions?agent=AGENT-1&order=-duration&minDuration=1000&",
    "agents/AGENT-1/series?bucket=1d&",
    "agents/AGENT-1/series?bucket=1d&zone=Europe/Berlin&",
    "agents/AGENT-1/series?bucket=1d&zone=Asia/Kolkata&",
    "agents/AGENT-1/series?bucket=1h&",
    "agents/series?bucket=1d&",
    "agents/series?bucket=1d&zone=Europe/Berlin&",
    "agents/series?bucket=1d&zone=Asia/Kolkata&",
    "agents/series?bucket=1h&",
    "builds/series?bucket=1d&",
)
_RANGES = (1, 7, 30, 90)


def measure(say: Say, *, scale: int, days: int, times: int) -> dict[str, Any]:
    """Measure with an API of its own; gives what ``tables`` shows."""
    with stack() as servers, servers.database() as database:
        settings = servers.settings(database, prefix="ranges", group=database)
        asyncio.run(make_topics(settings))
        say(f"filling a database with {scale} times the guide's sizes, over {days} days")

        async def prepare() -> None:
            await fill(settings, scale, days)
            async with connected(settings) as connection:
                await connection.execute(_FINISHED, NOW, timedelta(days=days), timeout=1800)
                await connection.execute("VACUUM ANALYZE tasks", timeout=1800)

        asyncio.run(prepare())
        port = free_port()
        with process(servers, "api", (*API, str(port)), settings) as api:
            say(f"asking {times} times each")
            answers = asyncio.run(_ask(f"http://127.0.0.1:{port}/api/v1/", api.check, times))
    return {"scale": scale, "days": days, "times": times, "target": TARGET, "answers": answers}


async def _ask(base: str, check: Any, times: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        while True:
            check()
            try:
                (await client.get("overview")).raise_for_status()
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
        for address in _ADDRESSES:
            for length in _RANGES:
                took = [await _once(client, address, length, number) for number in range(times + 2)]
                measured = took[2:]  # the first ones find nothing warm
                found.append(
                    {
                        "address": address.rstrip("?&"),
                        "days": length,
                        "p50": percentile(measured, 50),
                        "p99": percentile(measured, 99),
                    }
                )
    return found


async def _once(client: httpx.AsyncClient, address: str, days: int, number: int) -> float:
    """Milliseconds; each question is one that was not asked before."""
    end = NOW - timedelta(milliseconds=number)
    start = end - timedelta(days=days)
    began = time.perf_counter()
    answer = await client.get(f"{address}from={time_text(start)}&to={time_text(end)}")
    took = (time.perf_counter() - began) * 1000
    answer.raise_for_status()
    return took


def tables(result: dict[str, Any]) -> None:
    """p50 and p99 of each address, by the range's length."""
    answers = {(one["address"], one["days"]): one for one in result["answers"]}
    report.table(
        f"Figures of ranges at {result['scale']} times the guide's sizes, p50 / p99 in ms "
        f"(target < {result['target']:g})",
        ("", *(f"{days} d" for days in _RANGES)),
        [
            (address, *(f"{one['p50']:.0f} / {one['p99']:.0f}" for one in ones))
            for address in dict.fromkeys(address for address, _ in answers)
            for ones in [[answers[address, days] for days in _RANGES]]
        ],
    )


def main() -> None:
    """Measure, print, and write the results as JSON where wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranges", description=__doc__)
    parser.add_argument("--scale", type=int, default=SCALE, metavar="N")
    parser.add_argument("--days", type=int, default=DAYS, metavar="N")
    parser.add_argument("--times", type=int, default=TIMES, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    result = measure(report.say, scale=asked.scale, days=asked.days, times=asked.times)
    tables(result)
    if asked.json:
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))


if __name__ == "__main__":
    main()
