"""Ending an aiokafka producer within a time limit.

Its own ``stop`` waits until everything is sent: for ever when Kafka is away, since with idempotence
nothing expires. It leans on aiokafka's inside, as
``large_batches.py`` and ``stream/transport.py`` do.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerClosed


async def stop_producer(producer: AIOKafkaProducer, limit: float) -> None:
    """End ``producer``; what it has not sent after ``limit`` seconds is given up."""
    stopping = asyncio.create_task(producer.stop())
    done, _ = await asyncio.wait({stopping}, timeout=limit)
    if not done:
        await _give_up(producer)
    # A producer that has failed for good says so once more.
    with contextlib.suppress(Exception):
        await stopping


async def _give_up(producer: AIOKafkaProducer) -> None:
    sender = producer._sender.sender_task
    while not sender.done():
        # The first one makes it wait for its requests, the next gives those up too.
        sender.cancel()
        await asyncio.wait({sender}, timeout=0.05)

    accumulator = producer._message_accumulator
    queued = [batch for batches in accumulator._batches.values() for batch in batches]
    # A batch that is to be tried again is not in here, and removes itself when it ends.
    accumulator._pending_batches.update(queued)
    given_up = list(accumulator._pending_batches)
    accumulator.fail_all(ProducerClosed())
    for batch in given_up:
        for future in (batch.future, batch._drain_waiter):
            if future.done() and not future.cancelled():
                future.exception()  # seen: those who waited have been told already
