"""A migrated database for each test, and leases short enough to run out in one."""

from __future__ import annotations

import asyncio

import pytest

from nova_stream.settings import Settings, load_settings
from nova_stream.storage.migrate import migrate


@pytest.fixture
async def jobs_settings(nova_database: str) -> Settings:
    settings = load_settings(database_url=nova_database, job_lease_seconds=0.3)
    await migrate(settings)
    return settings


@pytest.fixture
def jobs_settings_sync(nova_database: str) -> Settings:
    """As ``jobs_settings``, for tests that run a loop of their own."""
    settings = load_settings(database_url=nova_database)
    asyncio.run(migrate(settings))
    return settings
