"""Memory stays bounded while the database is away and Kafka fills up."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from aiokafka import AIOKafkaProducer

from nova_stream.storage.database import connect
from tests.acceptance.harness import Stack, stopped_at_the_end, until_applied
from tests.acceptance.traffic import Event, encode

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

MEGABYTE = 1024 * 1024
LIMIT = 250 * MEGABYTE


async def test_500_mb_wait_in_kafka_not_in_the_worker(stack: Stack) -> None:
    worker = stack.start_worker()
    with stopped_at_the_end([worker]):
        await until_applied(stack, 0)
        await asyncio.to_thread(stack.postgres.stop)
        largest = Largest(worker.pid)
        watch = asyncio.create_task(largest.watch())
        sent = await _publish(stack, 500 * MEGABYTE)
        await asyncio.to_thread(stack.postgres.start)
        await until_applied(stack, sent, limit=240)
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)
        assert worker.poll() is None
        assert largest.seen < LIMIT, f"{largest.seen / MEGABYTE:.0f} MB"
        connection = await connect(stack.settings, "count")
        assert await connection.fetchval("SELECT count(*) FROM executions") == sent
        await connection.close()


class Largest:
    """The largest resident memory of a process, sampled."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.seen = 0

    async def watch(self) -> None:
        while True:
            self.seen = max(self.seen, self._process.memory_info().rss)
            await asyncio.sleep(0.1)


async def _publish(stack: Stack, size: int) -> int:
    """Executions of 8 kB each until ``size`` bytes are in the log."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.kafka.bootstrap_servers, linger_ms=20, max_batch_size=MEGABYTE
    )
    await producer.start()
    count = written = 0
    while written < size:
        id_ = f"e{count}"
        document = {
            "id": id_,
            "taskId": "t",
            "agent": f"A{count % 21}",
            "model": "m",
            "prompt": "p" * 3000,
            "response": "r" * 4800,
            "gatesPassed": True,
            "duration": 1,
            "timestamp": "2026-02-20T12:00:00.000Z",
        }
        value = encode(Event("executions", id_, count + 1, document))
        await producer.send(f"{stack.settings.topic_prefix}.executions", value, key=id_.encode())
        count += 1
        written += len(value)
    await producer.stop()
    return count
