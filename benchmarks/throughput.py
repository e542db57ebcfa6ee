"""How fast a backlog is applied: by nova-stream, two hand-written consumers and a Faust app.

All read the same topics in the same run, in turns, each as a process of its own with a database of
its own. A rate counts from the first to the last record that the database shows as applied, so it
leaves out how long a process takes to start. Every result is compared with the plain recount.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from benchmarks import checks
from benchmarks.common import (
    PARTITIONS,
    ROOT,
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
from benchmarks.workload import expected, history
from nova_stream.events.change import Entity
from nova_stream.kafka.admin import TopicAdmin
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection
from tests.recount import Recount

EVENTS = 300_000
ROUNDS = 3
#: The Faust app reads a topic of its own with the first of the same events.
FAUST_EVENTS = 20_000

_FAUST_TABLES = (
    "task_states",
    "execution_states",
    "build_states",
    "agent_stats",
    "build_stats",
)

_POLL = 0.02
_LIMIT = 300.0
#: A program that shows nothing for so long is started again, and the report says so.
_START_LIMIT = 60.0
_STARTS = 3

_POSITIONS = "SELECT coalesce(sum(next_offset), 0)::bigint FROM stream_positions"
_LEAN_POSITIONS = "SELECT coalesce(sum(next_offset), 0)::bigint FROM lean_positions"
_HANDLED = "SELECT coalesce(max(handled), 0)::bigint FROM faust_progress"

_Check = Callable[["Connection", Recount], Awaitable[list[str]]]


class StuckError(Exception):
    """A program that was started does nothing."""


class Contender(NamedTuple):
    """A program to measure; ``progress`` is the SQL that says how much it has applied."""

    name: str
    command: Sequence[str]
    progress: str
    check: _Check
    code: Path = ROOT
    small: bool = False
    #: Tables whose changelog topics are made before it starts: a Faust app that makes them itself
    #: stops working when Kafka's metadata have them a moment later.
    tables: tuple[str, ...] = ()


class Backlog(NamedTuple):
    """What lies in the topics ``prefix.*``."""

    prefix: str
    events: int
    counted: int
    figures: Recount


class Run(NamedTuple):
    """One contender's turn."""

    rate: float
    seconds: float
    #: Microseconds of processor time an event, of the program and of Postgres.
    cpu: float
    postgres_cpu: float
    wrong: list[str]
    #: How often it had to be started before it did something.
    starts: int = 1


def contenders(against: Path | None) -> list[Contender]:
    """The programs, nova-stream first; with another checkout of it, if given."""
    python = sys.executable
    found = [
        Contender("nova-stream", WORKER, _POSITIONS, checks.nova_stream),
        Contender(
            "hand-written",
            (python, "-m", "benchmarks.contenders.handwritten"),
            _POSITIONS,
            checks.entity_rows,
        ),
        Contender(
            "lean",
            (python, "-m", "benchmarks.contenders.lean"),
            _LEAN_POSITIONS,
            checks.lean,
        ),
        Contender(
            "Faust app",
            (
                python,
                "-m",
                "benchmarks.contenders.faust_app",
                "worker",
                "--without-web",
                "-l",
                "warn",
            ),
            _HANDLED,
            checks.faust_app,
            small=True,
            tables=_FAUST_TABLES,
        ),
    ]
    if against is not None:
        other = found[0]._replace(name=f"nova-stream of {against.name}", code=against.resolve())
        found.insert(1, other)
    return found


