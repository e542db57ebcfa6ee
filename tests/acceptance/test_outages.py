"""The promise, while the database, Kafka or the worker itself goes away in an orderly or rude way."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time

import psutil
import pytest

from tests.acceptance.harness import (
    Stack,
    applied,
    assert_equals_published,
    probing,
    stopped_at_the_end,
    until,
)

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

RATE = 5000


async def test_sigterm_leaves_in_time_and_loses_nothing_with_the_database_away(
    stack: Stack,
) -> None:
    worker = stack.start_worker()
    processes = [worker]
    with stopped_at_the_end(processes):
        await until("the worker reads", lambda: _applied(stack, 0))
        async with probing(stack.settings) as probe:
            traffic = stack.start_traffic(RATE, 25, seed=5)
            processes.append(traffic)
            for how in ("stopped", "frozen"):
                before = await applied(stack)
                await until("records are applied", lambda before=before: _more(stack, before))
                await asyncio.to_thread(_take_away, stack, how)
                await asyncio.sleep(1)  # so that a chunk is on its way
                await asyncio.to_thread(_terminate_within, worker, 5.0)
                await asyncio.to_thread(_bring_back, stack, how)
                worker = stack.start_worker()
                processes.append(worker)
            assert await asyncio.to_thread(traffic.wait) == 0
            sent = stack.published()["sent"]
            await until("everything is applied", lambda: _applied(stack, sent))
        assert probe.differences == []
        await assert_equals_published(stack)


async def test_postgres_restarted_twice(stack: Stack) -> None:
    await _survives(stack, lambda: (stack.postgres.stop(), time.sleep(3), stack.postgres.start()))


async def test_kafka_restarted_twice(stack: Stack) -> None:
    await _survives(stack, lambda: (stack.kafka.stop(), time.sleep(3), stack.kafka.start()))


async def _survives(stack: Stack, restart: object) -> None:
    workers = [stack.start_worker(), stack.start_worker()]
    processes = list(workers)
    with stopped_at_the_end(processes):
        await until("the workers read", lambda: _applied(stack, 0))
        async with probing(stack.settings) as probe:
            traffic = stack.start_traffic(RATE, 40, seed=6)
            processes.append(traffic)
            for _ in range(2):
                before = await applied(stack)
                await until("records are applied", lambda before=before: _more(stack, before))
                await asyncio.to_thread(restart)  # type: ignore[arg-type]
            assert await asyncio.to_thread(traffic.wait) == 0
            sent = stack.published()["sent"]
            await until("everything is applied", lambda: _applied(stack, sent), limit=120)
        assert probe.differences == []
        assert probe.snapshots > 20
        assert all(worker.poll() is None for worker in workers), stack.logs()
        await assert_equals_published(stack)


def _take_away(stack: Stack, how: str) -> None:
    if how == "stopped":
        stack.postgres.stop()
    else:
        _signal_postgres(stack, signal.SIGSTOP)


def _bring_back(stack: Stack, how: str) -> None:
    if how == "stopped":
        stack.postgres.start()
    else:
        _signal_postgres(stack, signal.SIGCONT)


def _signal_postgres(stack: Stack, number: signal.Signals) -> None:
    server = stack.postgres.pid
    assert server is not None
    main = psutil.Process(server)
    for process in [main, *main.children(recursive=True)]:
        process.send_signal(number)


def _terminate_within(worker: subprocess.Popen[bytes], seconds: float) -> None:
    started = time.monotonic()
    worker.terminate()
    assert worker.wait(timeout=30) == 0
    assert time.monotonic() - started < seconds


async def _applied(stack: Stack, count: int) -> bool:
    return await applied(stack) >= count


async def _more(stack: Stack, before: int) -> bool:
    return await applied(stack) > max(before, 0)
