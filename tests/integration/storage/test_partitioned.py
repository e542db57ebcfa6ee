"""Partitioned tables: by the hash of the id all holds, by time nothing can be applied."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings

from benchmarks.hashed import split
from nova_stream.events.change import Entity
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import connect
from nova_stream.storage.faults import Fault, fault_of
from tests.integration.storage.arena import open_arena
from tests.integration.storage.chunks import value_of
from tests.integration.storage.conftest import WORKERS, Desk, Stage
from tests.integration.storage.histories import History, histories

pytestmark = pytest.mark.integration

PARTITIONS = 5
#: Executions of January and of February 2026, as somebody would cut them by month.
BY_TIME = """
ALTER TABLE executions RENAME TO whole;
CREATE TABLE executions (LIKE whole INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (timestamp);
CREATE TABLE executions_01 PARTITION OF executions FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE executions_02 PARTITION OF executions FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
"""


async def _split(found: Settings) -> None:
    url = found.database_url.get_secret_value()
    connection = await asyncpg.connect(url)
    try:
        for table in ("tasks", "executions"):
            await split(connection, table, PARTITIONS)
    finally:
        await connection.close()


@pytest.fixture
def split_stage(migrated_database: str) -> Iterator[Stage]:
    """As ``stage``, tasks and executions in partitions."""
    found = load_settings(database_url=migrated_database)
    with asyncio.Runner() as runner:
        runner.run(_split(found))
        arena = runner.run(open_arena(found, WORKERS))
        try:
            yield Stage(runner, arena)
        finally:
            runner.run(arena.close())


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(histories())
def test_in_partitions_by_id_the_caches_equal_the_recount_after_every_commit(
    split_stage: Stage, history: History
) -> None:
    assert split_stage.play(history, WORKERS) == []


async def test_rows_move_into_the_partitions_and_views_read_them(desk: Desk) -> None:
    await desk.put(Entity.AGENTS, value_of({"id": "a1", "name": "MARS"}, seq=1))
    tasks = [{"id": f"t{n}", "agent": "MARS", "status": "done"} for n in range(50)]
    await desk.put(Entity.TASKS, *(value_of(task, seq=1) for task in tasks))
    await split(desk.connection, "tasks", PARTITIONS)
    places = "SELECT DISTINCT tableoid::regclass::text FROM tasks"
    assert len(await desk.connection.fetch(places)) == PARTITIONS
    assert (await desk.connection.fetchval("SELECT total_tasks FROM agent_stats_recount")) == 50
    again = {"id": "t1", "agent": "MARS", "status": "failed"}
    await desk.put(Entity.TASKS, value_of(again, seq=99))
    assert (await desk.cached("MARS"))["failed_tasks"] == 1


async def test_by_time_an_id_is_no_key_so_that_nothing_is_applied_and_nothing_lost(
    nova_settings: Settings,
) -> None:
    connection = await connect(nova_settings, "desk", flush=True)
    desk = Desk(nova_settings, connection)
    try:
        await connection.execute(BY_TIME)
        with pytest.raises(asyncpg.FeatureNotSupportedError):
            await connection.execute("ALTER TABLE executions ADD PRIMARY KEY (id)")
        await connection.execute("ALTER TABLE executions ADD PRIMARY KEY (id, timestamp)")
        execution = {"id": "e", "agent": "MARS", "timestamp": "2026-02-20T12:00:00.000Z"}
        with pytest.raises(asyncpg.InvalidColumnReferenceError) as refused:
            await desk.put(Entity.EXECUTIONS, value_of(execution, seq=1))
        assert fault_of(refused.value) is Fault.SETUP, "the worker waits and says so"
        assert (await desk.position(Entity.EXECUTIONS)).next_offset == 0
    finally:
        await connection.close()


async def test_with_the_time_in_the_key_a_corrected_time_would_be_a_second_row(
    nova_settings: Settings,
) -> None:
    connection = await connect(nova_settings, "desk", flush=True)
    try:
        await connection.execute(BY_TIME)
        await connection.execute("ALTER TABLE executions ADD PRIMARY KEY (id, timestamp)")
        for day in (20, 21):
            await connection.execute(
                "INSERT INTO executions (id, timestamp, version, version_minor, changed_at,"
                " src_partition, src_offset) VALUES ('e', $1, $2, 0, now(), 0, 0)"
                " ON CONFLICT (id, timestamp) DO UPDATE SET version = excluded.version",
                datetime(2026, 2, day, tzinfo=UTC),
                day,
            )
        assert await connection.fetchval("SELECT count(*) FROM executions WHERE id = 'e'") == 2
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("INSERT INTO executions (id, timestamp) VALUES ('u', NULL)")
    finally:
        await connection.close()