def measure(
    say: Say,
    *,
    events: int = EVENTS,
    rounds: int = ROUNDS,
    against: Path | None = None,
    only: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Measure the contenders in turns; gives what the report shows."""
    programs = contenders(against)
    if only:
        programs = [p for p in programs if p.name.startswith(("nova-stream", *only))]
    runs: dict[str, list[Run]] = {program.name: [] for program in programs}
    with stack() as servers:
        say(f"publishing {events:,} events")
        full = _fill(servers, "full", events, frozenset(Entity))
        counted = frozenset({Entity.TASKS, Entity.EXECUTIONS, Entity.BUILDS})
        small = _fill(servers, "small", min(events, FAUST_EVENTS), counted)
        for number, program in _turns(programs, rounds):
            backlog = small if program.small else full
            run = _turn(servers, program, backlog)
            runs[program.name].append(run)
            say(
                f"round {number}: {program.name}: {run.rate:,.0f} events/s "
                f"({run.cpu:.1f} + {run.postgres_cpu:.1f} us CPU)"
                + (f", WRONG: {'; '.join(run.wrong[:3])}" if run.wrong else "")
            )
    return _summary(events, programs, runs)


def _turns(programs: list[Contender], rounds: int) -> Iterator[tuple[int, Contender]]:
    """Every second round backwards, so that nobody always comes after the same neighbour."""
    for number in range(1, rounds + 1):
        for program in programs if number % 2 else reversed(programs):
            yield number, program


def _fill(servers: Stack, prefix: str, events: int, counted: frozenset[Entity]) -> Backlog:
    settings = servers.settings("nova", prefix=prefix)
    asyncio.run(make_topics(settings))
    asyncio.run(publish(settings, history(events)))
    count = sum(line.entity in counted for line in islice(history(events), events))
    return Backlog(prefix, events, count, expected(events))


def _turn(servers: Stack, program: Contender, backlog: Backlog) -> Run:
    for starts in range(1, _STARTS + 1):
        with contextlib.suppress(StuckError):
            return _start(servers, program, backlog)._replace(starts=starts)
    raise StuckError(f"{program.name} was started {_STARTS} times and applied nothing")


def _start(servers: Stack, program: Contender, backlog: Backlog) -> Run:
    with servers.database(code=program.code) as database:
        settings = servers.settings(database, prefix=backlog.prefix, group=database)
        name = program.name.replace(" ", "-")
        topics = {f"{database}-{table}-changelog": PARTITIONS for table in program.tables}
        asyncio.run(_make_changelogs(settings, topics))
        with process(servers, name, program.command, settings, code=program.code) as child:
            return asyncio.run(_watch(servers, settings, program, backlog, child))


async def _make_changelogs(settings: Settings, topics: dict[str, int]) -> None:
    async with TopicAdmin(settings) as admin:
        await admin.prepare_changelogs(topics)


async def _watch(
    servers: Stack, settings: Settings, program: Contender, backlog: Backlog, child: Process
) -> Run:
    """Look at the progress until all is applied, then check."""
    first: tuple[float, int] | None = None
    own, postgres = 0.0, 0.0
    begun = time.perf_counter()
    async with connected(settings) as connection:
        while True:
            try:
                count = await connection.fetchval(program.progress)
            except asyncpg.UndefinedTableError:
                count = 0
            now = time.perf_counter()
            if count and first is None:
                first = (now, count)
                own, postgres = child.cpu(), servers.postgres_cpu()
            if count >= backlog.counted:
                own, postgres = child.cpu() - own, servers.postgres_cpu() - postgres
                break
            if first is None and now - begun > _START_LIMIT:
                raise StuckError(program.name)
            if now - begun > _LIMIT:
                raise TimeoutError(f"{program.name}: {count} of {backlog.counted} applied")
            child.check()
            await asyncio.sleep(_POLL)
        wrong = await program.check(connection, backlog.figures)
    assert first is not None
    seconds, events = max(now - first[0], _POLL), max(count - first[1], 1)
    return Run(events / seconds, seconds, own / events * 1e6, postgres / events * 1e6, wrong)


def _summary(events: int, programs: list[Contender], runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Rates, and nova-stream's ratio to each: the median of the rounds' own ratios."""
    own = [run.rate for run in runs["nova-stream"]]
    return {
        "events": events,
        "contenders": [
            {
                "name": program.name,
                "events_per_s": round(statistics.median(run.rate for run in found)),
                "rounds": [round(run.rate) for run in found],
                "nova_stream_ratio": round(
                    statistics.median(a / run.rate for a, run in zip(own, found, strict=True)), 3
                ),
                "cpu_us": round(statistics.median(run.cpu for run in found), 1),
                "postgres_cpu_us": round(statistics.median(run.postgres_cpu for run in found), 1),
                "stuck_starts": sum(run.starts - 1 for run in found),
                "exact": not any(run.wrong for run in found),
                "wrong": sorted({text for run in found for text in run.wrong}),
            }
            for program in programs
            if (found := runs[program.name])
        ],
    }
