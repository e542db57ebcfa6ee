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
    until_all_applied,
    until_applied,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

RATE = float(os.environ.get("NOVA_TEST_RATE", "20000"))


async def test_no_snapshot_differs_while_workers_are_killed(stack: Stack) -> None:
    """Five kill -9 of two workers while RATE events a second arrive."""
    workers = [stack.start_worker(), stack.start_worker()]
    processes = list(workers)
    with stopped_at_the_end(processes):
        await until_applied(stack, 0)
        async with probing(stack.settings) as probe:
            traffic = stack.start_traffic(RATE, 50, seed=4)
            processes.append(traffic)
            await until_applied(stack, 1)
            for turn in range(5):
                before = await applied(stack)
                await until_applied(stack, before + int(RATE))
                before = await applied(stack)
                victim = workers[turn % 2]
                kill(victim)
                workers[turn % 2] = stack.start_worker()
                processes.append(workers[turn % 2])
                await until_applied(stack, before + int(RATE), limit=30)
            assert await asyncio.to_thread(traffic.wait) == 0
            sent = stack.published()["sent"]
            await until_all_applied(stack, sent, limit=120)
        assert probe.differences == []
        assert probe.snapshots > 50
        await assert_equals_published(stack)
