"""The worker: Faust app, flusher and watchers in one process, from start to stop."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from enum import Enum
from typing import Any, NamedTuple

import faust

from nova_stream.clock import system_clock
from nova_stream.errors import KafkaUnavailableError
from nova_stream.kafka.admin import KafkaAdmin, TopicAdmin
from nova_stream.kafka.faults import is_away as kafka_is_away
from nova_stream.kafka.faults import refusal, told
from nova_stream.kafka.model import FoundTopic
from nova_stream.registry.schemas import Schemas
from nova_stream.settings import Settings
from nova_stream.storage.apply import positions
from nova_stream.storage.apply.positions import Position
from nova_stream.storage.apply.ready import make_ready
from nova_stream.storage.database import check_schema, connect
from nova_stream.storage.kept_connection import KeptConnection
from nova_stream.stream import app as wiring
from nova_stream.stream.dead_members import DeadMembers
from nova_stream.stream.flusher import Flusher
from nova_stream.stream.intake import Budget
from nova_stream.stream.letter_limit import LetterLimit
from nova_stream.stream.measuring import measure
from nova_stream.stream.metrics import Metrics
from nova_stream.stream.mixed_offsets import say_mixed
from nova_stream.stream.partial_tables import PartialTables
from nova_stream.stream.patience import patiently
from nova_stream.stream.pumps import Pumps, decoders_of
from nova_stream.stream.samples import Recent, Samples
from nova_stream.stream.schema_wait import SchemaWait
from nova_stream.stream.seeking import Source
from nova_stream.stream.spans import FlushSpans
from nova_stream.stream.transport import crashed
from nova_stream.telemetry import get_logger
from nova_stream.tracing import tracer_of

_log = get_logger(__name__)

_WATCH_TOPICS_EVERY_S = 3.0

_WAITS = "the worker waits and nothing is lost"
#: What becomes of what a worker leaves behind, for its last line.
READ_AGAIN = "what is not committed is read again"
_WATCH_POSITIONS_EVERY_S = 2.0
_WATCH_RIGHTS_EVERY_S = 2.0
_WATCH_PARTS_EVERY_S = 2.0
_GROUP_LIMIT_S = 5.0
#: Seconds that what is stopped may take before the worker goes on without it.
_STOP_LIMIT_S = 20.0


class Outcome(Enum):
    """Why a worker's app ended."""

    STOPPED = "stopped"
    REBUILD = "rebuild"


