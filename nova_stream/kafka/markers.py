"""How many records a stretch of a log holds: offsets are also spent on markers of transactions, on
what was aborted, and on what compaction took away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from nova_stream.kafka.model import Key
from nova_stream.kafka.opening import start, stop
from nova_stream.kafka.options import client_options
from nova_stream.settings import Settings

#: Offsets, over all partitions, above which nothing is counted: it would take too long.
MOST = 10_000
_MOST_BYTES = 32 * 1024 * 1024
_FETCH_WAIT_MS = 100
_LIMIT_S, _STOP_LIMIT_S = 5.0, 2.0

#: From an offset to before another.
Stretch = tuple[int, int]


class RecordCounter:
    """Counts for who asks again and again: each stretch once; ``close`` it.

    Who asks is not kept waiting; what is not counted in time is known to the next who asks.
    """

    def __init__(self, settings: Settings, patience: float) -> None:
        self._settings = settings
        self._patience = patience
        self._known: dict[Key, tuple[Stretch, int]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def count(self, stretches: Mapping[Key, Stretch]) -> dict[Key, int]:
        """The records in each stretch; absent is what is not known yet or cannot be told."""
        self._known = {
            key: known for key, known in self._known.items() if stretches.get(key) == known[0]
        }
        wanted = {key: s for key, s in stretches.items() if key not in self._known}
        if wanted:
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(wanted))
            await asyncio.wait({self._reading}, timeout=self._patience)
            if self._reading.done():
                self._reading.result()
        return {
            key: count
            for key, (stretch, count) in self._known.items()
            if stretches.get(key) == stretch
        }

    async def close(self) -> None:
        """End what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _read(self, wanted: Mapping[Key, Stretch]) -> None:
        counted = await count_records(self._settings, wanted, _LIMIT_S)
        self._known |= {key: (wanted[key], count) for key, count in counted.items()}


async def count_records(
    settings: Settings, stretches: Mapping[Key, Stretch], limit: float
) -> dict[Key, int]:
    """The records in each stretch, by reading them; joins no group and commits nothing.

    Absent is what cannot be told within ``limit`` seconds; nothing is told where the stretches
    are longer than ``MOST`` offsets together.
    """
    done: dict[Key, int] = {}
    if not stretches or sum(end - first for first, end in stretches.values()) > MOST:
        return done
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        client_id="nova-stream-lag",
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    try:
        with contextlib.suppress(KafkaError, OSError):
            async with asyncio.timeout(limit):
                await start(consumer)
                await _count(consumer, stretches, done)
    finally:
        await stop(consumer, _STOP_LIMIT_S)
    return done


async def _count(
    consumer: AIOKafkaConsumer, stretches: Mapping[Key, Stretch], done: dict[Key, int]
) -> None:
    """Put each partition's count into ``done`` as soon as its stretch has been read."""
    left = {TopicPartition(*key): stretch for key, stretch in stretches.items()}
    consumer.assign(list(left))
    for place, (first, _) in left.items():
        consumer.seek(place, first)
    counts, size = dict.fromkeys(left, 0), 0
    while left and size <= _MOST_BYTES:
        for place, records in (await consumer.getmany(timeout_ms=_FETCH_WAIT_MS)).items():
            end = stretches[tuple(place)][1]
            counts[place] += sum(record.offset < end for record in records)
            size += sum(len(record.value or b"") for record in records)
        for place in [p for p, (_, end) in left.items() if await consumer.position(p) >= end]:
            done[tuple(place)] = counts[place]
            del left[place]
            consumer.pause(place)
