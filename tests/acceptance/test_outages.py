"""The promise, while the database, Kafka or the worker goes away, politely or not."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time

import pytest

from nova_stream.local.kafka import LocalKafka
from nova_stream.local.postgres import LocalPostgres
from tests.acceptance.harness import (
    Stack,
    applied,
    assert_equals_published,
    probing,
    signal_all,
    stopped_at_the_end,
    until_all_applied,
    until_applied,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

RATE = 5000
#: Seconds that a server stays away, so that its absence is noticed by all.
AWAY = 3.0


async def test_sigterm_leaves_in_time_and_loses_nothing_with_the_database_away(
    stack: Stack,
) -> None:
    worker = stack.start_worker()
    processes = [worker]
    with stopped_at_the_end(processes):
        await until_applied(stack, 0)
        async with probing(stack.settings) as probe:
            traffic = stack.start_traffic(RATE, 25, seed=5)
            processes.append(traffic)
            for how in ("stopped", "frozen"):
                await until_applied(stack, max(0, await applied(stack)) + 1)
                await asyncio.to_thread(_take_away, stack, how)
                # Traffic arrives all the time, so a chunk is on its way now.
                await asyncio.to_thread(_terminate_within, worker, 5.0)
                await asyncio.to_thread(_bring_back, stack, how)
                worker = stack.start_worker()
                processes.append(worker)
            assert await asyncio.to_thread(traffic.wait) == 0
            sent = stack.published()["sent"]
            await until_all_applied(stack, sent)
        assert probe.differences == []
        await assert_equals_published(stack)


async def test_postgres_restarted_twice(stack: Stack) -> None:
    await _survives(stack, stack.postgres)


async def test_kafka_restarted_twice(stack: Stack) -> None:
    await _survives(stack, stack.kafka)


async def _survives(stack: Stack, server: LocalKafka | LocalPostgres) -> None:
    workers = [stack.start_worker(), stack.start_worker()]
    processes = list(workers)
    with stopped_at_the_end(processes):
        await until_applied(stack, 0)
        async with probing(stack.settings) as probe:
            traffic = stack.start_traffic(RATE, 40, seed=6)
            processes.append(traffic)
            for _ in range(2):
                await until_applied(stack, max(0, await applied(stack)) + 1)
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(AWAY)
                await asyncio.to_thread(server.start)
            assert await asyncio.to_thread(traffic.wait) == 0
            sent = stack.published()["sent"]
            await until_all_applied(stack, sent, limit=120)
        assert probe.differences == []
        assert probe.snapshots > 20
        assert all(worker.poll() is None for worker in workers), stack.logs()
        await assert_equals_published(stack)


def _take_away(stack: Stack, how: str) -> None:
    if how == "stopped":
        stack.postgres.stop()
    else:
        signal_all(stack.postgres.pid, signal.SIGSTOP)


def _bring_back(stack: Stack, how: str) -> None:
    if how == "stopped":
        stack.postgres.start()
    else:
        signal_all(stack.postgres.pid, signal.SIGCONT)


def _terminate_within(worker: subprocess.Popen[bytes], seconds: float) -> None:
    started = time.monotonic()
    worker.terminate()
    assert worker.wait(timeout=30) == 0
    assert time.monotonic() - started < seconds
