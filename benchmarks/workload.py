"""The events: a deterministic history of agents, builds, tasks and executions.

Builds run side by side, as many as ``_AT_ONCE``; each has tasks with four changes (pending, ready,
running, done or failed) and an execution a task. One event in a hundred is delivered twice, so that
being exact under duplicates means something: the second time some time later, mostly after a newer
version of the same document. With ``moves``, tasks and their executions go to other agents, too.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import md5
from typing import Any

from nova_stream.clock import from_millis, isoformat
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine
from tests.recount import Recount, recount_history, revision_of_line

AGENTS = (
    "ARCHITECT",
    "ATLAS",
    "BISHOP",
    "CIPHER",
    "DELTA",
    "ECHO",
    "FORGE",
    "GAUSS",
    "HERMES",
    "IRIS",
    "JUNO",
    "KEPLER",
    "LYRA",
    "MARS",
    "NEPTUNE",
    "ORION",
    "PIXEL",
    "QUARK",
    "RANGER",
    "SUN",
    "VULCAN",
)

#: Builds that run at the same time.
_AT_ONCE = 300
_DUPLICATES = 0.01
_START = 1_771_588_800_000
_STEP = 20  # milliseconds between two events
_WORDS = (
    "api",
    "auth",
    "cache",
    "chart",
    "draft",
    "event",
    "flow",
    "graph",
    "index",
    "login",
    "menu",
    "order",
    "page",
    "query",
    "route",
    "table",
)


class _Maker:
    """Makes lines with rising versions and times."""

    def __init__(
        self, seed: int, moves: float = 0.0, agents: Sequence[str] = AGENTS, first: int = 0
    ) -> None:
        self.random = random.Random(seed)
        self.moves = moves
        self.agents = agents
        self._seq = first

    @property
    def now(self) -> str:
        return isoformat(from_millis(_START + self._seq * _STEP))

    def id(self, kind: str) -> str:
        """Not rising, as the ids of the main app are not."""
        return f"{kind}{self.random.getrandbits(76):019x}"

    def words(self, count: int) -> str:
        return " ".join(self.random.choices(_WORDS, k=count))

    def line(self, entity: Entity, document: dict[str, Any], op: Any = "u") -> ChangeLine:
        self._seq += 1
        return ChangeLine(
            entity=entity,
            id=document["id"],
            op=op,
            seq=self._seq,
            minor=0,
            ts_ms=_START + self._seq * _STEP,
            after=dict(document),
            before=None,
        )


def history(
    events: int,
    *,
    seed: int = 20260220,
    moves: float = 0.0,
    agents: Sequence[str] = AGENTS,
    register: bool = True,
) -> Iterator[ChangeLine]:
    """The first ``events`` events of the history of ``seed``, the agents' registrations first,
    unless ``register`` says that they are known already.

    ``moves`` is the share of tasks that change their agent while they run, and whose execution is
    corrected afterwards: it goes to the other agent, with another duration.
    """
    maker = _Maker(seed, moves, agents)
    recent: deque[ChangeLine] = deque(maxlen=5000)
    source = _endless(maker, register=register)
    for count in range(events):
        again = count > 1000 and maker.random.random() < _DUPLICATES
        line = maker.random.choice(recent) if again else next(source)
        recent.append(line)
        yield line


def expected(events: int) -> Recount:
    """The figures after ``history(events)``, by the plain recount."""
    return recount_history(revision_of_line(line) for line in history(events))


def distinct(entities: int, *, seed: int, bytes_each: int = 100) -> Iterator[ChangeLine]:
    """As many tasks as executions, each of them once, with texts of ``bytes_each`` that do not
    compress well.
    """
    maker = _Maker(seed)
    task: dict[str, Any] = {}
    for number in range(entities):
        text = maker.random.randbytes(bytes_each // 2).hex()
        if number % 2:
            execution = _execution(maker, task) | {"response": text}
            yield maker.line(Entity.EXECUTIONS, execution, "c")
        else:
            task = {
                "id": maker.id("t"),
                "buildId": "b",
                "agent": maker.random.choice(AGENTS),
                "title": "a task",
                "status": "done",
                "output": text,
                "createdAt": maker.now,
            }
            yield maker.line(Entity.TASKS, task, "c")


def changed(
    numbers: Sequence[int], agents: Sequence[str], *, seed: int, first: int
) -> Iterator[ChangeLine]:
    """A change of each of the tasks that ``scale_rows`` has put in under these numbers, some of
    them to another agent; versions rise from ``first`` on.
    """
    maker = _Maker(seed, agents=agents, first=first)
    for number in numbers:
        document = {
            "id": task_id(number),
            "buildId": "b",
            "title": maker.words(3),
            "agent": maker.random.choice(agents),
            "status": maker.random.choice(("done", "failed", "running")),
            "createdAt": maker.now,
        }
        yield maker.line(Entity.TASKS, document)


def task_id(number: int) -> str:
    """The id of a task that was put in by number: as those of ``history``, in no order."""
    return f"t{md5(str(number).encode(), usedforsecurity=False).hexdigest()[:19]}"


def agent_names(count: int) -> list[str]:
    """The usual agents, then numbered ones."""
    return [*AGENTS[:count], *(f"AGENT-{n:06d}" for n in range(len(AGENTS), count))]


def _endless(maker: _Maker, *, register: bool) -> Iterator[ChangeLine]:
    for name in maker.agents if register else ():
        document = {
            "id": maker.id("a"),
            "name": name,
            "role": name.title(),
            "domain": "software",
            "model": "opus",
            "createdAt": maker.now,
        }
        yield maker.line(Entity.AGENTS, document, "c")
    builds = [_build(maker) for _ in range(_AT_ONCE)]
    while True:
        place = maker.random.randrange(_AT_ONCE)
        line = next(builds[place], None)
        if line is None:
            builds[place] = _build(maker)
        else:
            yield line


def _build(maker: _Maker) -> Iterator[ChangeLine]:
    choose = maker.random
    document: dict[str, Any] = {
        "id": maker.id("b"),
        "prdId": maker.id("p"),
        "prdName": maker.words(4),
        "status": "running",
        "startedAt": maker.now,
    }
    yield maker.line(Entity.BUILDS, document, "c")
    waiting = [_task(maker, document["id"], number) for number in range(choose.randint(10, 30))]
    running: list[Iterator[ChangeLine]] = []
    while waiting or running:
        while waiting and len(running) < 4:
            running.append(waiting.pop())
        task = choose.choice(running)
        line = next(task, None)
        if line is None:
            running.remove(task)
        else:
            yield line
    failed = choose.random() < 0.1
    document |= {"status": "failed" if failed else "completed", "completedAt": maker.now}
    if failed:
        document["error"] = maker.words(8)
    yield maker.line(Entity.BUILDS, document)


def _task(maker: _Maker, build: str, number: int) -> Iterator[ChangeLine]:
    choose = maker.random
    document: dict[str, Any] = {
        "id": maker.id("t"),
        "buildId": build,
        "taskId": f"T-{number}",
        "title": maker.words(3),
        "agent": choose.choice(maker.agents),
        "status": "pending",
        "dependencies": [f"T-{number - 1}"] if number else [],
        "phase": number // 4 + 1,
        "attempts": 0,
        "createdAt": maker.now,
    }
    yield maker.line(Entity.TASKS, document, "c")
    yield maker.line(Entity.TASKS, document | {"status": "ready"})
    document |= {"status": "running", "attempts": 1}
    yield maker.line(Entity.TASKS, document)
    execution = _execution(maker, document)
    yield maker.line(Entity.EXECUTIONS, execution, "c")
    if maker.moves and choose.random() < maker.moves:
        document |= {"agent": choose.choice(maker.agents)}
        yield maker.line(Entity.TASKS, document)
        corrected = {"agent": document["agent"], "duration": choose.randint(200, 90_000)}
        yield maker.line(Entity.EXECUTIONS, execution | corrected)
    failed = choose.random() < 0.08
    document |= {"status": "failed"} if failed else {"status": "done", "output": maker.words(6)}
    yield maker.line(Entity.TASKS, document)


def _execution(maker: _Maker, task: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": maker.id("e"),
        "taskId": task["id"],
        "agent": task["agent"],
        "model": "opus",
        "prompt": maker.words(5),
        "response": maker.words(5),
        "gatesPassed": True,
        "duration": maker.random.randint(200, 90_000),
        "timestamp": maker.now,
    }
