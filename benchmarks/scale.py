"""``python -m benchmarks scale``: how figures change with agents, workers, partitions of topics and
of tables (hashed), the length of a backlog, and entities.

Each group varies one size and leaves the others as they are. Its sizes take turns, every second
round backwards, so that ratios within a group hold beside other work; probes and kill -9 belong to
the last round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import report
from benchmarks.common import Stack, stack
from benchmarks.report import Say
from benchmarks.scale_backlog import Backlogs, Case, Newest, lines_of
from benchmarks.scale_rows import Rows
from benchmarks.scale_run import Turn, turn_of

GROUPS = ("agents", "workers", "partitions", "hashed", "length", "entities")
EVENTS = 200_000
LENGTH = 3_000_000
ROUNDS = 2
SECONDS = 4.0
RATE = 5_000
SIZES: dict[str, tuple[int, ...]] = {
    "agents": (21, 1_000, 20_000, 100_000),
    "workers": (1, 2, 4),
    "partitions": (8, 64, 256),
    "hashed": (0, 16, 64),
    "entities": (100_000, 10_000_000),
}


#: What an event costs.
_COSTS = ("cpu_us", "postgres_cpu_us", "kafka_cpu_us", "wal_bytes")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What ``words`` ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks scale",
        description="How cost, memory, freshness, recovery and disk change with size.",
    )
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"what to vary: {', '.join(GROUPS)} (all)"
    )
    for name, sizes in SIZES.items():
        parser.add_argument(f"--{name}", type=int, nargs="+", default=sizes, metavar="N")
    parser.add_argument("--length", type=int, default=LENGTH, metavar="N", help="events")
    parser.add_argument("--events", type=int, default=EVENTS, metavar="N", help="of the others")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N")
    parser.add_argument("--rate", type=int, default=RATE, metavar="N", help="load beside probes")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help="of probes")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="each size with another checkout's worker, too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    given = parser.parse_args(words)
    unknown = set(given.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    given.groups = given.groups or list(GROUPS)
    return given


def cases_of(given: argparse.Namespace, group: str) -> list[Case]:
    """The cases of a group, in the order of their sizes."""
    if group == "length":
        return [Case("length", given.length)]
    sizes: Sequence[int] = getattr(given, group)
    codes = ["", str(given.against.resolve())] if given.against is not None else [""]
    settings: list[dict[str, Any]] = [{group: s, "code": code} for s in sizes for code in codes]
    return [Case(group, given.events, **own) for own in settings]


def main(words: Sequence[str]) -> None:
    """Measure what is asked for, print a table a group, and write JSON where wanted."""
    given = parse(words)
    results: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform(terse=True)}
    }
    with stack() as servers:
        backlogs = Backlogs(servers, report.say)
        for group in given.groups:
            results[group] = _group(servers, backlogs, given, cases_of(given, group), report.say)
            show(group, results[group])
            if given.json is not None:
                given.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)))


def _group(
    servers: Stack, backlogs: Backlogs, given: argparse.Namespace, cases: list[Case], say: Say
) -> list[dict[str, Any]]:
    found: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    once = cases[0].group in {"length", "entities"}  # a turn of theirs takes minutes
    rounds = 1 if once else given.rounds
    for number, case in _turns(cases, rounds):
        busy = os.getloadavg()[0]
        run = _turn(servers, backlogs, given, case, probes=number == rounds)
        found[case].append(run | {"load_before": busy})
        what = f"round {number}: {case.group} {_label(case._asdict())}"
        say(
            f"{what}: {run['events_per_s']:,} events/s "
            f"({run['cpu_us']:.1f} + {run['postgres_cpu_us']:.1f} us CPU), load {busy:.1f} before"
            + (f", WRONG: {'; '.join(run['wrong'][:3])}" if run["wrong"] else "")
        )
    return [_summary(case, runs, found[cases[0]]) for case, runs in found.items()]


def _turns(cases: list[Case], rounds: int) -> Iterator[tuple[int, Case]]:
    for number in range(1, rounds + 1):
        for case in cases if number % 2 else reversed(cases):
            yield number, case


def _turn(
    servers: Stack, backlogs: Backlogs, given: argparse.Namespace, case: Case, *, probes: bool
) -> dict[str, Any]:
    prefix, wanted = backlogs.of(case)
    with turn_of(servers, prefix, case) as (turn, rows):
        for _ in range(case.workers):
            turn.start()
        found = asyncio.run(_stream(turn, rows, wanted, case))
        if probes:
            found |= asyncio.run(_look(turn, rows, given))
            backlogs.spent(case)
        return found | {"wrong": turn.wrong}


async def _stream(turn: Turn, rows: Rows, wanted: Newest, case: Case) -> dict[str, Any]:
    """The backlog, and whether all of it is there."""
    if case.group == "workers":
        await turn.members(case.workers)
        found = await turn.fill_beside(lines_of(case), case.events)
    else:
        found = await turn.apply(case.events)
    found["highest_mb"] = round(turn.highest_mb())
    await turn.compare(rows, wanted)
    found["audit_s"] = round(await turn.audit("after the backlog"), 1)
    return found


async def _look(turn: Turn, rows: Rows, given: argparse.Namespace) -> dict[str, Any]:
    """What takes long: disk, changes of old rows, probes, a kill -9, and the audit after it."""
    found: dict[str, Any] = {"sizes": await turn.sizes()}
    if rows.tasks:
        found["old_rows"] = await turn.change_old(rows, given.events // 2)
    found["idle"] = await turn.fresh(0, given.seconds, 0)
    found["loaded"] = await turn.fresh(given.rate, given.seconds, found["idle"]["probes"])
    found["recovery_s"] = round(await turn.recover(), 1)
    found["highest_of_all_mb"] = round(turn.highest_mb())
    await turn.audit("after the kill")
    return found


def _summary(case: Case, runs: list[dict[str, Any]], first: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, and the median of the rounds' own ratios to the group's first size."""
    return runs[-1] | {
        "case": case._asdict(),
        "events_per_s": round(statistics.median(run["events_per_s"] for run in runs)),
        "rounds": [run["events_per_s"] for run in runs],
        "ratio": round(
            statistics.median(
                run["events_per_s"] / other["events_per_s"]
                for run, other in zip(runs, first, strict=True)
            ),
            3,
        ),
        **{name: round(statistics.median(run[name] for run in runs), 1) for name in _COSTS},
        "loads_before": [round(run["load_before"], 1) for run in runs],
        "exact": not any(run["wrong"] for run in runs),
        "wrong": sorted({text for run in runs for text in run["wrong"]}),
    }


