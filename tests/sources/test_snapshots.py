"""What a connector's log leaves out, and what brings it: snapshots, REPLICA IDENTITY, repair."""

from __future__ import annotations

import asyncio

import pytest

from nova_stream.events.change import Entity
from tests.sources.pipeline import Pipeline
from tests.sources.postgres_source import TABLES
from tests.sources.traffic import traffic

ROWS = 15

pytestmark = [pytest.mark.sources, pytest.mark.sources_long]


async def test_an_incremental_snapshot_brings_what_was_never_sent(pipeline: Pipeline) -> None:
    pipeline.start_connector(snapshot__mode="no_data", incremental__snapshot__chunk__size="5")
    await traffic(pipeline.source, 2, rows=3, changes=40)
    run = asyncio.create_task(traffic(pipeline.source, 3, rows=3, changes=80))

    await pipeline.snapshot_again(*TABLES)
    await run
    await pipeline.arrived()
    assert [line for line in await pipeline.compare() if line.endswith("missing")] == []

    # Of a row that changes while its chunk is read the connector sends the change alone.
    await pipeline.snapshot_again(*TABLES)
    await pipeline.agree()


async def test_with_full_replica_identity_nothing_is_left_out(pipeline: Pipeline) -> None:
    await pipeline.run(
        "ALTER TABLE tasks ADD COLUMN prices numeric[], ADD COLUMN moments timestamptz[], "
        "ADD COLUMN flags boolean[], ADD COLUMN days date[], ADD COLUMN scores double precision[]",
        *(
            f"ALTER TABLE tasks ALTER COLUMN {name} SET STORAGE EXTERNAL"
            for name in ("prices", "moments", "flags", "days", "scores")
        ),
        "UPDATE tasks SET prices = array_fill(1.5, '{900}'), flags = array_fill(true, '{9000}'), "
        "moments = array_fill(timestamptz '2026-02-20 12:00:00.5', '{900}'), "
        "days = array_fill(date '2026-02-20', '{900}'), scores = array_fill(0.5::float8, '{900}')",
        *(f"ALTER TABLE {table} REPLICA IDENTITY FULL" for table in TABLES),
    )
    pipeline.start_connector()
    await pipeline.agree()
    before = await pipeline.documents("tasks")

    await pipeline.run("UPDATE tasks SET phase = 9, id = id + 70000000")
    await pipeline.agree()
    after = await pipeline.documents("tasks")
    for id_, document in before.items():
        moved = after[str(int(id_) + 70_000_000)]
        assert moved == {**document, "id": moved["id"], "phase": 9}

    await traffic(pipeline.source, 4, rows=3, changes=60, large_keys=True)
    await pipeline.agree()


async def test_what_a_new_key_leaves_out_is_told_found_and_repaired(pipeline: Pipeline) -> None:
    pipeline.start_connector()
    await pipeline.agree()
    await pipeline.run("UPDATE tasks SET id = id + 70000000")
    await pipeline.arrived()
    topic = pipeline.stage.settings.topic(Entity.TASKS)
    await pipeline.stage.worker.says("unchanged fields are not known", topic=topic)

    found = await pipeline.audit(repair=True)

    fields = {field for difference in found.differences for field in difference.fields}
    assert fields == {"dependencies", "output"}
    assert found.good, found
    assert found.repaired == found.different > 0
    await pipeline.agree()
