"""Servers of each test's own: these tests stop and kill them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_stream.local.kafka import LocalKafka
from nova_stream.local.postgres import LocalPostgres
from nova_stream.settings import load_settings
from nova_stream.storage.migrate import migrate
from tests.acceptance.harness import Stack


@pytest.fixture
def stack(tmp_path: Path, nova_topic_prefix: str) -> Iterator[Stack]:
    with stack_in(tmp_path, nova_topic_prefix) as found:
        yield found


@contextlib.contextmanager
def stack_in(folder: Path, prefix: str, **kafka_options: Any) -> Iterator[Stack]:
    """A stack that is migrated, with nothing in it; ``kafka_options`` are LocalKafka's."""
    place = folder / "stack"
    with LocalKafka(place, **kafka_options) as kafka, LocalPostgres(place) as postgres:
        settings = load_settings(
            database_url=postgres.url,
            kafka_brokers=(kafka.bootstrap_servers,),
            topic_prefix=prefix,
            consumer_group=prefix,
        )
        asyncio.run(migrate(settings))
        yield Stack(folder, kafka, postgres, settings)
