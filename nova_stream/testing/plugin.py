"""Pytest fixtures: a Kafka, a Postgres, a fresh database, a topic prefix, a whole stack.

Each server is the first that is there: one named in the environment, a container where an engine
and the image are, else one that runs on this machine with nothing but Python packages. Loaded by
every pytest run of the environment, so nothing heavy is imported before a fixture is used.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nova_stream.settings import Settings


@pytest.fixture(scope="session")
def nova_kafka() -> Iterator[str]:
    """Bootstrap servers (``host:port``) of a Kafka without automatic topics, for the session.

    ``NOVA_TEST_KAFKA_BROKERS`` if set, else a container of ``NOVA_TEST_KAFKA_IMAGE`` (Apache's
    image if not set), else a local broker. A broker from the environment is shared: make topics
    under ``nova_topic_prefix``.
    """
    given = os.environ.get("NOVA_TEST_KAFKA_BROKERS")
    if given:
        yield given
        return

    from nova_stream.testing.servers import kafka_server  # noqa: PLC0415  (light plugin)

    with kafka_server() as brokers:
        yield brokers


@pytest.fixture(scope="session")
def nova_postgres() -> Iterator[str]:
    """Address of a PostgreSQL 18 server whose user may make databases, for the session.

    ``NOVA_TEST_DATABASE_URL`` if set, else a container of ``NOVA_TEST_POSTGRES_IMAGE`` (the
    official image if not set), else a local server with fsync off.
    """
    given = os.environ.get("NOVA_TEST_DATABASE_URL")
    if given:
        yield given
        return

    from nova_stream.testing.servers import postgres_server  # noqa: PLC0415  (light plugin)

    with postgres_server() as url:
        yield url


@pytest.fixture
def nova_database(nova_postgres: str) -> Iterator[str]:
    """Address of an empty database of this test's own, dropped afterwards."""
    from nova_stream.testing.servers import fresh_database  # noqa: PLC0415  (light plugin)

    with fresh_database(nova_postgres) as url:
        yield url


@pytest.fixture
def nova_topic_prefix() -> str:
    """A prefix for topics and consumer groups that nobody else uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def nova_stack(nova_kafka: str, nova_postgres: str) -> Iterator[Settings]:
    """The whole of nova-stream for a module's tests: its settings, which are in the environment
    meanwhile, so that ``ChangePublisher()``, ``NovaClient()`` and processes find it.

    Database and topics are the module's own, migrated; a worker reads them and the API answers.
    """
    from nova_stream.testing.stack import running_stack  # noqa: PLC0415  (light plugin)

    with running_stack(nova_kafka, nova_postgres) as settings:
        yield settings
