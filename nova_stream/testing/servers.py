"""The servers behind the fixtures, also for programs that are no tests (benchmarks)."""

from __future__ import annotations

import os
import shutil
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

#: The three servers of a parallel run stay far below.
_MEMORY_BYTES = 4 * 1024**3


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

    with _scratch(_in_memory()) as folder, LocalPostgres(folder, fsync=False) as postgres:
        yield postgres.url


@contextmanager
def fresh_database(server: str, *, template: str | None = None) -> Iterator[str]:
    """Address of a new database on the server at address ``server``, as its database ``template``
    is, to which nobody may be connected, else an empty one; dropped at the end, with whoever is
    still connected.
    """
    name = f"nova_test_{uuid.uuid4().hex[:16]}"
    # Copied by files, not page by page through the log: half of the time of the server.
    how = f'TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
    run_sql(server, f'CREATE DATABASE "{name}" {how}')
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        run_sql(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextmanager
def _scratch(parent: Path | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix="nova-test-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def _in_memory() -> Path | None:
    """A folder in memory with room for a few servers, if there is one: a database of a test is 400
    files, made and deleted in a quarter of a disk's time there.
    """
    folder = Path("/dev/shm")  # noqa: S108 - what goes there is a folder of our own
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _MEMORY_BYTES:
        return None
    return folder
