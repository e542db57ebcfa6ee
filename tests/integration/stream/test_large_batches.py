"""One batch of 315 MB, compressed to a few hundred kB: applied, in a worker below 300 MB."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import psutil
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from nova_stream.events.change import Entity
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage

pytestmark = pytest.mark.integration

OUTPUT = 1_000_000
#: Megabytes: Snappy leaves a twentieth, and a topic takes batches of 10 MB.
SIZES = {"gzip": 315, "snappy": 150, "lz4": 315, "zstd": 315}
MOST = 300 * 1024 * 1024


class Memory:
    """The most memory that a process had, looked at all the time."""

    def __init__(self, pid: int) -> None:
        self.most = 0
        self._process = psutil.Process(pid)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._end.wait(0.02):
            self.most = max(self.most, self._process.memory_info().rss)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


class Builder(DefaultRecordBatchBuilder):  # type: ignore[misc]
    """Builds a batch with a header whose name is no text: what is sent is ``NAME`` otherwise."""

    def build(self) -> bytes:
        data = bytes(super().build()).replace(b"NAME", b"N\xffME")
        return data[:17] + int(calc_crc32c(data[21:])).to_bytes(4, "big") + data[21:]


async def send_batch(
    stage: Stage,
    codec: int,
    values: list[bytes],
    headers: Sequence[tuple[str, bytes]] = (),
) -> None:
    """Publish ``values`` as one batch: a client of its own, since others bound a batch before."""
    producer = AIOKafkaProducer(
        bootstrap_servers=list(stage.settings.kafka_brokers),
        max_request_size=10 * 1024 * 1024,
        enable_idempotence=False,
    )
    await producer.start()
    try:
        batch = producer.create_batch()
        builder = Builder(2, codec, 0, -1, -1, -1, 2**31 - 1)
        batch._builder = builder
        for offset, value in enumerate(values):
            assert builder.append(offset, 1_700_000_000_000, b"k", value, list(headers))
        batch._relative_offset = len(values)
        await (await producer.send_batch(batch, stage.settings.topic(Entity.TASKS), partition=0))
    finally:
        await producer.stop()


def large(name: str) -> list[bytes]:
    return [
        value_of({"id": f"{name} {n}", "status": "done", "output": "x" * OUTPUT}, seq=1)
        for n in range(SIZES[name])
    ]


@pytest.mark.long
@pytest.mark.parametrize(("name", "codec"), [("gzip", 1), ("snappy", 2), ("lz4", 3), ("zstd", 4)])
async def test_a_large_batch_is_applied_below_300_mb(
    running_worker: Stage, name: str, codec: int
) -> None:
    stage = running_worker
    with Memory(stage.worker.process.pid) as memory:
        await send_batch(stage, codec, await asyncio.to_thread(large, name))
        stage.publish(Entity.TASKS, value_of({"id": f"after {name}", "status": "done"}, seq=1))
        await stage.row("tasks", f"after {name}")
    (found,) = await stage.fetch(
        "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM tasks "
        "WHERE id LIKE $1 AND length(output) = $2",
        f"{name} %",
        OUTPUT,
    )
    assert found == {"n": SIZES[name], "ids": SIZES[name]}
    assert memory.most < MOST, f"{memory.most >> 20} MB"


async def test_headers_whose_names_are_no_text_stop_nobody(running_worker: Stage) -> None:
    stage = running_worker
    bad = value_of({"id": "bad", "status": "paused"}, seq=1)
    for first in ("with a version", "bad"):
        good = [value_of({"id": f"{first} {n}", "status": "done"}, seq=1) for n in range(3)]
        values = [*good, bad] if first != "bad" else [bad, *good]
        await send_batch(stage, 0, values, [("NAME", b"1")])
        await stage.row("tasks", f"{first} 2")
    unreadable_first = [b"", value_of({"id": "last", "status": "done"}, seq=1)]
    await send_batch(stage, 0, unreadable_first, [("NAME", b"1")])
    await stage.row("tasks", "last")
    letters = await stage.fetch('SELECT headers::text, reason FROM dead_letters ORDER BY "offset"')
    assert [each["reason"] for each in letters] == ["bad_status", "bad_status", "bad_json"]
    assert all("N\ufffdME" in each["headers"] for each in letters)
