"""Servers of each test's own: these tests stop and kill them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_stream.local.kafka import LocalKafka
from nova_stream.local.postgres import LocalPostgres
from nova_stream.settings import load_settings
from nova_stream.storage.migrate import migrate
from tests.acceptance.harness import Stack


@pytest.fixture
def stack(tmp_path: Path, nova_topic_prefix: str) -> Iterator[Stack]:
    with LocalKafka(tmp_path / "stack") as kafka, LocalPostgres(tmp_path / "stack") as postgres:
        settings = load_settings(
            database_url=postgres.url,
            kafka_brokers=(kafka.bootstrap_servers,),
            topic_prefix=nova_topic_prefix,
            consumer_group=nova_topic_prefix,
        )
        asyncio.run(migrate(settings))
        yield Stack(tmp_path, kafka, postgres, settings)
