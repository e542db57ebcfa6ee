"""All peers through all trials, in one run, on the same servers."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from benchmarks.common import PARTITIONS, Stack, make_topics, publish, stack
from benchmarks.peers import fresh, trial
from benchmarks.peers.figures import events_of, figures_of
from benchmarks.peers.peer import Peer, Start, UnavailableError
from benchmarks.report import Say


class Sizes(NamedTuple):
    """How much is measured."""

    events: int = 300_000
    rounds: int = 3
    #: Of the trial with the kill.
    crash_events: int = 300_000
    #: Of each freshness.
    seconds: float = 20.0
    rate: int = 5_000
    #: Seconds that one start of a peer may take.
    limit: float = 300.0


class Left(NamedTuple):
    """A peer that is not in the table, or not with all of it."""

    name: str
    what: str
    reason: str


class Results(NamedTuple):
    """What was found, by the peers' names."""

    runs: dict[str, list[trial.Run]]
    crashes: dict[str, trial.Crash]
    fresh: dict[str, dict[str, dict[str, Any]]]
    left: list[Left]


def measure(say: Say, peers: Sequence[Peer], sizes: Sizes) -> dict[str, Any]:
    """Measure the peers in turns; gives what the table shows."""
    found = Results(defaultdict(list), {}, defaultdict(dict), [])
    ready = list(_prepared(say, peers, found.left))
    with stack() as servers:
        if sizes.rounds:
            backlog = fill(say, servers, "full", sizes.events)
        for number in range(1, sizes.rounds + 1):
            for peer, start in ready if number % 2 else reversed(ready):
                with _Attempt(say, peer, "a backlog", found.left) as attempt:
                    run = trial.backlog_run(servers, peer, start, backlog, sizes.limit)
                    found.runs[peer.name].append(run)
                    attempt.told(f"round {number}: {run.rate:,.0f} events/s")
        _crashes(say, servers, ready, sizes, found)
        _freshness(say, servers, ready, sizes, found)
    return summary(peers, sizes, found)


def _prepared(say: Say, peers: Sequence[Peer], left: list[Left]) -> Iterator[tuple[Peer, Start]]:
    for peer in peers:
        try:
            start = peer.prepare()
        except UnavailableError as error:
            left.append(Left(peer.name, "everything", str(error)))
            say(f"LEFT OUT: {peer.name}: {error}")
        else:
            yield peer, start


class _Attempt:
    """A trial whose failure leaves out the peer loudly, not the other peers."""

    def __init__(self, say: Say, peer: Peer, what: str, left: list[Left]) -> None:
        self._say, self._peer, self._what, self._left = say, peer, what, left

    def told(self, text: str) -> None:
        self._say(f"{self._peer.name}: {text}")

    def __enter__(self) -> _Attempt:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, trial.SlowError | RuntimeError | TimeoutError):
            return False
        self._left.append(Left(self._peer.name, self._what, str(error)))
        self._say(f"LEFT OUT: {self._peer.name}, {self._what}: {error}")
        return True


def fill(say: Say, servers: Stack, prefix: str, events: int) -> trial.Backlog:
    """Publish a backlog into topics of its own."""
    say(f"publishing {events:,} events")
    settings = servers.settings("nova", prefix=prefix)
    asyncio.run(make_topics(settings))
    lines = list(events_of(events, PARTITIONS))
    asyncio.run(publish(settings, lines))
    versions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line in lines:
        versions[line.entity.value, line.id].append(line.seq or 0)
    return trial.Backlog(prefix, len(lines), figures_of(lines), versions)


def _crashes(
    say: Say, servers: Stack, ready: list[tuple[Peer, Start]], sizes: Sizes, found: Results
) -> None:
    if not sizes.crash_events:
        return
    backlog = fill(say, servers, "crash", sizes.crash_events)
    for peer, start in ready:
        with _Attempt(say, peer, "the kill -9", found.left) as attempt:
            crash = trial.crash_run(servers, peer, start, backlog, sizes.limit)
            found.crashes[peer.name] = crash
            wrong = len(crash.wrong_rows) + len(crash.wrong_statistics)
            attempt.told(
                f"killed at {crash.rows_at_kill:,} rows, {wrong} wrong in the end,"
                f" {crash.seconds_after:.1f} s after the kill"
            )


def _freshness(
    say: Say, servers: Stack, ready: list[tuple[Peer, Start]], sizes: Sizes, found: Results
) -> None:
    for name, rate in (("idle", 0), ("load", sizes.rate)):
        for peer, start in ready if sizes.seconds else ():
            with _Attempt(say, peer, f"freshness, {name}", found.left) as attempt:
                one = fresh.measure(servers, peer, start, rate, sizes.seconds, sizes.limit)
                found.fresh[peer.name][name] = one
                attempt.told(f"freshness, {name}: p50 {one['p50']} ms, p99 {one['p99']} ms")


def summary(peers: Sequence[Peer], sizes: Sizes, found: Results) -> dict[str, Any]:
    """What the table and the JSON file show."""
    own = found.runs.get("nova-stream", [])
    return {
        "sizes": sizes._asdict(),
        "peers": [_peer(peer, own, found) for peer in peers],
        "left_out": [one._asdict() for one in found.left],
    }


def _peer(peer: Peer, own: list[trial.Run], found: Results) -> dict[str, Any]:
    runs, crash = found.runs.get(peer.name, []), found.crashes.get(peer.name)
    median = _median_of(runs)
    kept = peer.statistics
    return {
        "name": peer.name,
        "made_of": peer.made_of,
        "claims": peer.claims,
        "events_per_s": median(lambda run: run.rate),
        "rounds": [round(run.rate) for run in runs],
        "ratio_to_nova_stream": _ratio(runs, own),
        "start_seconds": median(lambda run: run.start_seconds),
        "memory_mb": median(lambda run: run.memory_mb),
        "rows_exact": not any(run.wrong_rows for run in runs) if runs else None,
        "statistics_exact": (
            not any(run.wrong_statistics for run in runs) if runs and kept else None
        ),
        "keeps_statistics": kept,
        "snapshots": crash.snapshots if crash and kept else None,
        "snapshots_differing": crash.differing if crash and kept else None,
        "exact_after_kill": (
            None if crash is None else not (crash.wrong_rows or crash.wrong_statistics)
        ),
        "seconds_after_kill": round(crash.seconds_after, 1) if crash else None,
        "freshness_ms": dict(found.fresh.get(peer.name, {})),
        "wrong": sorted({text for run in runs for text in run.wrong_rows + run.wrong_statistics})[
            :10
        ],
        "wrong_after_kill": (crash.wrong_rows + crash.wrong_statistics)[:10] if crash else [],
    }


def _ratio(runs: list[trial.Run], own: list[trial.Run]) -> float | None:
    """The median of the rounds' own ratios; of the medians where a round is missing."""
    if not (runs and own):
        return None
    if len(runs) == len(own):
        return statistics.median(a.rate / b.rate for a, b in zip(runs, own, strict=True))
    return statistics.median(a.rate for a in runs) / statistics.median(b.rate for b in own)


def _median_of(runs: list[trial.Run]) -> Callable[[Callable[[trial.Run], float]], float | None]:
    def median(value: Callable[[trial.Run], float]) -> float | None:
        return round(statistics.median(map(value, runs)), 2) if runs else None

    return median
