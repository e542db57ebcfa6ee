"""What happens in one history of the jobs' scheduler: runs of all lengths, and faults."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tests.simulation.connection import FAULTS
from tests.simulation.steps import Step

#: In virtual seconds: as long as faults come.
LENGTH = 240.0
JOBS = ("everyMinute", "catchesUpNot")
#: Seconds that a worker holds a run for, and from which on a slot is late.
LEASE, LATE = 15.0, 30.0


class Plan(NamedTuple):
    """A history: how many workers there are, and all that happens to them."""

    seed: int
    workers: int
    steps: list[Step]


def plan(seed: int) -> Plan:
    random = Random(f"jobs {seed}")
    workers = random.choice((1, 2, 2, 3))
    steps = []
    for _ in range(random.choice((0, 1, 2, 4))):
        # A run of that job that begins in that minute.
        seconds = random.choice((5.0, 20.0, 70.0, 130.0))
        steps.append(Step("lasts", 0.0, (random.choice(JOBS), _minute(random), seconds)))
    for _ in range(random.choice((0, 1, 2))):
        steps.append(Step("fails", 0.0, (random.choice(JOBS), _minute(random), _tries(random))))
    for _ in range(random.choice((0, 1, 2, 4, 8))):
        seconds = random.choice((0.0, 0.5, 8.0, 20.0))
        number = random.randrange(random.choice((30, 100, 400)))
        steps.append(Step("strike", 0.0, (number, random.choice(FAULTS), seconds)))
    for _ in range(random.choice((0, 1, 2))):
        down = random.choice((0.0, 3.0, 40.0, 100.0))
        kind = random.choice(("kill", "stop"))
        steps.append(Step(kind, _any_time(random), (random.randrange(workers), down)))
    for _ in range(random.choice((0, 0, 1, 2))):
        seconds = random.choice((3.0, 12.0, 25.0, 60.0))
        steps.append(Step("freeze", _any_time(random), (random.randrange(workers), seconds)))
    for _ in range(random.choice((0, 0, 1, 2))):
        ahead = random.choice((-3600.0, -70.0, 70.0, 3600.0))
        steps.append(Step("clock", _any_time(random), (random.randrange(workers), ahead)))
    for kind in ("pause", "resume", "request"):
        for _ in range(random.choice((0, 0, 1))):
            steps.append(Step(kind, _any_time(random), (random.choice(JOBS),)))
    for _ in range(random.choice((0, 0, 0, 1))):
        steps.append(Step("outage", _any_time(random), (random.choice((5.0, 50.0, 130.0)),)))
    steps.sort(key=lambda step: step.at)
    return Plan(seed, workers, steps)


def _minute(random: Random) -> int:
    return random.randrange(int(LENGTH // 60) + 1)


def _tries(random: Random) -> int:
    return random.choice((1, 2, 3))


def _any_time(random: Random) -> float:
    return round(random.random() * LENGTH, 1)