def show(group: str, found: list[dict[str, Any]]) -> None:
    """A group's table."""
    size = "events" if group == "length" else group
    report.table(
        f"Scale: {group}, a backlog of {found[0]['case']['events']:,} events",
        (
            size,
            "events/s",
            "ratio",
            "last/2nd tenth",
            "CPU us",
            "Postgres us",
            "Kafka us",
            "WAL bytes",
            "worker MB",
            "exact",
        ),
        [
            (
                _label(one["case"]),
                f"{one['events_per_s']:,}",
                f"{one['ratio']:.2f}",
                f"{one['tenths'][9] / one['tenths'][1]:.2f}",
                f"{one['cpu_us']:.1f}",
                f"{one['postgres_cpu_us']:.1f}",
                f"{one['kafka_cpu_us']:.1f}",
                f"{one['wal_bytes']:.0f}",
                f"{one['highest_of_all_mb']:,}",
                "yes" if one["exact"] else "NO",
            )
            for one in found
        ],
    )
    report.table(
        f"Scale: {group}, afterwards: freshness in ms, bytes of a row and of its indexes",
        (
            size,
            "fresh idle p50/p99",
            "loaded p50/p99",
            "kill -9 s",
            "a task",
            "an execution",
            "old rows/s",
            "audit s",
        ),
        [(_label(one["case"]), *_afterwards(one)) for one in found],
    )
    for one in found:
        for text in one["wrong"][:5]:
            report.console.print(text, style="red", highlight=False)


def _label(case: dict[str, Any]) -> str:
    size = case["events" if case["group"] == "length" else case["group"]]
    return f"{size:,}" + (f" ({Path(case['code']).name})" if case["code"] else "")


def _afterwards(one: dict[str, Any]) -> tuple[str, ...]:
    tasks, executions = one["sizes"]["tasks"], one["sizes"]["executions"]
    return (
        f"{one['idle']['p50']:.0f} / {one['idle']['p99']:.0f}",
        f"{one['loaded']['p50']:.0f} / {one['loaded']['p99']:.0f}",
        f"{one['recovery_s']:.1f}",
        f"{tasks['row']} + {tasks['indexes']}",
        f"{executions['row']} + {executions['indexes']}",
        f"{one['old_rows']['events_per_s']:,}" if "old_rows" in one else "",
        f"{one['audit_s']:.1f}",
    )
