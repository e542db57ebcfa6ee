"""The promise, while workers die."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.acceptance.harness import (
    Stack,
    applied,
    assert_equals_published,
    kill,
    probing,
    stopped_at_the_end,
    until,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

RATE = float(os.environ.get("NOVA_TEST_RATE", "20000"))


async def test_no_snapshot_differs_while_workers_are_killed(stack: Stack) -> None:
    """Five kill -9 of two workers while RATE events a second arrive."""
    workers = [stack.start_worker(), stack.start_worker()]
    processes = list(workers)
    with stopped_at_the_end(processes):
        await until("topics are made and read", lambda: _some(stack, 0))
        async with probing(stack.settings) as probe:
            traffic = stack.start_traffic(RATE, 50, seed=4)
            processes.append(traffic)
            await until("the first records are applied", lambda: _some(stack, 1))
            for turn in range(5):
                before = await applied(stack)
                await asyncio.sleep(3)
                victim = workers[turn % 2]
                kill(victim)
                workers[turn % 2] = stack.start_worker()
                processes.append(workers[turn % 2])
                await until(
                    "the stream goes on after a kill",
                    lambda before=before: _some(stack, before + 1), limit=30,
                )  # fmt: skip
            assert await asyncio.to_thread(traffic.wait) == 0
            sent = stack.published()["sent"]
            await until("everything is applied", lambda: _some(stack, sent), limit=120)
        assert probe.differences == []
        assert probe.snapshots > 50
        await assert_equals_published(stack)


async def _some(stack: Stack, count: int) -> bool:
    found = await applied(stack)
    return found >= count
