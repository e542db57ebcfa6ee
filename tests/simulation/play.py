"""One history, from its seed to its verdict."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch

from nova_stream.jobs.engine import ledger, runner, scheduler, session
from nova_stream.stream import flusher, letter_limit, pumps, seeking, transport
from nova_stream.stream import worker as stream_worker
from tests.simulation import jobs_plan, stream_plan
from tests.simulation.connection import FAULTS
from tests.simulation.jobs_world import JobsWorld
from tests.simulation.loop import StuckError, VirtualLoop, VirtualTime
from tests.simulation.process import Errors, connect
from tests.simulation.steps import Step
from tests.simulation.stream_world import StreamWorld

#: What is simulated, by name: who makes the plan of a seed, and who plays it.
_WORLDS: dict[str, tuple[Any, Any]] = {
    "stream": (stream_plan.plan, StreamWorld),
    "jobs": (jobs_plan.plan, JobsWorld),
}
KINDS = tuple(_WORLDS)
#: Steps that are no faults.
_INNOCENT = ("publish", "marker", "lasts")


class Verdict(NamedTuple):
    """What came of a history; ``fault`` is None where all was right."""

    kind: str
    seed: int
    fault: str | None
    steps: list[Step]
    struck: list[str]
    statements: int


def play(kind: str, seed: int, keep: Collection[int] | None = None) -> Verdict:
    """Play the history of a seed, or only those steps of it whose places are given."""
    plan = _WORLDS[kind][0](seed)
    if keep is not None:
        plan = plan._replace(steps=[step for n, step in enumerate(plan.steps) if n in keep])
    return _play(kind, plan)


def sweep(kind: str, seed: int, every: int = 1) -> Iterator[Verdict]:
    """The history of a seed without its faults, and with each kind of fault at every statement, or
    at one of so many.
    """
    plan = _WORLDS[kind][0](seed)
    plan = plan._replace(steps=[step for step in plan.steps if step.kind in _INNOCENT])
    without = _play(kind, plan)
    yield without
    for number in range(0, without.statements, every):
        gc.collect()  # nobody else does
        for fault in FAULTS:
            strike = Step("strike", 0.0, (number, fault, 2.0))
            yield _play(kind, plan._replace(steps=[strike, *plan.steps]))


def _play(kind: str, plan: Any) -> Verdict:
    world_of, seed = _WORLDS[kind][1], plan.seed
    loop = VirtualLoop(Random(f"order {seed}"))
    world = world_of(plan, Random(f"delays {seed}"))
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(world.play())
        fault = world.fault
    except StuckError as error:
        fault = world.fault or str(error)
    finally:
        _end(loop)
    return Verdict(kind, seed, fault, plan.steps, world.wire.struck, world.wire.statements)


def _end(loop: VirtualLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=100))
    loop.close()
    asyncio.set_event_loop(None)


@contextmanager
def simulated() -> Iterator[None]:
    """The product with virtual time, with our Postgres and without logs."""
    time: Any = VirtualTime(lambda: asyncio.get_running_loop().time())
    reading = (transport, seeking, pumps, flusher)
    logging = (*reading, letter_limit, stream_worker, scheduler, runner)
    patches: list[Any] = [patch.object(module, "_log", Errors()) for module in logging]
    timed = (*reading, scheduler, runner)
    patches += [patch.object(module, "time", time) for module in timed]
    connecting = (stream_worker, session, ledger, runner)
    patches += [patch.object(module, "connect", connect) for module in connecting]
    patches += [
        patch.object(flusher, "gc", SimpleNamespace(collect=lambda: 0)),
        patch.object(runner, "random", SimpleNamespace(uniform=lambda low, _: low)),
    ]
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        gc.disable()
        stack.callback(gc.enable)
        yield
