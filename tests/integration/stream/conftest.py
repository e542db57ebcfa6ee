"""A stage with a running worker for a whole file; one for a test alone is in the folder above."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from nova_stream.testing.servers import fresh_database
from tests.integration.stream.harness import Stage, open_stage


@pytest.fixture(scope="module")
def running_worker(
    nova_kafka: str, nova_postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A stage whose worker runs; the tests of a file share it, each with ids of its own."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("worker")
    with (
        fresh_database(nova_postgres) as database,
        open_stage(nova_kafka, database, prefix, folder) as found,
    ):
        found.start_worker()
        yield found
