"""Group commit: many chunks that wait at one moment go into one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Awaitable, Callable

import msgspec

from nova_stream.clock import Clock
from nova_stream.errors import GapError, GenerationError, RevokedError
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.apply.flush import Flush
from nova_stream.storage.database import Connection
from nova_stream.storage.dead_letters.insert import dead_letter
from nova_stream.storage.faults import Fault, fault_of
from nova_stream.storage.kept_connection import KeptConnection
from nova_stream.stream.metrics import Metrics
from nova_stream.stream.mixed_offsets import say_mixed
from nova_stream.stream.samples import Recent
from nova_stream.stream.spans import FlushSpans
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0

#: Flushes that may run at a time.
_LANES = 3
#: The waiting records from which a flush beside another pays, and which it takes at least.
_WORTH_IT = 2000
#: Seconds that fewer wait for a flush that takes long, such as one that waits for a lock.
_PATIENCE_S = 0.2

#: No more chunks join a flush that has this many bytes: its parameters are held several times.
_FLUSH_BYTES = 12 * 1024 * 1024


class _WaitingChunk(msgspec.Struct):
    chunk: Chunk
    future: asyncio.Future[AppliedChunk]
    wanted: Callable[[], bool]
    since: float = 0.0


class Flusher:
    """Applies submitted chunks, at most ``limit`` records a transaction where chunks allow it.

    While one flush waits for Postgres, the next is made ready on another connection, if many
    records wait or some have waited long; to the database they are like several workers. While
    Postgres is away it tries again, with one log line a change of state, until the chunks'
    partitions are taken away. What Postgres refuses because of the data is narrowed down to the
    record, which goes among the dead letters.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        expected: dict[tuple[str, int], tuple[int, int]],
        metrics: Metrics,
        clock: Clock,
        limit: int,
        spans: FlushSpans | None = None,
        recent: Recent | None = None,
        *,
        make_ready: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        """``make_ready`` is done with each connection before the first chunk comes."""
        self._connect = connect
        self._make_ready = make_ready
        self._spans = spans
        self._recent = recent or Recent()
        self._expected = expected
        self._metrics = metrics
        self._clock = clock
        self._limit = limit
        self._waiting: list[_WaitingChunk] = []
        self._wake = asyncio.Event()
        self._running = 0
        self._trouble: str | None = None
        #: Topics of which it was said already that changes leave out what nobody knows.
        self._incomplete: set[str] = set()

    def submit(self, chunk: Chunk, wanted: Callable[[], bool]) -> asyncio.Future[AppliedChunk]:
        """Queue a chunk; the future gives what was done.

        It raises GapError or GenerationError when the chunk must be read again, RevokedError when
        ``wanted`` turned false while Postgres was away.
        """
        future: asyncio.Future[AppliedChunk] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._waiting.append(_WaitingChunk(chunk, future, wanted, time.monotonic()))
        self._wake.set()
        return future

    async def run(self) -> None:
        """Flush until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            for _ in range(_LANES):
                lanes.create_task(self._serve(KeptConnection(self._connect)))

    async def _serve(self, lane: KeptConnection) -> None:
        try:
            if self._make_ready is not None:
                # What fails now is told when the first chunk comes.
                with contextlib.suppress(Exception):
                    await self._make_ready(await lane.connected())
            while True:
                if self._records_waiting() < _WORTH_IT:
                    # The partitions that were just flushed hand over what came meanwhile, so that
                    # it joins the flush that begins now instead of the one after it.
                    await asyncio.sleep(0)
                while not self._ready():
                    self._wake.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_PATIENCE_S if self._waiting else None):
                            await self._wake.wait()
                self._running += 1
                try:
                    await self._flush(self._take(), lane)
                finally:
                    self._running -= 1
                    self._wake.set()
        finally:
            lane.disconnect()

    def _ready(self) -> bool:
        """Whether a flush should begin: at once when none runs, beside another when it pays."""
        if not self._waiting or not self._running:
            return bool(self._waiting)
        waited = time.monotonic() - self._waiting[0].since
        return waited >= _PATIENCE_S or self._records_waiting() >= _WORTH_IT

    def _records_waiting(self) -> int:
        return sum(len(item.chunk.records) for item in self._waiting)

    def _take(self) -> list[_WaitingChunk]:
        """Half of what waits: while Postgres is at work on one half, the other is made ready."""
        limit = min(self._limit, max(_WORTH_IT, self._records_waiting() // 2))
        count = size = 0
        batch: list[_WaitingChunk] = []
        left: list[_WaitingChunk] = []
        keys = set()
        for item in self._waiting:
            # After a rebalance a partition's last chunk and its first may wait side by side.
            if item.chunk.key in keys or count >= limit or size >= _FLUSH_BYTES:
                left.append(item)
                continue
            keys.add(item.chunk.key)
            count += len(item.chunk.records)
            size += item.chunk.size
            batch.append(item)
        self._waiting = left
        return batch

    async def _flush(self, batch: list[_WaitingChunk], lane: KeptConnection) -> None:
        """Bring every chunk of ``batch`` to an end."""
        pause = _FIRST_PAUSE_S
        while batch:
            try:
                await self._commit(batch, lane)
            except (GapError, GenerationError) as error:
                batch = self._hand_back(batch, error)
                continue
            except Exception as error:
                fault = fault_of(error)
                self._metrics.flush_failures.labels(fault.value).inc()
                if fault is Fault.DATA:
                    await self._narrow_down(batch, lane, error)
                    return
                lane.disconnect()
                self._say_trouble(error, fault)
            else:
                return
            # The error's frames hold the parameters of the whole flush, in a cycle that the calmed
            # collector would leave standing for minutes; only here is the error let go.
            gc.collect()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            batch = _still_wanted(batch)

    async def _commit(self, batch: list[_WaitingChunk], lane: KeptConnection) -> None:
        connection = await lane.connected()
        started = time.perf_counter()
        items = sorted(batch, key=lambda item: item.chunk.key)
        results = await Flush(connection, [i.chunk for i in items], self._expected).run()
        took = time.perf_counter() - started
        self._metrics.transaction.observe(took)
        self._metrics.flushes.inc()
        self._say_well()
        now = self._clock()
        newest = [item.chunk.newest_change() for item in items]
        freshness = None
        if times := [time_ for time_ in newest if time_ is not None]:
            freshness = max(0.0, (now - max(times)).total_seconds())
            self._metrics.freshness.observe(freshness)
        self._recent.committed(sum(each.changes + each.dead for each in results), freshness)
        for item, applied in zip(items, results, strict=True):
            self._metrics.applied.labels(item.chunk.topic).inc(applied.changes)
            if applied.dead:
                self._metrics.dead_letters.labels(item.chunk.topic).inc(applied.dead)
                _log.warning(
                    "dead letters",
                    topic=item.chunk.topic,
                    partition=item.chunk.partition,
                    records=applied.dead,
                    see="nova-stream dead-letters list",
                )
            if applied.moved:
                self._say_moved(item.chunk, applied)
            if applied.incomplete:
                self._say_incomplete(item.chunk.topic, applied.incomplete)
            if applied.mixed:
                say_mixed(self._metrics, item.chunk.topic)
            if not item.future.done():
                item.future.set_result(applied)
        if self._spans is not None:
            self._spans.committed([item.chunk for item in items], results, took)

    def _hand_back(
        self, batch: list[_WaitingChunk], error: GapError | GenerationError
    ) -> list[_WaitingChunk]:
        refused = error.key
        for item in batch:
            if item.chunk.key == refused and not item.future.done():
                item.future.set_exception(error)
        return [item for item in batch if item.chunk.key != refused]

    async def _narrow_down(
        self, batch: list[_WaitingChunk], lane: KeptConnection, error: Exception
    ) -> None:
        """Apply a batch that Postgres refuses in smaller parts, down to the record at fault."""
        if len(batch) > 1:
            for item in batch:
                await self._flush([item], lane)
            return
        item = batch[0]
        chunk = item.chunk
        if len(chunk.records) > 1:
            first, second = chunk.split()
            await self._flush([_WaitingChunk(first, _unobserved(), item.wanted)], lane)
            await self._flush([_WaitingChunk(second, item.future, item.wanted)], lane)
            return
        if not chunk.changes:
            raise error
        state = getattr(error, "sqlstate", None)
        # Further lines may quote the value, which may be what somebody wrote.
        said = str(error).partition("\n")[0]
        letter = dead_letter(
            chunk.topic,
            chunk.partition,
            chunk.generation,
            chunk.records[0],
            "unstorable",
            f"Postgres refuses the record ({state or type(error).__name__}): {said}",
        )
        refused = msgspec.structs.replace(chunk, changes=[], dead=[*chunk.dead, letter])
        await self._flush([_WaitingChunk(refused, item.future, item.wanted)], lane)

    def _say_trouble(self, error: Exception, fault: Fault) -> None:
        self._metrics.database_up.set(0)
        trouble = f"{fault.value}: {type(error).__name__}"
        if self._trouble is None or (fault is Fault.SETUP and self._trouble != trouble):
            advice = (
                "the stream waits and nothing is lost"
                if fault is Fault.PASSING
                else "run nova-stream doctor; the stream waits and nothing is lost"
            )
            _log.error("flush failed", fault=fault.value, error=str(error), then=advice)
            self._trouble = trouble

    def _say_moved(self, chunk: Chunk, applied: AppliedChunk) -> None:
        self._metrics.moved.labels(chunk.topic).inc(applied.moved)
        _log.error(
            "a source seems to have moved",
            topic=chunk.topic,
            partition=chunk.partition,
            records=applied.moved,
            then="lower lsns with newer times are dead letters; if the source is on another server "
            f"now: nova-stream topics new-source {chunk.topic}",
        )

    def _say_incomplete(self, topic: str, changes: int) -> None:
        self._metrics.incomplete.labels(topic).inc(changes)
        if topic not in self._incomplete:
            self._incomplete.add(topic)
            _log.warning(
                "unchanged fields are not known",
                topic=topic,
                changes=changes,
                then="they stay empty: compare with the source (nova-stream audit --source URL)",
            )

    def _say_well(self) -> None:
        self._metrics.database_up.set(1)
        if self._trouble is not None:
            _log.info("flush works again", after=self._trouble)
            self._trouble = None


def _still_wanted(batch: list[_WaitingChunk]) -> list[_WaitingChunk]:
    kept = []
    for item in batch:
        if item.wanted():
            kept.append(item)
        elif not item.future.done():
            item.future.set_exception(RevokedError())
    return kept


def _unobserved() -> asyncio.Future[AppliedChunk]:
    future: asyncio.Future[AppliedChunk] = asyncio.get_running_loop().create_future()
    future.add_done_callback(_seen)
    return future


def _seen(future: asyncio.Future[AppliedChunk]) -> None:
    """Mark an error as seen: the agent may have been cancelled before it could look."""
    if not future.cancelled():
        future.exception()
