"""What the six Faust agents do: take the partitions' chunks, decode, flush, write the tables."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import msgspec

from nova_stream.errors import RejectedError, RereadError, RevokedError, SchemaNeededError
from nova_stream.events.change import Change, Entity, SourceRecord
from nova_stream.events.decode import Decoder
from nova_stream.events.framing import SchemaLookup
from nova_stream.events.placeholders import Placeholders
from nova_stream.settings import Settings
from nova_stream.storage.apply.admission import AppliedChunk
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.dead_letters.insert import FailedRecord, dead_letter
from nova_stream.stream.flusher import Flusher
from nova_stream.stream.intake import Batch, Intake
from nova_stream.stream.letter_limit import LetterLimit
from nova_stream.stream.metrics import Metrics
from nova_stream.stream.partial_tables import PartialTables
from nova_stream.stream.schema_wait import SchemaWait
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: Records decoded between two looks at the event loop, so that it answers within milliseconds.
_DECODE_STEP = 500


def decoders_of(settings: Settings, schemas: SchemaLookup | None) -> Mapping[Entity, Decoder]:
    """A decoder an entity; without ``schemas`` framed records are rejected."""
    placeholders = Placeholders(settings.unavailable_value)
    return {
        entity: Decoder(entity, placeholders, prefix=settings.flattened_prefix, schemas=schemas)
        for entity in Entity
    }


class _FlushTask(msgspec.Struct):
    batch: Batch
    future: asyncio.Future[AppliedChunk]


class Pumps:
    """Moves each partition's waiting records through decoding and flush, in order.

    A partition's pump is a task that lives while something waits. While one chunk is being
    flushed the next is decoded, if that is much; the flush is awaited before the next chunk is
    handed over, so that a partition has one chunk in the flusher at a time. A rebalance does not
    cancel a pump: what is being flushed is flushed, then the closed intake gives nothing more.
    """

    def __init__(
        self,
        flusher: Flusher,
        tables: PartialTables,
        metrics: Metrics,
        decoders: Mapping[Entity, Decoder],
        *,
        reread: Callable[[tuple[str, int]], Awaitable[None]],
        acknowledge: Callable[[tuple[str, int], int], None],
        chunk_records: int,
        limit: LetterLimit,
        schemas: SchemaWait | None = None,
    ) -> None:
        self._flusher = flusher
        self._tables = tables
        self._metrics = metrics
        self._reread = reread
        self._acknowledge = acknowledge
        self._chunk_records = chunk_records
        self._decoders = decoders
        self._limit = limit
        self._schemas = schemas
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = asyncio.Event()
        self._turn = asyncio.Lock()

    def on_announcement(self, intake: Intake) -> None:
        """What a Faust agent does in its iteration: write its table where that is due, and see
        to it that the partition's pump runs.
        """
        intake.announced = False
        now = time.monotonic()
        if not intake.closed and self._tables.due(intake.key, now):
            self._tables.write(intake.entity, intake.key, now)
        if (intake.waiting or intake.steps(now)) and not intake.pumping:
            intake.pumping = True
            task = asyncio.create_task(self._run(intake), name=f"pump {intake.key}")
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a pump failed", pump=task.get_name(), exc_info=error)
            self._failed.set()

    async def failed(self) -> None:
        """Returns when a pump has failed, which only an error of ours can cause."""
        await self._failed.wait()

    async def _run(self, intake: Intake) -> None:
        flushing: _FlushTask | None = None
        while True:
            if flushing is not None and intake.little:
                # Taken now, they would be a chunk of their own, and what comes until the flush
                # ends would wait for another flush.
                await self._finish(intake, flushing)
                flushing = None
            batch = intake.take(self._chunk_records)
            if batch is None:
                batch = intake.take_step(time.monotonic())
            if batch is None:
                break
            try:
                chunk = await self._decode(intake, batch)
                if flushing is not None:
                    await self._finish(intake, flushing)
                    flushing = None
                await self._limit.admit(
                    intake.key,
                    len(batch.records),
                    len(chunk.dead) + len(chunk.dead_tombstones),
                    lambda: not intake.closed,
                )
            except RevokedError:  # the intake is closed: it gives nothing more
                intake.give_back(batch.size)
                continue
            except BaseException:
                intake.give_back(batch.size)
                raise
            future = self._flusher.submit(chunk, lambda: not intake.closed)
            future.add_done_callback(_giving_back(intake, batch.size))
            flushing = _FlushTask(batch, future)
            if batch.records:
                self._metrics.chunk.observe(len(batch.records))
        # Nothing is awaited between the last take and this, so that no arrival goes unnoticed.
        intake.pumping = False

    async def _finish(self, intake: Intake, flushing: _FlushTask) -> None:
        try:
            applied = await flushing.future
        except RereadError as error:
            if not intake.closed:
                _log.warning(
                    "reading a partition again",
                    topic=intake.topic,
                    partition=intake.partition,
                    reason=str(error),
                )
                await self._reread(intake.key)
            return
        except RevokedError:
            return
        if intake.closed:
            return
        self._tables.stage(intake.key, applied)
        self._acknowledge(intake.key, applied.next_offset)

    async def _decode(self, intake: Intake, batch: Batch) -> Chunk:
        """Raises RevokedError when the partition is taken away while a schema is waited for."""
        changes: list[Change] = []
        dead: list[FailedRecord] = []
        nothing: list[SourceRecord] = []
        all_plain = True
        decoder, partition = self._decoders[intake.entity], intake.partition
        # Of long batches one step of one partition at a time: a flush that has its answer need not
        # wait for a step of each. Short ones are decoded together, so that they join one flush.
        long = len(batch.records) > _DECODE_STEP
        turn = self._turn if long else contextlib.nullcontext()
        for begin in range(0, len(batch.records), _DECODE_STEP):
            if begin:
                await asyncio.sleep(0)
            records = batch.records[begin : begin + _DECODE_STEP]
            async with turn:
                found = decoder.decode_plain(records, partition)
            if all(found):
                changes += cast("list[Change]", found)
                continue
            all_plain = False
            for place, plain in enumerate(found):
                if plain is not None:
                    changes.append(plain)
                    continue
                record = records[place]
                settled = await self._decode_one(intake, decoder.decode_odd, record)
                if isinstance(settled, FailedRecord):
                    dead.append(settled)
                elif settled is not None:
                    changes.append(settled)
                elif record.key:
                    nothing.append(record)
        tombstones, dead_tombstones = await self._read_tombstones(intake, nothing)
        batch.records.forget()
        return Chunk(
            topic=intake.topic,
            entity=intake.entity,
            partition=partition,
            generation=intake.generation,
            start=batch.start,
            end=batch.end,
            records=batch.records,
            changes=changes,
            dead=dead,
            tombstones=tombstones,
            dead_tombstones=dead_tombstones,
            size=batch.size,
            plain=all_plain,
        )

    async def _decode_one(
        self,
        intake: Intake,
        decode: Callable[[SourceRecord, int], Change | None],
        record: SourceRecord,
    ) -> Change | FailedRecord | None:
        """What comes of a record: its change, or its dead letter; the schemas that it needs are
        waited for.
        """
        while True:
            try:
                return decode(record, intake.partition)
            except RejectedError as error:
                return _reject(intake, record, error)
            except SchemaNeededError as error:
                assert self._schemas is not None  # only then does a decoder ask
                if not await self._schemas.bring(error.reference, lambda: not intake.closed):
                    raise RevokedError from None

    async def _read_tombstones(
        self, intake: Intake, records: list[SourceRecord]
    ) -> tuple[list[Change], list[FailedRecord]]:
        """What tombstones mean if the topic turns out to have flattened records."""
        found: list[Change] = []
        dead: list[FailedRecord] = []
        read = self._decoders[intake.entity].read_tombstone
        for record in records:
            settled = await self._decode_one(intake, read, record)
            if isinstance(settled, FailedRecord):
                dead.append(settled)
            elif settled is not None:
                found.append(settled)
        return found, dead


def _giving_back(intake: Intake, size: int) -> Callable[[asyncio.Future[AppliedChunk]], None]:
    return lambda _: intake.give_back(size)


def _reject(intake: Intake, record: SourceRecord, error: RejectedError) -> FailedRecord:
    return dead_letter(
        intake.topic, intake.partition, intake.generation, record, error.reason, str(error)
    )
