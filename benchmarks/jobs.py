"""What the background jobs cost at the guide's sizes, at ten times those, and beside the stream.

Every round brings what the guide's examples handle (1,523 old activities, 5,234 old executions, 2
stalled builds, some users who turn inactive), then runs the guide's seven jobs one after the other,
with a worker that applies what they publish. A job's time is the whole run: its database session,
and Kafka and the archive where it needs them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from benchmarks import freshness, report
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
from benchmarks.jobs_data import DUE, FILL, GUIDE
from benchmarks.report import Say
from nova_stream.events.documents import snake_case
from nova_stream.events.lines import change_line
from nova_stream.jobs.compute_agent_stats import run_once as compute_agent_stats
from nova_stream.jobs.engine.cron import parse
from nova_stream.jobs.engine.job import Job, JobContext
from nova_stream.jobs.refresh_build_stats import run_once as refresh_build_stats
from nova_stream.jobs.registry import JOBS
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.database import Connection, connect

SCALES = (1, 10)
ROUNDS = 5
RATE = 5_000
SECONDS = 30.0
#: The most that a probe may take beside the jobs, in milliseconds.
TARGET = 500.0

NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)
_DAY = 86_400
_TICKS = 100  # of the kernel, a second
#: Seconds in which a server notices that a session has ended.
_REAPED = 0.1


class _Session:
    """Opens a run's sessions, and finds the processor time that their server processes used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._server: int | None = None
        self._before = 0.0

    async def open(self) -> Connection:
        connection = await connect(self._settings, "job")
        if self._server is None:
            self._server = int(_stat(connection.get_server_pid())[1])
            self._before = _ended(self._server)
        return connection

    async def cpu(self) -> float:
        """Seconds, once the run's sessions have ended."""
        await asyncio.sleep(_REAPED)
        return _ended(self._server or 0) - self._before


def _stat(pid: int) -> list[str]:
    """What Linux tells of a process, from its state on; nothing elsewhere."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["0"] * 50


def _ended(server: int) -> float:
    """Seconds of processor time of all sessions of a server that have ended."""
    fields = _stat(server)
    return (int(fields[13]) + int(fields[14])) / _TICKS


async def _run(job: Job, settings: Settings, run_id: int) -> tuple[float, float, dict[str, Any]]:
    """Milliseconds, seconds of the server's processor, and the result of one run."""
    session = _Session(settings)
    async with contextlib.AsyncExitStack() as stack_:

        async def publisher() -> ChangePublisher:
            return await stack_.enter_async_context(ChangePublisher(settings))

        async def fence() -> None:
            """Nobody takes this run over."""

        context = JobContext(
            settings=settings,
            now=NOW,
            dry_run=False,
            run_id=run_id,
            connect=session.open,
            publisher=publisher,
            fence=fence,
        )
        begun = time.perf_counter()
        result = await job.run_once(context)
        took = (time.perf_counter() - begun) * 1000
    return took, await session.cpu(), msgspec.to_builtins(result)


def measure(
    say: Say, *, scales: Sequence[int] = SCALES, rounds: int = ROUNDS, seconds: float = SECONDS
) -> dict[str, Any]:
    """Measure every scale, and at the smallest one the stream beside the jobs."""
    found: dict[str, Any] = {"rounds": rounds, "scales": []}
    with stack() as servers:
        for scale in scales:
            say(f"filling a database with {scale} times the guide's sizes")
            with servers.database() as database:
                settings = _settings(servers, database)
                asyncio.run(fill(settings, scale))
                with process(servers, "worker", _worker(), settings):
                    say("running the jobs")
                    jobs = asyncio.run(_rounds(settings, rounds))
                    found["scales"].append({"scale": scale, "jobs": jobs})
                if scale == scales[0]:
                    say(f"running the jobs beside {RATE:,} events/s")
                    found["beside"] = _beside(servers, settings, seconds)
    return found


def _settings(servers: Stack, database: str) -> Settings:
    settings = servers.settings(database, prefix=database, group=database)
    archive = {"archive_url": f"file://{servers.folder}/archive-{database}"}
    asyncio.run(make_topics(settings))
    return settings.model_copy(update=archive)


def _worker() -> tuple[str, ...]:
    """A worker that runs no jobs of its own."""
    never = (f"NOVA_SCHEDULE_{snake_case(job.name).upper()}=0 0 29 2 *" for job in JOBS)
    return ("env", *never, *WORKER)


async def fill(settings: Settings, scale: int, days: int = 29) -> None:
    """The guide's sizes times ``scale``, with partials and caches, and ``days`` of executions."""
    # A record fixes the kind of the topics' versions.
    line = {"entity": "builds", "op": "d", "before": {"id": "nobody"}}
    await publish(settings, [change_line(line)])
    async with connected(settings) as connection:
        text = FILL.replace("$scale", str(scale)).replace("$days", str(days))
        for statement in text.split(";\n"):
            await connection.execute(statement, timeout=1800)
        await connection.execute("VACUUM ANALYZE", timeout=1800)
    await _settle(settings)
    await _run(_named("markInactiveUsers"), settings, 1)


async def _settle(settings: Settings) -> None:
    """Partials and caches that follow the rows, which no stream has brought."""
    for run_once in (compute_agent_stats, refresh_build_stats):
        job = msgspec.structs.replace(JOBS[0], run_once=run_once)
        await _run(job, settings, 1)


