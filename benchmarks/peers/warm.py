"""``python -m benchmarks.peers.warm``: nova-stream, with everything on, beside a Flink SQL that is
warm and keeps statistics alone.

A Java program begins cold: the table of ``benchmarks.peers`` counts that. Here Flink has applied as
many events before. It stands still (SIGSTOP) while the next ones are published; its time runs from
the moment in which it goes on until all statistics are right. nova-stream's is that of the table,
begun anew. They take turns in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import time

from benchmarks import report
from benchmarks.common import PARTITIONS, Process, Stack, connected, make_topics, publish, stack
from benchmarks.peers import flink, nova_stream, trial
from benchmarks.peers.figures import (
    Figures,
    events_of,
    figures_of,
    found_agents,
    found_builds,
    wrong_statistics,
)
from benchmarks.peers.peer import Start
from benchmarks.peers.run import fill
from nova_stream.events.lines import ChangeLine
from nova_stream.storage.database import Connection

_LIMIT = 300.0
_POLL = 0.02


def measure(events: int, rounds: int) -> dict[str, list[float]]:
    """Events/s of each round, by the peers' names. Raises UnavailableError, or SlowError for a peer
    whose figures are not right in time.
    """
    own, peer = nova_stream.PEER, flink.STATISTICS
    own_start, start = own.prepare(), peer.prepare()
    lines = list(events_of(2 * events, PARTITIONS))
    found: dict[str, list[float]] = {own.name: [], peer.name: []}
    with stack() as servers:
        backlog = fill(report.say, servers, "full", events)
        for number in range(1, rounds + 1):
            for name in found if number % 2 else reversed(found):
                if name == own.name:
                    rate = _own_rate(servers, own_start, backlog)
                else:
                    rate = _warm_rate(servers, start, f"warm-{number}", lines, events)
                found[name].append(rate)
                report.say(f"{name}: round {number}: {rate:,.0f} events/s")
    return found


def _own_rate(servers: Stack, start: Start, backlog: trial.Backlog) -> float:
    run = trial.backlog_run(servers, nova_stream.PEER, start, backlog, _LIMIT)
    if wrong := run.wrong_rows + run.wrong_statistics:
        raise trial.SlowError(f"nova-stream is wrong: {wrong[0]}")
    return run.rate


def _warm_rate(
    servers: Stack, start: Start, prefix: str, lines: list[ChangeLine], before: int
) -> float:
    with trial.place(servers, flink.STATISTICS, prefix) as where:
        asyncio.run(make_topics(where.settings))
        asyncio.run(publish(where.settings, lines[:before]))
        with where.running(flink.STATISTICS, start) as child:
            return asyncio.run(_go_on(where, child, lines, before))


async def _go_on(where: trial.Place, child: Process, lines: list[ChangeLine], before: int) -> float:
    async with connected(where.settings) as connection:
        await _until_right(connection, child, figures_of(lines[:before]))
        os.killpg(child.pid, signal.SIGSTOP)
        await publish(where.settings, lines[before:])
        wanted = figures_of(lines)
        begun = time.perf_counter()
        os.killpg(child.pid, signal.SIGCONT)
        await _until_right(connection, child, wanted)
        return (len(lines) - before) / (time.perf_counter() - begun)


async def _until_right(connection: Connection, child: Process, wanted: Figures) -> None:
    begun = time.perf_counter()
    while wrong := wrong_statistics(
        await found_agents(connection), await found_builds(connection), wanted
    ):
        child.check()
        if time.perf_counter() - begun > _LIMIT:
            raise trial.SlowError(f"after {_LIMIT:.0f} s {wrong[0]}; it said: {child.tail()}")
        await asyncio.sleep(_POLL)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.warm", description=__doc__)
    parser.add_argument("--events", type=int, default=300_000, metavar="N")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    given = parser.parse_args()
    found = measure(given.events, given.rounds)
    own = found[nova_stream.PEER.name]
    report.table(
        f"{given.events:,} events into statistics in Postgres",
        ("", "events/s", "rounds", "nova-stream is"),
        [
            (
                name,
                f"{statistics.median(rates):,.0f}",
                " ".join(f"{rate:,.0f}" for rate in rates),
                f"{statistics.median(a / b for a, b in zip(own, rates, strict=True)):.2f} x",
            )
            for name, rates in found.items()
        ],
    )


if __name__ == "__main__":
    main()
