"""One source server and one Connect for all tests; a pipeline for each file that asks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.connect import Connect
from tests.sources.pipeline import Pipeline, open_pipeline
from tests.sources.postgres_source import SourceServer, make_signals
from tests.sources.traffic import traffic


@pytest.fixture(scope="session")
def source_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    server = SourceServer(tmp_path_factory.mktemp("source"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka_connect(nova_kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connect]:
    connect = Connect(tmp_path_factory.mktemp("connect"), nova_kafka)
    connect.start()
    yield connect
    connect.close()


@pytest.fixture
def pipeline(
    request: pytest.FixtureRequest,
    source_server: SourceServer,
    kafka_connect: Connect,
    nova_kafka: str,
    nova_postgres: str,
    tmp_path: Path,
) -> Iterator[Pipeline]:
    """A worker behind a source of its own that has the first rows, ``ROWS`` of the module or six;
    the connector is the test's to start.
    """
    with source_server.database(request.module.__name__.rpartition("test_")[2]) as source:
        make_signals(source)
        asyncio.run(traffic(source, 1, rows=getattr(request.module, "ROWS", 6), changes=0))
        with open_pipeline(source, kafka_connect, nova_kafka, nova_postgres, tmp_path) as found:
            found.start_worker()
            yield found
