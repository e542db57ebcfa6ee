"""One stack for all clients: what each publishes has names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nova_stream.settings import Settings
from nova_stream.testing.stack import running_stack


@pytest.fixture(scope="package")
def nova_stack(nova_kafka: str, nova_postgres: str) -> Iterator[Settings]:
    with running_stack(nova_kafka, nova_postgres) as settings:
        yield settings