class Timer(NamedTuple):
    """Work that a Faust timer starts every ``seconds``, such as asking which jobs are due."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[None]]


class Worker:
    """One worker process's parts; ``run`` gives the reason of its end."""

    def __init__(self, settings: Settings, metrics: Metrics, timers: Sequence[Timer] = ()) -> None:
        self._timers = timers
        self._settings = settings
        self._metrics = metrics
        self._topics = settings.topics()
        metrics.know(self._topics)
        self._budget = Budget(settings.buffer_bytes)
        self._recent = Recent()
        self._stop = asyncio.Event()
        self._rebuild = asyncio.Event()
        self._admin = TopicAdmin(settings)
        self._group_admin = KafkaAdmin(settings, limit=_GROUP_LIMIT_S)
        self._lookup = KeptConnection(lambda: connect(settings, "worker", timeout=5.0))
        self._lookup_lock = asyncio.Lock()
        self._found: dict[str, FoundTopic] = {}
        self._schemas: SchemaWait | None = None
        if settings.schema_registry_url is not None:
            self._schemas = SchemaWait(Schemas(settings), metrics)

    def request_stop(self) -> None:
        """Ask for the end; safe to repeat."""
        self._stop.set()

    async def run(self) -> Outcome:
        """Run until stopped, or until a topic was recreated and all must be built anew.

        Raises SchemaVersionError or TopicError where a person has to act.
        """
        try:
            return await self._run()
        finally:
            await self._admin.close()
            await self._group_admin.close()
            if self._schemas is not None:
                await self._schemas.schemas.close()

    async def _run(self) -> Outcome:
        prepared = await self._until_stopped(self._prepare())
        if prepared is None:
            return Outcome.STOPPED
        partitions, members = prepared
        app, flusher, pumps = self._build(partitions, members.client_id)
        samples = Samples(
            self._settings, self._group_admin, self._recent, system_clock, members.client_id
        )
        tasks = [
            asyncio.create_task(members.watch(), name="dead members"),
            asyncio.create_task(flusher.run(), name="flusher"),
            asyncio.create_task(pumps.failed(), name="pumps"),
            asyncio.create_task(self._watch_topics(app), name="topics"),
            asyncio.create_task(self._watch_positions(app), name="positions"),
            asyncio.create_task(self._watch_rights(app), name="rights"),
            asyncio.create_task(self._watch_parts(app), name="parts"),
            asyncio.create_task(measure(app, self._budget, self._metrics), name="metrics"),
            asyncio.create_task(samples.run(), name="history"),
        ]
        try:
            try:
                await app.start()
            except Exception as error:
                # It was there a moment ago; who is built anew waits for it.
                refused = refusal(error)
                if not (kafka_is_away(error) or refused):
                    raise
                told_as = "Kafka refuses this user" if refused else "Kafka is away"
                _log.error(told_as, error=refused or told(error), then=_WAITS)
                return Outcome.REBUILD
            return await self._wait(app, tasks)
        finally:
            await self._shut_down(app, tasks)

    async def _until_stopped(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            task.cancel()
            return None
        return task.result()

    async def _prepare(self) -> tuple[dict[str, int], DeadMembers]:
        """Wait for Kafka and Postgres, then make topics and positions."""
        await patiently("Kafka", self._admin.partitions)
        await patiently("Postgres", self._check_database)
        partitions = await patiently("Kafka and Postgres", self._make_ready)
        # One for every app: the member that an app before this may have left is dead.
        members = DeadMembers(self._settings, self._group_admin)
        await patiently("Postgres", members.begin)
        return partitions, members

    async def _make_ready(self) -> dict[str, int]:
        """Make topics and positions, as far as they are not there; safe to repeat."""
        partitions = await self._admin.prepare_sources()
        await self._admin.prepare_changelogs(wiring.changelog_topics(self._settings, partitions))
        self._found = await self._admin.describe(list(self._topics))
        for topic, found in self._found.items():
            await self._recognise(topic, found)
        return partitions

    async def _check_database(self) -> None:
        connection = await self._lookup.connected()
        await check_schema(connection)

    def _build(
        self, partitions: dict[str, int], client_id: str
    ) -> tuple[faust.App, Flusher, Pumps]:
        settings = self._settings
        app = wiring.build_app(settings, client_id=client_id)
        tables = PartialTables(wiring.add_tables(app, partitions, settings))
        tracer = tracer_of(settings)
        flusher = Flusher(
            lambda: connect(settings, "flush", flush=True, timeout=5.0),
            tables.expected,
            self._metrics,
            system_clock,
            settings.flush_records,
            FlushSpans(tracer) if tracer is not None else None,
            self._recent,
            make_ready=make_ready,
        )
        wiring.add_transport(
            app,
            Source(
                entities=self._topics,
                budget=self._budget,
                read_positions=self._read_positions,
                restart_topic=self._restart_topic,
                wake_wanted=tables.due,
                forget=tables.forget,
                chunks=settings.chunk_transport,
            ),
        )
        schemas = self._schemas
        pumps = Pumps(
            flusher,
            tables,
            self._metrics,
            decoders_of(settings, schemas.schemas if schemas is not None else None),
            reread=app.consumer.seek_again,
            acknowledge=app.consumer.acknowledge,
            chunk_records=max(1, settings.flush_records // 2),
            limit=LetterLimit(settings, self._metrics, self._note_stop),
            schemas=schemas,
        )
        wiring.add_agents(app, self._topics, pumps)
        for timer in self._timers:
            wiring.add_timer(app, timer.name, timer.seconds, timer.work)
        return app, flusher, pumps

    async def _wait(self, app: faust.App, tasks: list[asyncio.Task[None]]) -> Outcome:
        waits = [
            asyncio.create_task(self._stop.wait()),
            asyncio.create_task(self._rebuild.wait()),
            asyncio.create_task(crashed(app).wait()),
        ]
        try:
            await asyncio.wait({*waits, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._stop.is_set():
            return Outcome.STOPPED
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                _log.error(
                    "a component of the worker failed",
                    part=task.get_name(),
                    exc_info=task.exception(),
                )
        if crashed(app).is_set():
            _log.error("Faust stopped", reason=repr(app.crash_reason))
        return Outcome.REBUILD

    async def _shut_down(self, app: faust.App, tasks: list[asyncio.Task[None]]) -> None:
        # Faust waits for what was sent to Kafka, for minutes where a broker hangs; a flush that is
        # cut off waits for Postgres.
        left = await _ended([asyncio.create_task(app.stop(), name="Faust")])
        for task in tasks:
            task.cancel()
        left += await _ended(tasks)
        if left:
            _log.warning("stopping without waiting longer", parts=left, then=READ_AGAIN)
        self._lookup.disconnect()
        shutil.rmtree(app.conf.datadir, ignore_errors=True)

    # -- what the transport asks ---------------------------------------------------------------

    async def _read_positions(
        self, keys: Iterable[tuple[str, int]]
    ) -> dict[tuple[str, int], Position]:
        wanted = list(keys)
        async with self._lookup_lock:
            connection = await self._lookup.connected()
            await positions.ensure(connection, wanted)
            found = await positions.read(connection, wanted)
        self._metrics.database_up.set(1)
        return found

    async def _restart_topic(self, topic: str, generation: int) -> None:
        async with self._lookup_lock:
            await positions.restart(await self._lookup.connected(), topic, generation)

    async def _note_stop(self, key: tuple[str, int], why: str | None) -> None:
        async with self._lookup_lock:
            await positions.note_stop(await self._lookup.connected(), key, why)

    async def _recognise(self, topic: str, found: FoundTopic) -> None:
        async with self._lookup_lock:
            connection = await self._lookup.connected()
            generation = await positions.recognise(connection, topic, found.id)
            mixed = await positions.note_partitions(connection, topic, found.partitions)
        if generation is not None:
            _log.error(
                "a topic was recreated",
                topic=topic,
                generation=generation,
                then="its records are read from offset 0; versions decide what they change",
            )
        self._metrics.mixed_offsets.labels(topic).set(0)
        if mixed:
            say_mixed(self._metrics, topic)

    # -- watchers --------------------------------------------------------------------------------

    async def _watch_topics(self, app: faust.App) -> None:
        """Notice a topic that was made again (aiokafka would read nothing, without a word) or
        enlarged (it would see that after minutes, and Faust's changelogs would be too small), and
        one that was not known when partitions were assigned.
        """
        gone: set[str] = set()
        away = False
        while True:
            await asyncio.sleep(_WATCH_TOPICS_EVERY_S)
            try:
                found = await self._admin.describe(list(self._topics))
            except KafkaUnavailableError as error:
                if not away:
                    _log.error("Kafka is away", error=str(error), then=_WAITS)
                away = True
                continue
            if away:
                _log.info("Kafka answers again")
                away = False
            for topic in set(self._topics) - set(found) - gone:
                _log.error(
                    "a topic is gone",
                    topic=topic,
                    then="nothing of it can be read until it is recreated",
                )
            gone = set(self._topics) - set(found)
            changed = {t: now for t, now in found.items() if now != self._found.get(t)}
            if changed:
                enlarged = all(
                    t in self._found and self._found[t].id == now.id for t, now in changed.items()
                )
                _log.error(
                    "a topic was enlarged"
                    if enlarged
                    else "a topic was recreated while the worker ran",
                    topics=list(changed),
                    then="the worker restarts",
                )
                self._rebuild.set()
                return
            counts = {topic: now.partitions for topic, now in found.items()}
            changelogs = wiring.changelog_topics(self._settings, counts) if not gone else {}
            await app.consumer.follow_topics(counts | changelogs)

    async def _watch_positions(self, app: faust.App) -> None:
        """Go back where a position was set back, for a source that moved."""
        away = False
        while True:
            await asyncio.sleep(_WATCH_POSITIONS_EVERY_S)
            try:
                await app.consumer.follow_positions()
            except Exception as error:  # the flush waits for Postgres; nothing rests on this
                if not away:
                    _log.warning(
                        "positions cannot be watched",
                        error=str(error),
                        then="tried again until it works",
                    )
                away = True
            else:
                away = False

    async def _watch_parts(self, app: faust.App) -> None:
        """Notice what of aiokafka has ended. Asks nobody, so that nothing can keep it waiting."""
        while True:
            await asyncio.sleep(_WATCH_PARTS_EVERY_S)
            if part := app.consumer.ended_part():
                _log.error("a part of aiokafka ended", part=part, then="the worker restarts")
                self._rebuild.set()
                return

    async def _watch_rights(self, app: faust.App) -> None:
        while True:
            await asyncio.sleep(_WATCH_RIGHTS_EVERY_S)
            await app.consumer.watch_rights()


async def _ended(tasks: Collection[asyncio.Task[Any]]) -> list[str]:
    """Wait until tasks have ended, however; gives the names of those that take too long."""
    done, left = await asyncio.wait(tasks, timeout=_STOP_LIMIT_S)
    await asyncio.gather(*done, return_exceptions=True)
    return sorted(task.get_name() for task in left)
