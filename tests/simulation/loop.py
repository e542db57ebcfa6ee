"""An event loop in which nothing waits: when all sleep, the clock goes on to the next timer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from heapq import heappop
from random import Random
from typing import Any

#: The simulated process whose code runs.
OWNER: ContextVar[Tasks | None] = ContextVar("owner", default=None)


class StuckError(Exception):
    """Everybody waits for somebody, and no timer runs."""


class Tasks:
    """The tasks of one simulated process, so that they can be ended together."""

    def __init__(self) -> None:
        # In the order in which they were made: a set's is another in every play.
        self.tasks: dict[asyncio.Task[Any], None] = {}
        #: Whether its code does not run for now, as under SIGSTOP.
        self.frozen = False

    def cancel(self) -> None:
        for task in list(self.tasks):
            task.cancel()


def of_nobody(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task that belongs to no process, whoever begins it."""
    token = OWNER.set(None)
    try:
        return asyncio.get_running_loop().create_task(work)
    finally:
        OWNER.reset(token)


def _is_frozen(handle: Any) -> bool:
    owner = handle._context.get(OWNER)
    return owner is not None and owner.frozen


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is ready in an order that ``random`` decides; ``time`` moves only between timers.

    Callbacks of one moment change places, as answers of several servers do. Tasks belong to the
    process in whose context they were made.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[Any]

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._now = 0.0
        self._random = random
        self._selector = self
        #: What is ready of processes that are frozen.
        self._held: list[asyncio.Handle] = []
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """Called by asyncio before it runs what is ready."""
        if self._held and not all(map(_is_frozen, self._held)):
            timeout = 0.0
        if timeout is None:
            raise StuckError("everybody waits, and no timer runs")
        self._now += timeout
        while self._scheduled and self._scheduled[0].when() <= self._now:
            handle = heappop(self._scheduled)
            handle._scheduled = False
            self._ready.append(handle)
        ready = [*self._held, *self._ready]
        self._held = [handle for handle in ready if _is_frozen(handle)]
        if self._held:
            ready = [handle for handle in ready if not _is_frozen(handle)]
        if len(ready) > 1:
            self._random.shuffle(ready)
        self._ready.clear()
        self._ready.extend(ready)
        return []

    def _process_events(self, _events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    def _make_task(self, loop: Any, work: Any, **given: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **given)
        owner = OWNER.get()
        if owner is not None:
            owner.tasks[task] = None
            task.add_done_callback(lambda ended: owner.tasks.pop(ended, None))
        return task


class VirtualTime:
    """Stands in for the module ``time`` where the product asks it."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.monotonic = self.perf_counter = self.time = seconds
