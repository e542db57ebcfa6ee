"""A migrated database, and changes put into it as the worker does: by the flush."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from nova_stream.events.change import Entity, Version
from nova_stream.events.encode import encode_change, encode_key
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.database import connect
from nova_stream.storage.migrate import migrate
from nova_stream.testing.servers import fresh_database
from tests.decoding import decode
from tests.integration.stream.harness import Stage, open_stage

#: Time of changes that name none, epoch milliseconds.
TS_MS = 1771588800000


class Record(NamedTuple):
    """A Kafka record, as far as the decoder looks."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[()] = ()


ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]


@pytest.fixture(scope="session")
def migrated_template(nova_postgres: str) -> Iterator[str]:
    """Name of a migrated database: copying one takes less time than migrating one."""
    with fresh_database(nova_postgres) as url:
        asyncio.run(migrate(load_settings(database_url=url)))
        yield urlsplit(url).path.removeprefix("/")


@pytest.fixture
def migrated_database(nova_postgres: str, migrated_template: str) -> Iterator[str]:
    """As ``nova_database``, but migrated."""
    with fresh_database(nova_postgres, template=migrated_template) as url:
        yield url


@pytest.fixture
def nova_settings(migrated_database: str, nova_topic_prefix: str) -> Settings:
    """Settings whose database is this test's own and migrated."""
    return load_settings(database_url=migrated_database, topic_prefix=nova_topic_prefix)


@pytest.fixture
def apply_lines(nova_settings: Settings) -> ApplyLines:
    """Applies changes in the JSON Lines shape in one flush; ``seq`` is their place if not given."""
    log: dict[tuple[Entity, int], int] = defaultdict(int)

    async def apply(lines: Iterable[dict[str, Any]]) -> None:
        records: dict[tuple[Entity, int], list[Record]] = defaultdict(list)
        for place, fields in enumerate(lines, 1):
            line = change_line({"seq": place, **fields})
            partition = len(line.id) % 2
            key = (line.entity, partition)
            records[key].append(_record(line, log[key]))
            log[key] += 1
        chunks = [_chunk(nova_settings, *key, found) for key, found in records.items()]
        connection = await connect(nova_settings, "test", flush=True)
        try:
            await positions.ensure(connection, [chunk.key for chunk in chunks])
            await Flush(connection, chunks, {}).run()
        finally:
            await connection.close()

    return apply


def _record(line: ChangeLine, offset: int) -> Record:
    assert line.seq is not None
    ts_ms = line.ts_ms or TS_MS
    version = Version(line.seq, line.minor)
    value = encode_change(line.entity, line.op, line.document, version=version, ts_ms=ts_ms)
    return Record(offset, ts_ms, encode_key(line.id), value)


def _chunk(settings: Settings, entity: Entity, partition: int, records: list[Record]) -> Chunk:
    changes = [decode(entity, record, partition) for record in records]
    return Chunk(
        topic=settings.topic(entity),
        entity=entity,
        partition=partition,
        generation=0,
        start=records[0].offset,
        end=records[-1].offset + 1,
        records=records,
        changes=[change for change in changes if change is not None],
        dead=[],
    )


@pytest.fixture
def idle_stage(
    nova_kafka: str, migrated_database: str, nova_topic_prefix: str, tmp_path: Path
) -> Iterator[Stage]:
    """A stage of this test's own, without a worker, where ``stage`` is another one."""
    with open_stage(nova_kafka, migrated_database, nova_topic_prefix, tmp_path) as found:
        yield found


@pytest.fixture
def stage(idle_stage: Stage) -> Stage:
    """A stage of this test's own, without a worker."""
    return idle_stage
