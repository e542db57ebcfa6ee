"""The demo's executions take the time that they say, and agents differ as their paces do."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from statistics import median, quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.clock import Clock, from_millis, isoformat, to_millis
from nova_stream.demo.cast import AGENTS
from nova_stream.demo.demo import demo_events
from nova_stream.demo.past import past_events
from nova_stream.demo.story import Build
from nova_stream.demo.time import Wait
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine

from .helpers import NOON

AN_HOUR = timedelta(hours=1)
A_DAY = timedelta(days=1)


class Paced:
    """A demo that is asked for ``rate`` events a second, by a clock that nothing else moves."""

    def __init__(self, seed: int, rate: float, start: datetime = NOON) -> None:
        self.now = start
        self._step = timedelta(seconds=1 / rate)
        self._events = demo_events(seed, lambda: self.now)

    def take(self, count: int) -> list[ChangeLine]:
        taken = []
        for _ in range(count):
            self.now += self._step
            taken.append(next(self._events))
        return taken


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def check_executions(changes: Iterable[ChangeLine]) -> int:
    """Each fits between its task's change to running and its timestamp, and into its build; how
    many there were.
    """
    running: dict[str, datetime] = {}
    spans: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    builds = {}
    for change in changes:
        document = change.after or {}
        if change.entity is Entity.BUILDS:
            builds[change.id] = document
        elif change.entity is Entity.ACTIVITIES and document["eventType"] == "task_started":
            running[document["taskId"]] = instant(document["timestamp"])
        elif change.entity is Entity.TASKS and document["status"] == "running":
            running[change.id] = from_millis(change.ts_ms or 0)
        elif change.entity is Entity.EXECUTIONS:
            end = instant(document["timestamp"])
            begin = end - timedelta(milliseconds=document["duration"])
            assert begin <= end
            if document["taskId"] in running:
                assert begin >= running[document["taskId"]]
            spans[document["taskId"].rpartition("-")[0]].append((begin, end))
    for id_, executions in spans.items():
        build = builds[id_]
        assert min(begin for begin, _ in executions) >= instant(build["startedAt"])
        if "completedAt" in build:
            assert max(end for _, end in executions) <= instant(build["completedAt"])
        check_at_most_three_at_once(executions)
    return sum(map(len, spans.values()))


def check_at_most_three_at_once(executions: list[tuple[datetime, datetime]]) -> None:
    # An end comes before a begin at the same instant.
    steps = sorted([(end, -1) for _, end in executions] + [(begin, 1) for begin, _ in executions])
    at_once = 0
    for _, step in steps:
        at_once += step
        assert at_once <= 3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 5.0, 20.0, 90.0, 400.0, 20_000.0]))
def test_every_execution_fits_into_its_task_and_build(seed: int, rate: float) -> None:
    assert check_executions(Paced(seed, rate).take(3000)) > 100


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_every_execution_of_the_past_fits_into_its_build(hours: int) -> None:
    now = NOON + hours * AN_HOUR
    assert check_executions(past_events(lambda: now)) > 2000


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1.0, 30.0))
def test_while_all_tasks_work_a_build_waits(seed: int, late_s: float) -> None:
    """By the build's own clock, which stands still while it tells, and moves where it waits."""
    now = [NOON]
    build = Build("b-1", "user-01", Random(seed), lambda: now[0])
    changes = []
    for step in build.tell():
        if isinstance(step, Wait):
            assert step.until > now[0]
            now[0] = step.until + timedelta(seconds=late_s)
        else:
            assert step.ts_ms == to_millis(now[0])
            changes.append(step)
    assert check_executions(changes) >= 2  # a build is lost with its first task at the soonest
    assert (changes[-1].after or {})["status"] in {"completed", "failed"}


def durations(changes: Iterable[ChangeLine]) -> dict[str, list[tuple[str, int]]]:
    found = defaultdict(list)
    for change in changes:
        document = change.after or {}
        if change.entity is Entity.EXECUTIONS:
            found[document["agent"]].append((document["timestamp"], document["duration"]))
    return found


def test_at_the_usual_rate_agents_take_their_paces() -> None:
    found = durations(Paced(1, 20.0).take(60_000))
    for agent in AGENTS:
        took = median(duration for _, duration in found[agent.name])
        assert took == pytest.approx(agent.pace * 1000, rel=0.3), agent.name


def test_at_a_high_rate_time_passes_faster_for_all_alike() -> None:
    """Builds are told early, and their executions have taken what really passed."""
    found = durations(Paced(1, 2000.0).take(200_000))
    shares = [
        median(duration for _, duration in found[agent.name]) / agent.pace / 1000
        for agent in AGENTS
    ]
    assert max(shares) < 0.5
    assert max(shares) / min(shares) < 2


@pytest.mark.parametrize("seed", range(8))
def test_the_first_build_is_completed_within_a_minute_or_so(seed: int) -> None:
    changes = Paced(seed, 20.0).take(70 * 20)
    assert any((change.after or {}).get("status") == "completed" for change in changes)


def still() -> Clock:
    return lambda: NOON


def backwards() -> Clock:
    now = [NOON]

    def clock() -> datetime:
        now[0] -= timedelta(milliseconds=1)
        return now[0]

    return clock


def erratic() -> Clock:
    random = Random(3)
    return lambda: NOON + timedelta(seconds=random.uniform(-3600, 3600))


@pytest.mark.parametrize("clock", [still, backwards, erratic])
def test_it_goes_on_whatever_the_clock_does(clock: Callable[[], Clock]) -> None:
    changes = list(islice(demo_events(1, clock()), 20_000))
    ended = [c for c in changes if c.entity is Entity.BUILDS and "completedAt" in (c.after or {})]
    assert len(ended) > 100
    assert all(duration >= 0 for each in durations(changes).values() for _, duration in each)


def test_a_clock_that_stands_still_leaves_no_time_to_work() -> None:
    found = durations(islice(demo_events(1, still()), 20_000))
    assert {duration for each in found.values() for _, duration in each} == {0}


@pytest.mark.parametrize("hours", [0, 5, 13, 1000])
@pytest.mark.parametrize("minutes", [0, 10])
def test_of_all_agents_one_got_clearly_slower_in_the_last_day(hours: int, minutes: int) -> None:
    """As ``agents --slower`` compares: p95 of the last 24 hours and of the 24 before."""
    start = NOON + hours * AN_HOUR
    changes = list(past_events(lambda: start))
    live = Paced(hours, 20.0, start)
    changes += live.take(minutes * 60 * 20)
    rose = {}
    for agent, executions in durations(changes).items():
        last, before = [], []
        for timestamp, duration in executions:
            if timestamp >= isoformat(live.now - A_DAY):
                last.append(duration)
            elif timestamp >= isoformat(live.now - 2 * A_DAY):
                before.append(duration)
        assert min(len(last), len(before)) >= 20 or agent != "TRITON"
        rose[agent] = abs(math.log(p95(last) / p95(before)))
        if agent == "TRITON":
            assert p95(last) > p95(before)
    slower = rose.pop("TRITON")
    assert slower > 2 * max(rose.values())


def p95(durations: list[int]) -> float:
    return quantiles(durations, n=20, method="inclusive")[-1]
