"""``python -m benchmarks.load RATE SECONDS [AGENTS]``: publishes at a steady rate, as a process of
its own. Changes are of so many agents, which are known already, or of the usual ones, which are
registered first.

The records are made before the first is sent, so that making them does not take the processor
from what is measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks.workload import agent_names, history
from nova_stream.clock import system_clock
from nova_stream.kafka.options import client_options
from nova_stream.kafka.records import RecordMaker, partition_of
from nova_stream.settings import Settings, load_settings

_TICK = 0.01

_Record = tuple[tuple[str, int], bytes, bytes]


def _prepare(settings: Settings, count: int, agents: int) -> list[_Record]:
    maker = RecordMaker("load", system_clock)
    known: dict[str, Any] = {"agents": agent_names(agents), "register": False} if agents else {}
    made = map(maker.make, history(count, seed=7, **known))
    return [
        (
            (settings.topic(one.entity), partition_of(one.key, settings.partitions)),
            one.key,
            one.value,
        )
        for one in made
    ]


async def _send(producer: AIOKafkaProducer, records: list[_Record]) -> None:
    """Send one tick's records, a batch a partition."""
    places: dict[tuple[str, int], list[_Record]] = defaultdict(list)
    for record in records:
        places[record[0]].append(record)
    for (topic, partition), own in places.items():
        batch: Any = producer.create_batch()
        for _, key, value in own:
            batch.append(timestamp=None, key=key, value=value, headers=[])
        await producer.send_batch(batch, topic, partition=partition)


async def run(settings: Settings, rate: int, seconds: float, agents: int = 0) -> None:
    """Publish ``rate`` records a second for ``seconds``."""
    records = _prepare(settings, int(rate * seconds), agents)
    producer = AIOKafkaProducer(
        **client_options(settings), acks=1, compression_type="lz4", max_batch_size=1024 * 1024
    )
    await producer.start()
    begun, sent = time.perf_counter(), 0
    while sent < len(records):
        due = int((time.perf_counter() - begun) * rate)
        await _send(producer, records[sent:due])
        sent = max(sent, due)
        await asyncio.sleep(_TICK)
    await producer.stop()


if __name__ == "__main__":
    asyncio.run(run(load_settings(), int(sys.argv[1]), float(sys.argv[2]), *map(int, sys.argv[3:])))
