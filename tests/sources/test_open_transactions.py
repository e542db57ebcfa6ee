"""Transactions that are open while a connector takes its snapshot: their changes come behind it,
from places in the log before it.
"""

from __future__ import annotations

import asyncpg
import pytest

from nova_stream.local.sql import run_sql
from tests.integration.stream.harness import until
from tests.sources.connect import LIMIT
from tests.sources.pipeline import Pipeline, slot_of
from tests.sources.postgres_source import TABLES

pytestmark = pytest.mark.sources


async def test_what_is_committed_behind_the_snapshot_counts(pipeline: Pipeline) -> None:
    slot = slot_of(pipeline.name)
    run_sql(
        pipeline.source,
        f"CREATE PUBLICATION {slot} FOR TABLE {', '.join(TABLES)}",
        f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')",
    )
    begin = pipeline.connect.log.stat().st_size

    async def has_read() -> bool:
        pipeline.connect.check()
        return b"Snapshot completed" in pipeline.connect.log.read_bytes()[begin:]

    opened = await asyncpg.connect(pipeline.source)
    try:
        transaction = opened.transaction()
        await transaction.start()
        await opened.execute("DELETE FROM tasks WHERE id = (SELECT min(id) FROM tasks)")
        await opened.execute("UPDATE tasks SET status = 'blocked', title = 'open'")
        await opened.execute("UPDATE executions SET duration = '9.25 s'")
        await pipeline.run("UPDATE users SET tier = 'pro'")  # later in the log, and committed
        pipeline.start_connector()
        await until("the connector has read its snapshot", has_read, LIMIT)
        await transaction.commit()
    finally:
        await opened.close()

    await pipeline.agree()
