"""``python -m benchmarks.load RATE SECONDS [AGENTS]``: publishes at a steady rate, as a process of
its own. Changes are of so many agents, which are known already, or of the usual ones, which are
registered first.

What is due is sent every 10 ms, as a producer with that linger does. All requests are built before
the first is sent: building them, which other machines do where the load is a real one, takes no
processor time from what is measured.
"""

from __future__ import annotations

import asyncio
import gc
import struct
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import islice
from typing import Any

from aiokafka.protocol.api import RequestHeader_v1, ResponseHeader_v0
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from benchmarks.workload import agent_names, history
from nova_stream.clock import system_clock
from nova_stream.kafka.records import RecordMaker, partition_of
from nova_stream.settings import Settings, load_settings

_TICK = 0.01

_LZ4 = 3
_BATCH_BYTES = 1024 * 1024
_TIMEOUT_MS = 30_000
_LENGTH = struct.Struct(">i")

_Pair = tuple[bytes, bytes]


def _requests(settings: Settings, rate: int, seconds: float, agents: int) -> Iterator[bytes]:
    """What is sent at each tick."""
    maker = RecordMaker("load", system_clock)
    known: dict[str, Any] = {"agents": agent_names(agents), "register": False} if agents else {}
    made = map(maker.make, history(int(rate * seconds), seed=7, **known))
    for number in range(1, round(seconds / _TICK) + 1):
        places: dict[str, dict[int, list[_Pair]]] = defaultdict(lambda: defaultdict(list))
        for record in islice(made, int(number * _TICK * rate) - int((number - 1) * _TICK * rate)):
            partition = partition_of(record.key, settings.partitions)
            places[settings.topic(record.entity)][partition].append((record.key, record.value))
        yield _request(number, places)


def _request(number: int, places: Mapping[str, Mapping[int, list[_Pair]]]) -> bytes:
    topics = [
        (topic, [(partition, _batch(records)) for partition, records in own.items()])
        for topic, own in places.items()
    ]
    request = ProduceRequest_v7(None, 1, _TIMEOUT_MS, topics)
    text: bytes = RequestHeader_v1(request, number, "load").encode() + request.encode()
    return _LENGTH.pack(len(text)) + text


def _batch(records: list[_Pair]) -> bytes:
    builder: Any = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=_LZ4,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=_BATCH_BYTES,
    )
    for place, (key, value) in enumerate(records):
        builder.append(place, None, key=key, value=value, headers=[])
    return bytes(builder.build())


async def run(settings: Settings, rate: int, seconds: float, agents: int = 0) -> None:
    """Publish ``rate`` records a second for ``seconds``, to the one broker that there is.

    Raises RuntimeError when it refuses some.
    """
    requests = list(_requests(settings, rate, seconds, agents))
    gc.freeze()
    host, _, port = settings.kafka_brokers[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_read(reader, len(requests)))
            begun = time.perf_counter()
            for number, request in enumerate(requests, 1):
                await asyncio.sleep(begun + number * _TICK - time.perf_counter())
                writer.write(request)
                await writer.drain()
    finally:
        writer.close()
        await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, answers: int) -> None:
    for _ in range(answers):
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        answer = BytesIO(await reader.readexactly(length))
        ResponseHeader_v0.decode(answer)
        errors = {
            (topic, partition): error
            for topic, partitions in ProduceResponse_v7.decode(answer).topics
            for partition, error, *_ in partitions
            if error
        }
        if errors:
            raise RuntimeError(f"Kafka refuses the load: {errors}")


if __name__ == "__main__":
    asyncio.run(run(load_settings(), int(sys.argv[1]), float(sys.argv[2]), *map(int, sys.argv[3:])))
