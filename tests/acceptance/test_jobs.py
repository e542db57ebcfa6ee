"""The promise, while the jobs run without a pause."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count

import pytest

from nova_stream.jobs.engine.job import Job
from nova_stream.jobs.registry import JOBS
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.database import connect
from tests.acceptance.harness import (
    Stack,
    probing,
    stopped_at_the_end,
    until_all_applied,
    until_applied,
)
from tests.integration.jobs.work import NEVER, NOON, Runs

SECONDS = float(os.environ.get("NOVA_TEST_SECONDS", "25"))
RATE = float(os.environ.get("NOVA_TEST_RATE", "20000"))

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300 + 2 * SECONDS)]

#: To one of them all that the traffic brings is old, to the other nothing.
_TIMES = (NOON + timedelta(days=40), NOON)


async def test_no_snapshot_differs_and_nothing_deadlocks_while_jobs_run(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, two at a time, for SECONDS while RATE events a second arrive."""
    for name, schedule in NEVER.items():
        monkeypatch.setenv(f"NOVA_{name.upper()}", schedule)
    archive = {"archive_url": f"file://{stack.folder}/archive", "stall_basis": "started"}
    runs = Runs(stack.settings.model_copy(update=archive))
    done: Counter[str] = Counter()
    processes = [stack.start_worker()]
    with stopped_at_the_end(processes):
        await until_applied(stack, 0)
        async with (
            ChangePublisher(stack.settings, source_name="jobs") as runs.publisher,
            probing(stack.settings) as probe,
        ):
            traffic = stack.start_traffic(RATE, SECONDS, seed=5)
            processes.append(traffic)
            await until_applied(stack, 1)
            async with asyncio.TaskGroup() as loops:
                for jobs in (JOBS[::2], JOBS[1::2]):  # no job overlaps with itself
                    loops.create_task(_loop(runs, jobs, traffic.poll, done))
            assert traffic.returncode == 0
            await until_all_applied(stack, stack.published()["sent"], limit=120)
    assert probe.differences == []
    assert probe.snapshots > SECONDS
    assert set(done) == {job.name for job in JOBS}
    assert (await audit(stack.settings)).differences == []
    assert await _deadlocks(stack) == 0
    sys.stdout.write(f"{sum(done.values())} runs, {probe.snapshots} snapshots\n")


async def _loop(
    runs: Runs, jobs: Sequence[Job], ended: Callable[[], int | None], done: Counter[str]
) -> None:
    for turn in count():
        for job in jobs:
            if ended() is not None:
                return
            result = await runs.run(job.run_once, _TIMES[turn % 2])
            assert result.get("drift", 0) == 0, (job.name, result)
            done[job.name] += 1


async def _deadlocks(stack: Stack) -> int:
    connection = await connect(stack.settings, "test")
    try:
        return int(
            await connection.fetchval(
                "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
            )
        )
    finally:
        await connection.close()
