"""What a turn of the scale benchmark reads, and what must stand in the tables afterwards."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.common import ROOT, Stack, make_topics, publish
from benchmarks.report import Say
from benchmarks.workload import agent_names, history
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine
from nova_stream.settings import Settings

#: The entities of a backlog.
COUNTED = (Entity.BUILDS, Entity.TASKS, Entity.EXECUTIONS)


class Case(NamedTuple):
    """What a turn has: ``group`` says which of its sizes is varied."""

    group: str
    events: int
    agents: int = 21
    entities: int = 0
    partitions: int = 8
    workers: int = 1
    #: Partitions by hash of the tables of tasks and executions; 0 are tables as they are.
    hashed: int = 0
    #: The checkout whose worker runs; empty is this one.
    code: str = ""

    @property
    def checkout(self) -> Path:
        return Path(self.code) if self.code else ROOT

    @property
    def backlog(self) -> tuple[int, int, int]:
        """Cases that are alike in this read the same topics."""
        return self.agents, self.partitions, self.events


class Newest(NamedTuple):
    """Distinct documents of a backlog and the sum of their newest versions, by table."""

    documents: dict[Entity, int]
    versions: dict[Entity, int]


class Backlogs:
    """Topics with events in them, published once for all turns that read them and add none."""

    def __init__(self, servers: Stack, say: Say) -> None:
        self._servers = servers
        self._say = say
        self._there: dict[tuple[int, int, int], tuple[str, Newest]] = {}

    def of(self, case: Case) -> tuple[str, Newest]:
        """The prefix of the topics and what lies in them; for several workers they are empty yet,
        and of this turn alone.
        """
        if case.group == "workers":
            prefix = f"w{random.getrandbits(40):x}"
            asyncio.run(make_topics(settings_of(self._servers, "nova", prefix, case)))
            return prefix, newest(lines_of(case))
        if case.backlog not in self._there:
            self._say(f"publishing {case.events:,} events of {case.agents:,} agents")
            prefix = f"s{random.getrandbits(40):x}"
            settings = settings_of(self._servers, "nova", prefix, case)
            asyncio.run(make_topics(settings))
            asyncio.run(publish(settings, lines_of(case)))
            self._there[case.backlog] = (prefix, newest(lines_of(case)))
        return self._there[case.backlog]

    def spent(self, case: Case) -> None:
        """The topics of this case hold more than the backlog now: nobody else shall read them."""
        self._there.pop(case.backlog, None)


def lines_of(case: Case) -> Iterator[ChangeLine]:
    """The backlog: builds, tasks and executions of agents that are known."""
    return history(case.events, agents=agent_names(case.agents), register=False)


def newest(lines: Iterator[ChangeLine]) -> Newest:
    """What must stand in the tables after ``lines``."""
    versions: dict[Entity, dict[str, int]] = {entity: {} for entity in COUNTED}
    for line in lines:
        assert line.seq is not None
        own = versions[line.entity]
        own[line.id] = max(line.seq, own.get(line.id, 0))
    return Newest(
        {entity: len(own) for entity, own in versions.items()},
        {entity: sum(own.values()) for entity, own in versions.items()},
    )


def settings_of(servers: Stack, database: str, prefix: str, case: Case) -> Settings:
    """Settings of a turn, with as many partitions as the case has."""
    found = servers.settings(database, prefix=prefix, group=database)
    return found.model_copy(update={"partitions": case.partitions})
