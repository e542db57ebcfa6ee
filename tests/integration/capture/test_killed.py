"""kill -9 before every single step of a capture: the next instance brings the same end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from nova_stream.settings import Settings
from tests.integration.capture.harness import ROOT, Topics, environment, fetch
from tests.integration.capture.stand_in import Deployment, Write
from tests.integration.capture.test_capture import task

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(600)]

#: More steps than any capture here has.
NEVER = 1_000_000


class Victims:
    """A process that forks victims."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def die_before(self, step: int) -> bool:
        """Whether there was such a step before all was read, and the process died before it."""
        return await asyncio.to_thread(self._die_before, step)

    def _die_before(self, step: int) -> bool:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{step}\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in {0, -9}
        return status == -9


@contextmanager
def victims(settings: Settings) -> Iterator[Victims]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.capture.killed"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(settings),
    ) as process:
        yield Victims(process)
        assert process.stdin is not None
        process.stdin.close()


def change(deployment: Deployment, round_: int) -> None:
    """Create, change and delete, as many as before in the end."""
    first, second, *_, last = sorted(deployment.documents("tasks"))
    for n in range(2):
        deployment.insert("tasks", task(1000 * round_ + n))
    deployment.transact([Write("tasks", first, None), Write("tasks", second, task(0, "failed"))])
    deployment.delete("tasks", last)
    for identity in deployment.documents("agents"):
        deployment.delete("agents", identity)
    deployment.insert("agents", {"name": f"A-{round_}"})


def forget(deployment: Deployment) -> None:
    deployment.forget_before = deployment.refuse_snapshots_before = deployment.now()


def keep(_: Deployment) -> None:
    pass


@pytest.mark.parametrize(
    ("then", "at_least"), [(forget, 15), (keep, 8)], ids=["a lost cursor", "deltas"]
)
async def test_every_step(
    deployment: Deployment,
    settings: Settings,
    then: Callable[[Deployment], None],
    at_least: int,
) -> None:
    deployment.snapshot_page, deployment.deltas_page = 4, 3
    for n in range(9):
        deployment.insert("tasks", task(n))
    step = 0
    async with Topics(settings) as topics:
        with victims(settings) as forked:
            assert not await forked.die_before(NEVER)
            while True:
                change(deployment, step)
                then(deployment)
                if not await forked.die_before(step):
                    break
                # What it published last may be gone before anybody comes back to it.
                change(deployment, -step)
                then(deployment)
                assert not await forked.die_before(NEVER)
                await topics.shows(deployment, 1)
                known = await fetch(settings, "SELECT id FROM source_documents")
                there = {*deployment.documents("tasks"), *deployment.documents("agents")}
                assert {row["id"] for row in known} == there, step
                step += 1
    assert step > at_least
