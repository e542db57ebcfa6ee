"""The servers behind the fixtures, also for programs that are no tests (benchmarks)."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from nova_stream.local.kafka import LocalKafka
from nova_stream.local.postgres import LocalPostgres
from nova_stream.local.sql import run_sql
from nova_stream.testing import containers


@contextmanager
def kafka_server() -> Iterator[str]:
    """Bootstrap servers of a fresh Kafka: a container where that is possible, else local.

    Raises LocalStackError when it does not start.
    """
    image = containers.kafka_image()
    if containers.engine_has(image):
        with containers.NovaKafkaContainer(image) as container:
            yield container.bootstrap_servers
        return

    with _scratch() as folder, LocalKafka(folder) as kafka:
        yield kafka.bootstrap_servers


@contextmanager
def postgres_server() -> Iterator[str]:
    """Address of a fresh PostgreSQL 18: a container where that is possible, else local.

    Raises LocalStackError when it does not start.
    """
    image = containers.postgres_image()
    if containers.engine_has(image):
        with containers.postgres_container(image) as url:
            yield url
        return

    with _scratch() as folder, LocalPostgres(folder, fsync=False) as postgres:
        yield postgres.url


@contextmanager
def fresh_database(server: str, *, template: str = "template1") -> Iterator[str]:
    """Address of a new database on the server at address ``server``, as its database ``template``
    is, to which nobody may be connected; dropped at the end, with whoever is still connected.
    """
    name = f"nova_test_{uuid.uuid4().hex[:16]}"
    run_sql(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        run_sql(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nova-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
