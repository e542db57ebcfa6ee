"""The worker's lag on /metrics: what waits, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from urllib.request import urlopen

import pytest

from nova_stream.events.change import Entity
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage, until

pytestmark = pytest.mark.integration

TASKS = Entity.TASKS


def task(id_: str) -> bytes:
    return value_of({"id": id_, "status": "done"}, seq=1)


async def lag_is(stage: Stage, good: Callable[[float], bool], what: str) -> None:
    (address,) = {line["address"] for line in stage.worker.lines("metrics")}
    topic = re.escape(stage.settings.topic(TASKS))
    line = re.compile(rf'^nova_lag_records{{partition="0",topic="{topic}"}} (\S+)$', re.MULTILINE)

    async def look() -> bool:
        page = await asyncio.to_thread(lambda: urlopen(address).read().decode())
        found = line.search(page)
        return found is not None and good(float(found[1]))

    await until(f"the lag is {what}", look, limit=20)


async def test_markers_of_transactions_at_the_end_are_no_lag(stage: Stage) -> None:
    producer = stage.producer(transactional_id=stage.settings.topic_prefix)
    producer.init_transactions(30)

    def publish(*ids: str, commit: bool) -> None:
        producer.begin_transaction()
        stage.publish(TASKS, *(task(id_) for id_ in ids), producer=producer)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)

    stage.start_worker(metrics_port="0")
    publish("a", "b", commit=True)
    await stage.row("tasks", "b")
    await lag_is(stage, lambda lag: lag == 0, "0 after a transaction")
    assert (await stage.position(TASKS))["next_offset"] == 2
    publish("c", "d", commit=False)
    await lag_is(stage, lambda lag: lag == 0, "0 after a transaction that was aborted")
    assert stage.worker.stop() == 0

    stage.start_worker(metrics_port="0")
    await stage.worker.says("metrics")
    await lag_is(stage, lambda lag: lag == 0, "0 in a worker that begins below a marker")
    publish("e", commit=True)
    await stage.row("tasks", "e")
    await lag_is(stage, lambda lag: lag == 0, "0 again")


async def test_what_cannot_be_applied_yet_is_lag(stage: Stage) -> None:
    stage.start_worker(metrics_port="0")
    stage.publish(TASKS, task("a"))
    await stage.row("tasks", "a")
    await stage.fetch("ALTER TABLE tasks RENAME TO elsewhere")
    stage.publish(TASKS, *(task(f"b{n}") for n in range(5)))
    await stage.worker.says("flush failed")
    await lag_is(stage, lambda lag: lag == 5, "5 while Postgres refuses")
    await stage.fetch("ALTER TABLE elsewhere RENAME TO tasks")
    await stage.row("tasks", "b4")
    await lag_is(stage, lambda lag: lag == 0, "0 at last")
