"""A deployment, topics and a database of a test's own; captures of it, and what they published."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from inspect import isawaitable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import SecretStr

from nova_stream.capture.mapping import TABLES
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.capture.process import capture
from nova_stream.clock import isoformat, system_clock
from nova_stream.events.change import Entity
from nova_stream.kafka.options import client_options
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import connect
from tests.integration.capture.stand_in import Deployment, Int64, encoded
from tests.integration.publish.topics import PARTITIONS
from tests.programs import Program, environment_of

LIMIT = 30.0
ROOT = Path(__file__).parents[3]

#: id -> document without ``_creationTime``, of what is there.
State = dict[Entity, dict[str, dict[str, Any]]]


def settings_of(url: str, brokers: str, prefix: str, database: str, key: str) -> Settings:
    return load_settings(
        convex_url=url,
        convex_key=key,
        convex_poll_seconds=0.1,
        kafka_brokers=brokers,
        topic_prefix=prefix,
        consumer_group=f"{prefix}-group",
        database_url=database,
    )


def deployed(deployment: Deployment) -> State:
    """What the deployment's tables hold, as the main app's documents."""
    found: State = {}
    for table, entity in TABLES.items():
        found[entity] = {}
        for identity, document in deployment.documents(table).items():
            own = {k: v for k, v in document.items() if not k.startswith("_")}
            if entity in (Entity.AGENTS, Entity.TASKS, Entity.USERS):
                created = datetime.fromtimestamp(document["_creationTime"] // 1 / 1000, UTC)
                own = {"createdAt": isoformat(created), **own}
            found[entity][identity] = {"id": identity, **plainly(own)}
    return found


def plainly(value: Any) -> Any:
    """What the main app would have written for a value."""
    if isinstance(value, list):
        return [plainly(item) for item in value]
    if isinstance(value, dict):
        return {name: plainly(item) for name, item in value.items()}
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
        return encoded(value, "json")
    return value


async def until(what: str, holds: Callable[[], Any], limit: float = LIMIT) -> None:
    """Wait until it holds; AssertionError that names ``what`` else. ``holds`` may be async."""
    end = time.monotonic() + limit
    while True:
        found = holds()
        if await found if isawaitable(found) else found:
            return
        assert time.monotonic() < end, f"not within {limit:.0f} s: {what}"
        await asyncio.sleep(0.05)


class Record(NamedTuple):
    """What of a record counts for the state."""

    entity: Entity
    id: str
    version: tuple[int, int]
    after: dict[str, Any] | None
    op: str


class Topics:
    """Everything in the topics, read on from where the last look ended."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.records: list[Record] = []

    async def __aenter__(self) -> Topics:
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await self._consumer.start()
        self._places = [
            TopicPartition(topic, n) for topic in self._settings.topics() for n in range(PARTITIONS)
        ]
        self._consumer.assign(self._places)
        await self._consumer.seek_to_beginning(*self._places)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def state(self) -> State:
        """The documents that are there, by their versions, once all has been read."""
        entities = self._settings.topics()
        ends = await self._consumer.end_offsets(self._places)
        while any([await self._consumer.position(p) < ends[p] for p in self._places]):
            for place, found in (await self._consumer.getmany(timeout_ms=200)).items():
                self.records += [_record(entities[place.topic], r) for r in found]
        newest: dict[tuple[Entity, str], Record] = {}
        for record in self.records:
            known = newest.get((record.entity, record.id))
            if known is None or record.version > known.version:
                newest[record.entity, record.id] = record
        there: State = {entity: {} for entity in Entity}
        for record in newest.values():
            if record.after is not None:
                there[record.entity][record.id] = record.after
        return there

    async def shows(self, deployment: Deployment, limit: float = LIMIT) -> None:
        """Wait until the topics say what the deployment holds."""
        end = time.monotonic() + limit
        while (state := await self.state()) != deployed(deployment):
            if time.monotonic() > end:
                assert state == deployed(deployment)
            await asyncio.sleep(0.05)


def _record(entity: Entity, record: Any) -> Record:
    change = msgspec.json.decode(record.value)
    after, source = change["after"], change["source"]
    if isinstance(after, dict):
        after = {k: v for k, v in after.items() if k != "_creationTime"}
    version = (source["seq"], source["minor"])
    return Record(entity, record.key.decode(), version, after, change["op"])


@asynccontextmanager
async def capturing(settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """A capture in this process, which must not end by itself."""
    task = asyncio.create_task(capture(settings, CaptureMetrics(system_clock), system_clock))
    try:
        yield task
    finally:
        ended = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert not ended, task


async def fetch(settings: Settings, query: str, *arguments: Any) -> list[dict[str, Any]]:
    connection = await connect(settings, "test")
    try:
        return [dict(row) for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


def environment(settings: Settings) -> dict[str, str]:
    """The settings as variables, for a process."""
    assert isinstance(settings.convex_key, SecretStr)
    return environment_of(
        settings,
        convex_url=str(settings.convex_url),
        convex_key=settings.convex_key.get_secret_value(),
        convex_poll_seconds=str(settings.convex_poll_seconds),
    )


class Instance(Program):
    """A ``nova-stream capture convex`` that runs; its log is read from a file."""

    def __init__(self, settings: Settings, path: Path, **more: str) -> None:
        super().__init__(["capture", "convex"], {**environment(settings), **more}, path)

    async def says(self, event: str, limit: float = LIMIT) -> dict[str, Any]:
        """Wait for a line of this event."""
        async with asyncio.timeout(limit):
            while not (found := self.lines(event)):
                assert self.process.poll() is None, self.log
                await asyncio.sleep(0.05)
        return found[-1]

    async def ends(self, limit: float = LIMIT) -> int:
        """Wait for its end; the exit status."""
        return await asyncio.to_thread(self.process.wait, limit)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


@contextmanager
def instance(settings: Settings, path: Path, **more: str) -> Iterator[Instance]:
    started = Instance(settings, path, **more)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.signal(signal.SIGCONT)
            started.process.kill()
        started.process.wait()
