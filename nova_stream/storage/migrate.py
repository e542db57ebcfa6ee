"""Bringing the database to the newest schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from nova_stream.settings import Settings
from nova_stream.storage import locks
from nova_stream.storage.database import connect, open_connection
from nova_stream.storage.schema import newest_revision


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def migrate(settings: Settings) -> tuple[str | None, str]:
    """Bring the database to the newest schema; gives the revisions before and after.

    Safe to repeat and to run from several machines at once. Raises DatabaseUnavailableError.
    """
    probe = await connect(settings, "migrate")
    await probe.close()
    engine = _engine(settings)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _engine(settings: Settings) -> AsyncEngine:
    async def creator() -> asyncpg.Connection[Any]:
        named = {"application_name": "nova-stream migrate"}
        return await open_connection(settings.database(), named)

    return create_async_engine("postgresql+asyncpg://", async_creator=creator, poolclass=NullPool)


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": locks.MIGRATION})
    before = MigrationContext.configure(connection).get_current_revision()
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before, newest_revision()


async def differences(settings: Settings) -> list[Any]:
    """What the models have that the migrated database lacks, or the other way round."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only for `make check`

    from nova_stream.storage.models import Base  # noqa: PLC0415

    engine = _engine(settings)
    try:
        async with engine.connect() as connection:
            return list(
                await connection.run_sync(
                    lambda sync: compare_metadata(
                        MigrationContext.configure(sync, opts={"compare_type": True}),
                        Base.metadata,
                    )
                )
            )
    finally:
        await engine.dispose()
