"""A real Debezium in front of a running worker: whatever happens, rows and caches are the source's.

The tests share one source, one connector with the recommended configuration and one worker; each
brings its own changes and ends with the comparison of everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.sources.connect import Connect
from tests.sources.pipeline import Pipeline, open_pipeline
from tests.sources.postgres_source import LARGE, SourceServer, make_signals
from tests.sources.traffic import traffic

pytestmark = pytest.mark.sources


@pytest.fixture(scope="module")
def pipeline(
    source_server: SourceServer,
    kafka_connect: Connect,
    nova_kafka: str,
    nova_postgres: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Pipeline]:
    with source_server.database("live") as source:
        make_signals(source)
        asyncio.run(traffic(source, 1, rows=20, changes=0))
        folder = tmp_path_factory.mktemp("live")
        with open_pipeline(source, kafka_connect, nova_kafka, nova_postgres, folder) as found:
            found.start_worker()
            found.start_connector(incremental__snapshot__chunk__size="7")
            yield found


async def test_the_snapshot_is_the_source(pipeline: Pipeline) -> None:
    await pipeline.agree()


async def test_changes_moves_and_deletions_arrive(pipeline: Pipeline) -> None:
    await traffic(pipeline.source, 2, rows=5, changes=80)

    await pipeline.agree()


async def test_large_values_of_every_kind_stay_when_something_else_changes(
    pipeline: Pipeline,
) -> None:
    await traffic(pipeline.source, 3, rows=6, changes=0)
    await pipeline.agree()
    before = {table: await pipeline.documents(table) for table in ("agents", "tasks", "executions")}

    await pipeline.run(
        "UPDATE tasks SET phase = 7",
        "UPDATE agents SET domain = 'law'",
        "UPDATE executions SET error = 'late'",
    )
    await pipeline.agree()

    for table, changed in (("tasks", "phase"), ("agents", "domain"), ("executions", "error")):
        after = await pipeline.documents(table)
        assert after.keys() == before[table].keys()
        for id_, document in after.items():
            assert document.pop(changed) != before[table][id_].pop(changed, None), (table, id_)
            assert document == before[table][id_], (table, id_)
    # All that Postgres keeps out of the row has been among it.
    assert any(LARGE["tasks"] <= document.keys() for document in before["tasks"].values())


async def test_an_incremental_snapshot_while_changes_run_changes_nothing(
    pipeline: Pipeline,
) -> None:
    await traffic(pipeline.source, 4, rows=10, changes=5)
    run = asyncio.create_task(traffic(pipeline.source, 5, rows=2, changes=120))

    await pipeline.snapshot_again("tasks", "executions", "agents", "builds")
    await run

    await pipeline.agree()


async def test_truncate_empties_the_entity_in_its_place(pipeline: Pipeline) -> None:
    await traffic(pipeline.source, 6, rows=8, changes=20)
    await pipeline.run("TRUNCATE builds, executions")
    await traffic(pipeline.source, 7, rows=3, changes=20)
    await pipeline.agree()

    await pipeline.run("TRUNCATE tasks", "TRUNCATE agents CASCADE")
    await pipeline.agree()

    await traffic(pipeline.source, 8, rows=8, changes=20)
    await pipeline.agree()


async def test_columns_may_come_go_and_change_while_the_stream_runs(pipeline: Pipeline) -> None:
    await traffic(pipeline.source, 9, rows=5, changes=0)
    await pipeline.run(
        "ALTER TABLE tasks ADD COLUMN priority numeric(3, 1) DEFAULT 1.5",
        "ALTER TABLE users ALTER COLUMN id TYPE bigint",
        "ALTER TABLE tasks ALTER COLUMN phase TYPE numeric(4, 0)",
        "ALTER TABLE tasks DROP COLUMN codes",
    )
    await pipeline.run("UPDATE tasks SET priority = 2.5, phase = 3")
    await traffic(pipeline.source, 10, rows=0, changes=40)

    await pipeline.agree()

    documents = await pipeline.documents("tasks")
    assert {str(document["priority"]) for document in documents.values()} == {"2.5"}


async def test_nothing_is_lost_or_doubled_when_connect_is_killed(
    pipeline: Pipeline, kafka_connect: Connect
) -> None:
    run = asyncio.create_task(traffic(pipeline.source, 11, rows=5, changes=150))
    await asyncio.to_thread(kafka_connect.kill)
    await asyncio.to_thread(kafka_connect.start)
    await asyncio.to_thread(kafka_connect.wait_running, pipeline.name)
    await pipeline.arrived()
    await asyncio.to_thread(kafka_connect.kill)
    await run
    await asyncio.to_thread(kafka_connect.start)

    await pipeline.agree()


async def test_nothing_is_lost_or_doubled_when_the_worker_is_killed(pipeline: Pipeline) -> None:
    run = asyncio.create_task(traffic(pipeline.source, 12, rows=5, changes=150))
    pipeline.kill_worker()
    await run

    await pipeline.agree()


async def test_a_restarted_task_goes_on(pipeline: Pipeline, kafka_connect: Connect) -> None:
    run = asyncio.create_task(traffic(pipeline.source, 13, rows=2, changes=60))
    await asyncio.to_thread(kafka_connect.restart_task, pipeline.name)
    await run

    await pipeline.agree()
