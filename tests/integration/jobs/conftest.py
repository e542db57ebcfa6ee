"""A migrated database for each test, and leases short enough to run out in one."""

from __future__ import annotations

import pytest

from nova_stream.settings import Settings, load_settings


@pytest.fixture
def jobs_settings(migrated_database: str) -> Settings:
    return load_settings(database_url=migrated_database, job_lease_seconds=0.3)


@pytest.fixture
def jobs_settings_sync(migrated_database: str) -> Settings:
    """As ``jobs_settings``, with leases as they are, for tests that run a loop of their own."""
    return load_settings(database_url=migrated_database)
