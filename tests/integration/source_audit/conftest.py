"""A source database with a connector of the tests' own, and a worker that reads what it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nova_stream.testing.servers import fresh_database
from tests.integration.source_audit.harness import Source
from tests.integration.stream.harness import Stage, open_stage


@pytest.fixture
def stage(
    nova_kafka: str, migrated_database: str, nova_topic_prefix: str, tmp_path: Path
) -> Iterator[Stage]:
    """A stage of this test's own whose worker runs."""
    with open_stage(nova_kafka, migrated_database, nova_topic_prefix, tmp_path) as found:
        found.start_worker()
        yield found


@pytest.fixture
async def source(nova_postgres: str, stage: Stage) -> AsyncIterator[Source]:
    """A source database with all tables, whose changes a connector takes to the stage's topics."""
    with fresh_database(nova_postgres) as url:
        source = Source(url, stage)
        await source.open()
        try:
            yield source
        finally:
            await source.close()
