"""One source server and one Connect for all tests; a pipeline for each file that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources.connect import Connect
from tests.sources.postgres_source import SourceServer


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
