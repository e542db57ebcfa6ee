"""Rows that are put in for the benchmark of scale are as the stream would have left them."""

from __future__ import annotations

import asyncpg
import pytest

from benchmarks.scale_rows import fill, rows_of
from benchmarks.workload import task_id
from nova_stream.settings import Settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.audit.repair import recount_agents, recount_builds

pytestmark = pytest.mark.integration

_INDEXES = """
SELECT indexdef FROM pg_indexes WHERE tablename IN ('tasks', 'executions', 'builds') ORDER BY 1
"""


async def test_partials_and_caches_are_what_the_rows_say_and_no_index_is_lost(
    nova_settings: Settings,
) -> None:
    connection = await asyncpg.connect(nova_settings.database_url.get_secret_value())
    try:
        before = await connection.fetch(_INDEXES)
        rows = rows_of(30, 2050)
        await fill(nova_settings, rows)
        assert await connection.fetch(_INDEXES) == before
        report = await audit(nova_settings)
        assert (report.agents, report.differences) == (30, [])
        assert (await recount_agents(connection)).differences == []
        assert (await recount_builds(connection)).differences == []
        ids = await connection.fetch("SELECT id FROM tasks")
        assert {row["id"] for row in ids} == {task_id(n) for n in range(1, rows.tasks + 1)}
        assert await connection.fetchval("SELECT count(*) FROM executions") == rows.executions
        assert await connection.fetchval("SELECT total_builds FROM build_stats_cache") == 50
    finally:
        await connection.close()