async def _rounds(settings: Settings, rounds: int) -> list[dict[str, Any]]:
    times: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, float] = defaultdict(float)
    handled: dict[str, Any] = {}
    for number in range(1, rounds + 2):
        await _bring_due(settings, number)
        for job in JOBS:
            took, used, result = await _run(job, settings, number + 1)
            if number == 1:
                continue  # the first finds nothing warm
            times[job.name].append(took)
            cpu[job.name] += used
            handled[job.name] = next(iter(result.values()))
            assert result.get("drift", 0) == 0, (job.name, result)
            assert result.get("applied", True), (job.name, result)
    assert (await audit(settings)).differences == []
    return [
        {
            "name": name,
            "guide_ms": GUIDE[name],
            "rounds": [round(took, 1) for took in times[name]],
            "median_ms": statistics.median(times[name]),
            "handled": handled[name],
            "runs_a_day": _runs_a_day(_named(name).schedule),
            "database_s": cpu[name] / rounds,
        }
        for name in GUIDE
    ]


async def _bring_due(settings: Settings, number: int) -> None:
    async with connected(settings) as connection:
        for statement in DUE.replace("$round", str(number)).split(";\n"):
            await connection.execute(statement)
    await _settle(settings)


def _runs_a_day(text: str) -> int:
    schedule, count, at = parse(text), 0, NOW
    while (at := schedule.next(at)) <= NOW + timedelta(seconds=_DAY):
        count += 1
    return count


def _named(name: str) -> Job:
    return next(job for job in JOBS if job.name == name)


# -- beside the stream -----------------------------------------------------------------------------


def _beside(servers: Stack, settings: Settings, seconds: float) -> dict[str, Any]:
    """Freshness while all jobs run one after the other, without a pause."""
    with (
        process(servers, "worker", _worker(), settings) as worker,
        freshness._generator(servers, settings, RATE, seconds + 20),
    ):
        return asyncio.run(_probe_beside(servers, settings, worker, seconds))


async def _probe_beside(
    servers: Stack, settings: Settings, worker: Process, seconds: float
) -> dict[str, Any]:
    runs: dict[str, int] = defaultdict(int)
    async with _looping(settings, runs):
        turn = await freshness._probe(servers, settings, worker, RATE, seconds)
    assert (await audit(settings)).differences == []
    found = freshness._summary([turn])
    return {**found, "name": "nova-stream", "rate": RATE, "target": TARGET, "runs": dict(runs)}


@contextlib.asynccontextmanager
async def _looping(settings: Settings, runs: dict[str, int]) -> AsyncIterator[None]:
    async def loop() -> None:
        for number in range(1000, 10**6):
            job = JOBS[number % len(JOBS)]
            _, _, result = await _run(job, settings, number)
            assert result.get("drift", 0) == 0, (job.name, result)
            runs[job.name] += 1

    task = asyncio.create_task(loop())
    try:
        yield
    finally:
        failed = task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not failed


# -- the report ------------------------------------------------------------------------------------


def tables(result: dict[str, Any]) -> None:
    """Each job's time beside the guide's estimate, how it grows, and what all cost in a day."""
    first, *others = result["scales"]
    table = Table(title="Jobs at the guide's sizes, milliseconds", title_justify="left")
    columns = ("", "handled", "guide", "median", "faster", *(f"{x['scale']} x" for x in others))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for place, job in enumerate(first["jobs"]):
        low, high = job["guide_ms"]
        median = job["median_ms"]
        table.add_row(
            job["name"],
            str(job["handled"]),
            f"{low:,}" if low == high else f"{low:,}-{high:,}",
            f"{median:.1f}",
            f"{low / median:.1f}-{high / median:.1f} x",
            *(f"{other['jobs'][place]['median_ms']:.1f}" for other in others),
        )
    report.console.print(table)
    for scale in result["scales"]:
        report.say(
            f"at {scale['scale']} x all jobs take {_share(scale['jobs']):.3f} % of one core of the "
            "database's machine in a day"
        )
    beside = result["beside"]
    report.say(
        f"beside the jobs, one after the other without a pause ({sum(beside['runs'].values())} "
        f"runs), and {beside['rate']:,} events/s: publish to visible p50 {beside['p50']:.0f} ms, "
        f"p99 {beside['p99']:.0f} ms (target < {beside['target']:g}), {beside['probes']} probes"
    )


def _share(jobs: Sequence[dict[str, Any]]) -> float:
    seconds: float = sum(job["database_s"] * job["runs_a_day"] for job in jobs)
    return 100 * seconds / _DAY


def main() -> None:
    """Measure, print, and write the results as JSON where wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.jobs", description=__doc__)
    parser.add_argument(
        "--scales",
        type=int,
        nargs="+",
        default=SCALES,
        metavar="N",
        help="multiples of the guide's sizes (%(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, metavar="N", help="runs of each job (%(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=SECONDS,
        metavar="S",
        help="time of the stream beside the jobs (%(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    given = parser.parse_args()
    # It says of every batch that it tries again while a topic is new.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    result = measure(
        report.say, scales=tuple(given.scales), rounds=given.rounds, seconds=given.seconds
    )
    tables(result)
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))


if __name__ == "__main__":
    main()
