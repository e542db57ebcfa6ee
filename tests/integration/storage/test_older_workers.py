"""An upgrade beside workers of before: they write nothing any more, nobody reads an empty table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from alembic import command
from sqlalchemy import text

from nova_stream.errors import DatabaseUnavailableError, SchemaVersionError
from nova_stream.settings import load_settings
from nova_stream.storage.database import check_schema, connect
from nova_stream.storage.faults import Fault, fault_of
from nova_stream.storage.migrate import migrate
from nova_stream.storage.older_workers import SETTING
from nova_stream.storage.schema import newest_revision

FLUSH = "nova-stream flush"
WRITES = (
    "UPDATE stream_positions SET next_offset = next_offset",
    "UPDATE job_runs SET attempt = attempt",
    "INSERT INTO job_runs (job) SELECT 'j' WHERE false",
)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(
    ("application", "schema", "refused"),
    [
        (FLUSH, None, True),
        (FLUSH, "", True),
        (FLUSH, "0019", True),
        ("nova-stream worker", None, True),
        (FLUSH, newest_revision(), False),
        (FLUSH, "9999", False),
        ("psql", None, False),
    ],
)
async def test_who_is_older_than_the_schema_writes_nothing(
    migrated_database: str, write: str, application: str, schema: str | None, *, refused: bool
) -> None:
    given = {"application_name": application} | ({} if schema is None else {SETTING: schema})
    connection = await asyncpg.connect(migrated_database, server_settings=given)
    try:
        if not refused:
            await connection.execute(write)
            return
        with pytest.raises(asyncpg.FeatureNotSupportedError, match="start the new version") as said:
            await connection.execute(write)
        assert fault_of(said.value) is Fault.SETUP  # of data it would make dead letters
    finally:
        await connection.close()


async def test_our_own_connections_say_which_schema_they_were_made_for(
    migrated_database: str,
) -> None:
    connection = await connect(load_settings(database_url=migrated_database), "flush", flush=True)
    try:
        for write in WRITES:
            await connection.execute(write)
    finally:
        await connection.close()


async def test_a_pooler_that_drops_what_connections_start_with_is_named(
    migrated_database: str,
) -> None:
    behind_a_pooler = await asyncpg.connect(
        migrated_database, server_settings={"application_name": FLUSH}
    )
    ours = await connect(load_settings(database_url=migrated_database), "worker")
    try:
        await check_schema(ours)
        with pytest.raises(SchemaVersionError, match=r"a pooler drops .* NOVA_DATABASE_URL"):
            await check_schema(behind_a_pooler)
    finally:
        await behind_a_pooler.close()
        await ours.close()


async def test_a_pooler_that_refuses_what_connections_start_with_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In PgBouncer's words: there is none here."""

    async def refused(*_: Any, **__: Any) -> Any:
        raise asyncpg.ProtocolViolationError("unsupported startup parameter: transaction_timeout")

    monkeypatch.setattr(asyncpg, "connect", refused)
    settings = load_settings(database_url="postgresql://u:pw@pooler:6432/nova")
    with pytest.raises(DatabaseUnavailableError) as said:
        await connect(settings, "worker")
    assert str(said.value).startswith("the pooler at pooler:6432/nova refuses the settings")
    assert "NOVA_DATABASE_URL" in str(said.value)


async def test_a_migration_may_write_what_older_workers_may_not(
    migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(config: Any, _revision: str) -> None:
        for statement in WRITES:
            config.attributes["connection"].execute(text(statement))

    monkeypatch.setattr(command, "upgrade", write)
    await migrate(load_settings(database_url=migrated_database))


@pytest.fixture
async def database_before(
    nova_database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to a database of the schema before tasks had times of finish, with tasks."""
    upgrade = command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, _: upgrade(config, "0012"))
        await migrate(load_settings(database_url=nova_database))
    connection = await asyncpg.connect(nova_database)
    await connection.execute(
        "INSERT INTO tasks (id, version, version_minor, changed_at, src_partition, src_offset,"
        " agent, status)"
        " SELECT 't' || n, 1, 0, now(), 0, n, 'MARS', (ARRAY['done', 'failed', 'ready'])[n % 3 + 1]"
        " FROM generate_series(1, 300) AS n"
    )
    await connection.execute("INSERT INTO stream_topics (topic) VALUES ('nova.tasks')")
    await connection.execute(
        "INSERT INTO stream_positions (topic, partition) VALUES ('nova.tasks', 0)"
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def test_a_snapshot_of_before_the_upgrade_sees_the_rows_after_it(
    database_before: asyncpg.Connection[Any], nova_database: str
) -> None:
    reader = await asyncpg.connect(nova_database)
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetchval("SELECT 1")
        await migrate(load_settings(database_url=nova_database))
        for table in ("tasks", "executions", "builds", "agents", "stream_positions"):
            seen = await reader.fetchval(f"SELECT count(*) FROM {table}")
            assert seen == await database_before.fetchval(f"SELECT count(*) FROM {table}"), table
    await reader.close()
    assert await database_before.fetch(
        "SELECT status, count(done_at) AS done, count(failed_at) AS failed FROM tasks"
        " WHERE coalesce(done_at, failed_at, changed_at) = changed_at GROUP BY 1 ORDER BY 1"
    ) == [("done", 100, 0), ("failed", 0, 100), ("ready", 0, 0)]


async def test_an_upgrade_waits_for_the_flush_that_is_under_way(
    database_before: asyncpg.Connection[Any], nova_database: str
) -> None:
    flush = await asyncpg.connect(nova_database)
    await flush.execute("BEGIN")
    await flush.execute("SELECT FROM stream_positions FOR UPDATE")
    upgrade = asyncio.create_task(migrate(load_settings(database_url=nova_database)))
    while not await database_before.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
        assert not upgrade.done()
        await asyncio.sleep(0.01)
    await flush.execute("UPDATE tasks SET status = 'done' WHERE id = 't2'")
    await flush.execute("UPDATE stream_positions SET next_offset = 1")
    await flush.execute("COMMIT")
    await upgrade
    await flush.close()
    assert await database_before.fetchval("SELECT done_at IS NOT NULL FROM tasks WHERE id = 't2'")
