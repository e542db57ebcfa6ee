"""The story of one build: its tasks, their executions, what goes wrong, and how it ends."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from datetime import datetime
from random import Random
from typing import Any

from nova_stream.clock import Clock, from_millis
from nova_stream.demo.cast import (
    AGENTS,
    FAILURES,
    LESSONS,
    PHASES,
    STAND_INS,
    SUBJECTS,
    Agent,
)
from nova_stream.demo.time import NO_WAIT, Stopwatch, Wait
from nova_stream.events.change import ACTIVE_TASK_STATUSES, Entity
from nova_stream.events.encode import Op
from nova_stream.events.lines import ChangeLine
from nova_stream.events.times import time_text

_ATTEMPTS = 2
_HANDED_ON = 0.06  # of the tasks that are ready
_HANDED_ON_AFTER_FAILURE = 0.35
_LESSON = 0.02  # of the tasks that are done
_SPREAD = 0.5  # of the durations: the sigma of their logarithm
_SIDE_BY_SIDE = 3

_AGENTS = {agent.name: agent for agent in AGENTS}

Document = dict[str, Any]
Steps = Iterator[ChangeLine | Wait]


class UnderWay:
    """The story of a build or a task that goes on, and what it waits for."""

    def __init__(self, story: Steps, name: str = "") -> None:
        self.name = name
        self.wait = NO_WAIT
        self._story = story

    def step(self) -> ChangeLine | Wait | None:
        """The next change, or what is waited for; None at the end."""
        found = next(self._story, None)
        self.wait = found if isinstance(found, Wait) else NO_WAIT
        return found


class Build:
    """A build from its beginning to its end, or to the point where it stalls.

    ``clock`` is the time in which it happens; with ``stalls`` it is left with half of its tasks,
    and with ``stalled_since`` it began then and has never got any. ``paces`` are those of agents
    that worked faster then: their executions are shorter, and all else is the same. Every change is
    as new as it is told, whatever its document says.

    Iterate over ``tell()`` as slowly or fast as the build is to go on. An execution takes the time
    that it says: while all tasks at work still work, a ``Wait`` comes. Whoever goes on before it is
    over is told of an execution that took what has passed.
    """

    def __init__(
        self,
        identity: str,
        user: str,
        random: Random,
        clock: Clock,
        *,
        stalls: bool = False,
        stalled_since: datetime | None = None,
        paces: Mapping[str, float] | None = None,
    ) -> None:
        self._random = random
        self._clock = clock
        self._watch = Stopwatch(clock)
        self._id = identity
        self._user = user
        self._stalls = stalls
        self._stalled_since = stalled_since
        self._paces = paces or {}
        self._subject = random.choice(SUBJECTS)
        self._activities = 0
        self._executions = 0
        self._lost: Document | None = None
        self._tasks: list[Document] = []

    def tell(self) -> Steps:
        """The changes, in their order, and what is waited for between them."""
        build: Document = {
            "id": self._id,
            "prdId": f"prd-{self._id}",
            "prdName": f"{self._subject.capitalize()} {self._random.randint(1, 40)}",
            "status": "pending",
            "startedAt": None,
        }
        yield self._change(Entity.BUILDS, build, "c")
        since = self._stalled_since
        begun = self._watch.now() if since is None else time_text(since)
        build |= {"status": "running", "startedAt": begun}
        yield self._change(Entity.BUILDS, build)
        if since is not None:
            return
        self._tasks = self._plan()
        for task in self._tasks:
            yield self._change(Entity.TASKS, task, "c")
        yield from self._work(self._tasks)
        if self._lost is not None:
            yield from self.block()
            build |= {
                "status": "failed",
                "completedAt": self._watch.now(),
                "error": f"{self._lost['title']}: {self._lost['error']}",
            }
            yield self._change(Entity.BUILDS, build)
        elif not self._stalls:
            build |= {"status": "completed", "completedAt": self._watch.now()}
            yield self._change(Entity.BUILDS, build)

    def block(self) -> Iterator[ChangeLine]:
        """Block the tasks that will not be done."""
        for task in self._tasks:
            if task["status"] in ACTIVE_TASK_STATUSES:
                yield self._move(task, status="blocked")

    def _plan(self) -> list[Document]:
        """The tasks: one to three a phase, each after one or two of the phase before."""
        tasks: list[Document] = []
        before: list[str] = []
        for phase, work in enumerate(PHASES):
            chosen = self._random.sample(work, self._random.randint(1, min(3, len(work))))
            names = []
            for title, agent in chosen:
                name = f"T{len(tasks) + 1:03}"
                names.append(name)
                needed = self._random.sample(before, min(len(before), self._random.randint(1, 2)))
                tasks.append(self._task(name, title, agent, phase, sorted(needed)))
            before = names
        return tasks

    def _task(
        self, name: str, title: str, agent: Agent, phase: int, dependencies: list[str]
    ) -> Document:
        return {
            "id": f"{self._id}-{name}",
            "buildId": self._id,
            "taskId": name,
            "title": title.format(self._subject),
            "agent": agent.name,
            "status": "pending",
            "dependencies": dependencies,
            "phase": phase,
            "attempts": 0,
            "createdAt": self._watch.now(),
        }

    def _work(self, tasks: list[Document]) -> Steps:
        """A few tasks side by side, until all are done, one is lost, or the build stalls."""
        waiting = list(tasks)
        done: set[str] = set()
        at_work: list[UnderWay] = []
        while self._lost is None:
            if not (self._stalls and len(done) >= len(tasks) // 2):
                for task in _startable(waiting, done)[: _SIDE_BY_SIDE - len(at_work)]:
                    waiting.remove(task)
                    at_work.append(UnderWay(self._carry_out(task), task["taskId"]))
            if not at_work:
                return
            finished = yield from self._until_one_ends(at_work)
            done.add(finished)

    def _until_one_ends(self, at_work: list[UnderWay]) -> Generator[ChangeLine | Wait, None, str]:
        """Tell of the tasks at work in turns; the name of the first that ends, taken out."""
        while True:
            now = self._clock()
            turns = [task for task in at_work if task.wait.over(now)]
            if not turns:
                turns = [min(at_work, key=lambda task: task.wait.until)]
                yield turns[0].wait
            task = self._random.choice(turns)
            step = task.step()
            if step is None:
                at_work.remove(task)
                return task.name
            if not isinstance(step, Wait):
                yield step

    def _carry_out(self, task: Document) -> Steps:
        """A task from ready to done; sets ``_lost`` when no attempt is left."""
        yield self._move(task, status="ready")
        if self._random.random() < _HANDED_ON:
            yield self._hand_on(task)
        while True:
            yield self._move(task, status="running", attempts=task["attempts"] + 1)
            yield self._tell_feed(task, "task_started", f"Started: {task['title']}")
            began = self._watch.millis()
            works = self._random.random() < _AGENTS[task["agent"]].luck
            reason = None if works else self._random.choice(FAILURES)
            lasts, takes = self._durations(task["agent"])
            wait = Wait(from_millis(began), from_millis(began + lasts))
            if not wait.over(self._clock()):
                yield wait
            yield self._execution(task, reason, began, takes)
            if reason is None:
                yield self._move(task, status="done", output=f"{task['title']}: ok")
                yield self._tell_feed(task, "task_completed", f"Done: {task['title']}")
                break
            yield self._move(task, status="failed", error=reason)
            yield self._tell_feed(task, "task_failed", f"Failed: {task['title']} ({reason})")
            if task["attempts"] >= _ATTEMPTS:
                self._lost = task
                return
            if self._random.random() < _HANDED_ON_AFTER_FAILURE:
                yield self._hand_on(task)
            del task["error"]
            yield self._move(task, status="ready")
        if self._random.random() < _LESSON:
            yield self._tell_feed(task, *self._random.choice(LESSONS))

    def _move(self, task: Document, **changes: Any) -> ChangeLine:
        task.update(changes)
        return self._change(Entity.TASKS, task)

    def _hand_on(self, task: Document) -> ChangeLine:
        return self._move(task, agent=self._random.choice(STAND_INS[task["agent"]]).name)

    def _durations(self, agent: str) -> tuple[int, int]:
        """How long a task is to be at work, and its execution of that, in milliseconds.

        A faster one leaves the task's time as it is: so all else, every id included, stays the same
        when the build is told once more at the usual pace, and replaces what was told before.
        """
        usual = _AGENTS[agent].pace
        lasts = self._random.lognormvariate(math.log(usual * 1000), _SPREAD)
        return round(lasts), round(lasts * min(self._paces.get(agent, usual) / usual, 1.0))

    def _execution(self, task: Document, error: str | None, began: int, takes: int) -> ChangeLine:
        """One that ended well, or with the ``error`` that its task then has, too; it took what it
        was to take, or what has passed since it ``began`` (epoch milliseconds) if that is less.
        """
        agent = _AGENTS[task["agent"]]
        now = self._watch.millis()
        self._executions += 1
        document: Document = {
            "id": f"{self._id}-e{self._executions:03}",
            "taskId": task["id"],
            "agent": agent.name,
            "model": agent.model,
            "prompt": f"{task['title']}. Attempt {task['attempts']}.",
            "response": "Done, see the patch." if error is None else "I could not finish this.",
            "gatesPassed": error is None,
            "duration": max(0, min(takes, now - began)),
            "timestamp": time_text(from_millis(now)),
        }
        if error is not None:
            document["error"] = error
        return self._change(Entity.EXECUTIONS, document, "c")

    def _tell_feed(self, task: Document, event: str, details: str) -> ChangeLine:
        self._activities += 1
        document = {
            "id": f"{self._id}-a{self._activities:03}",
            "userId": self._user,
            "agentName": task["agent"],
            "eventType": event,
            "taskId": task["id"],
            "details": details,
            "timestamp": self._watch.now(),
        }
        return self._change(Entity.ACTIVITIES, document, "c")

    def _change(self, entity: Entity, document: Document, op: Op = "u") -> ChangeLine:
        # A copy: the story goes on with its own, while this one still waits to be sent.
        return ChangeLine(
            entity=entity,
            id=document["id"],
            op=op,
            seq=None,
            minor=0,
            ts_ms=self._watch.millis(),
            after=dict(document),
            before=None,
        )


def _startable(waiting: list[Document], done: set[str]) -> list[Document]:
    return [task for task in waiting if done.issuperset(task["dependencies"])]
