"""Faust's Kafka transport, made to hand agents growing chunks instead of single messages.

It stands on ``fetching.py`` (aiokafka's side) and ``seeking.py`` (where reading begins). These
three lean on the inside of faust-streaming 0.15.3, mode-streaming 0.7.1 and aiokafka 0.14, and
nothing else in ``stream`` does (``tests/integration/stream/test_transport.py`` fails clearly when a
release changes it). Each says what it changes, and why. Here:

- ``getmany``: records go into their partition's ``Intake``; the agent gets a message only when
  nothing of that intake is announced yet. Fetching pauses while too many bytes wait.
- what aiokafka steps over because it is no record (markers of transactions, what was aborted or
  compacted away) moves the position, too, so that it stands at the log's end when all is applied.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import Transport
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from nova_stream.events.records import offsets_of
from nova_stream.stream.fetching import ChangelogProducer, FetchedRecords, FetchService
from nova_stream.stream.intake import Intake, SingleValue
from nova_stream.stream.refusals import Refusals
from nova_stream.stream.seeking import SeekingConsumer, Source
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_FULL_PAUSE_S = 0.02
#: A fetch costs the same however little it brings: while this much waits, those that bring less
#: than so many records are made less often.
_MUCH_BYTES, _FEW_RECORDS, _FEW_PAUSE_S = 1_500_000, 1000, 0.01
_STOPPED_PAUSE_S = 0.2


class ChunkConsumer(SeekingConsumer):
    """Faust's consumer, reading from Postgres' positions into intakes."""

    logger = FetchService.logger

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetched = FetchedRecords({}, {})
        #: How many records the last fetch brought.
        self._brought = 0
        #: The intakes when the last fetch began, and what each had to get next.
        self._expected: dict[TP, tuple[Intake, int]] = {}
        self.refusals = Refusals()
        #: Topics of which aiokafka knew too few partitions at the last look.
        self._unknown: list[str] = []

    @property
    def plain_topics(self) -> frozenset[str]:
        """The topics whose records stay as aiokafka's C code reads them."""
        return frozenset(self.source.entities if self.source.chunks else ())

    def _new_consumer_thread(self) -> FetchService:
        return FetchService(self, loop=self.loop, thread_loop=self.loop, beacon=self.beacon)

    # -- fetching ------------------------------------------------------------------------------

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Fetch into the intakes; yields a message for each intake that is not announced."""
        read = self._read_chunks if self.source.chunks else self._read_singly
        async for tp, message in read(timeout):
            yield tp, message
        await self._step_over()
        now = time.monotonic()
        for tp, intake in list(self.intakes.items()):
            if not self.flow_active:
                break
            if not intake.announced and self._has_news(intake, now):
                intake.announced = True
                yield tp, self._announcement(tp, intake)

    def _has_news(self, intake: Intake, now: float) -> bool:
        """Whether the agent of a partition should be told that something is there for it."""
        if not self.source.chunks:
            return intake.steps(now)
        return (
            (intake.waiting or intake.steps(now)) and not intake.pumping
        ) or self.source.wake_wanted(intake.key, now)

    async def _read_chunks(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        records = await self._fetch(timeout)
        for tp, fetched in records.items():
            if tp.topic not in self.source.entities:
                for record in fetched:
                    yield tp, self._to_message(tp, record)
            elif (intake := self.intakes.get(tp)) is not None and (
                fresh := await self._continuing(tp, intake, fetched)
            ):
                self._thread.average_record = intake.append(fresh) // len(fresh) or 1

    async def _read_singly(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        await self.seek_due()
        held = dict(self.intakes)
        async for tp, message in super().getmany(timeout):
            if tp.topic not in self.source.entities:
                yield tp, message
            elif (intake := self.intakes.get(tp)) is not held.get(tp):
                await self.seek_again(tuple(tp))
            elif intake is not None and await self._continuing(tp, intake, [message]):
                intake.next_offset = message.offset + 1
                message.value = SingleValue(intake, message.value)
                yield tp, message

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        self._fetched = FetchedRecords({}, {})
        self._expected = {tp: (found, found.next_offset) for tp, found in self.intakes.items()}
        fetched = await super()._getmany(active_partitions, timeout)
        await fetched.read_batches()
        self._fetched = fetched
        self._brought = sum(map(len, fetched.values()))
        return fetched

    async def _fetch(self, timeout: float) -> dict[TP, list[Any]]:
        if self.source.budget.used > _MUCH_BYTES and self._brought < _FEW_RECORDS:
            await self.sleep(_FEW_PAUSE_S)
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait(), timeout=timeout)
            if not self.flow_active:
                return {}
        await self.seek_due()
        active = self._readable()
        if not active:
            # Kafka expels a member that does not poll, also one that only waits.
            with self._thread.counted_as_poll():
                await self.sleep(_FULL_PAUSE_S if self.source.budget.full else _STOPPED_PAUSE_S)
            return {}
        held = dict(self.intakes)
        try:
            records = dict(await self._getmany(active, timeout=timeout))
        except KafkaError as error:
            if not self.refusals.note(error, time.monotonic()):
                _log.warning("fetching failed", error=repr(error))
            await self.sleep(_STOPPED_PAUSE_S)
            return {}
        for tp in [tp for tp in records if self.intakes.get(tp) is not held.get(tp)]:
            # The partition was sought meanwhile: perhaps this was read at the place before.
            del records[tp]
            await self.seek_again(tuple(tp))
        return records

    def _readable(self) -> set[TP]:
        """What may be fetched now: sources with a place while there is room, and changelogs."""
        source = self.source
        return {
            tp
            for tp in self._get_active_partitions() | self._buffered_partitions
            if tp.topic not in source.entities or (tp in self.intakes and not source.budget.full)
        }

    def _read_from_expected(self, tp: TP, intake: Intake) -> bool:
        """Whether the last fetch read a partition from where its intake had to go on."""
        read = self._fetched.read.get(tp)
        return read is not None and self._expected.get(tp) == (intake, read[0])

    async def _continuing(self, tp: TP, intake: Intake, fetched: Sequence[Any]) -> Sequence[Any]:
        """The fetched records if they follow what was read before, else none, and a new seek."""
        first, expected = offsets_of(fetched)[0], intake.next_offset
        if first == expected:
            return fetched
        if first > expected:
            if self._read_from_expected(tp, intake):
                self.note_step(tp, expected)
                return fetched
        else:
            # aiokafka went back to the log's start by itself: our position was out of range.
            _log.error(
                "a log ends below what was read of it",
                topic=tp.topic,
                partition=tp.partition,
                read_to=expected,
                now_at=first,
            )
        await self.seek_again(intake.key)
        return []

    async def _step_over(self) -> None:
        """Move intakes over what the last fetch read and is no record."""
        for tp, (start, end) in self._fetched.read.items():
            intake = self.intakes.get(tp)
            if intake is None or self._expected.get(tp, (None, 0))[0] is not intake:
                continue
            records = self._fetched.get(tp)
            if not self._read_from_expected(tp, intake):
                if not records:
                    # Somebody has got records, or markers, and we have not.
                    await self.seek_again(intake.key)
                continue
            got_all = intake.next_offset == (offsets_of(records)[-1] + 1 if records else start)
            if got_all and intake.reach(end) and not records:
                self.note_step(tp, start)
        self._fetched = FetchedRecords({}, {})
        self.explain_steps()

    def _announcement(self, tp: TP, intake: Intake) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            intake.next_offset,
            time.time(),
            0,
            (),
            None,
            intake,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    # -- what keeps it from reading ------------------------------------------------------------

    async def watch_rights(self) -> None:
        """Tell what keeps this worker out of its group. aiokafka tries to join again only once
        somebody has taken its error, and Faust takes none as long as it has no partitions.
        """
        now = time.monotonic()
        if (error := await self._thread.group_error()) and not self.refusals.note(error, now):
            _log.warning("the group cannot be joined", error=repr(error))
        self.refusals.settle(now)

    def ended_part(self) -> str | None:
        """What of aiokafka has ended that nobody starts again."""
        found: str | None = self._thread.ended_part()
        return found

    async def follow_topics(self, partitions: Mapping[str, int]) -> None:
        """See to it that partitions are assigned of all these topics.

        Where Kafka goes away while a worker starts, aiokafka's question for them fails and is not
        asked again for minutes. Faust leaves out what aiokafka does not know when it assigns, so
        that nobody reads it. What aiokafka learns later makes the group assign anew.
        """
        before, self._unknown = self._unknown, await self._thread.learn(partitions)
        if self._unknown and self._unknown != before:
            _log.warning(
                "topics were not known when partitions were assigned",
                topics=self._unknown,
                then="Kafka is asked again, and the partitions are assigned anew",
            )


def chunk_transport(app: faust.App, source: Source) -> Transport:
    """The transport to install with ``app.transport = …``."""
    consumer = type("SourcedChunkConsumer", (ChunkConsumer,), {"source": source})
    transport = Transport(app.conf.broker_consumer, app)
    transport.Consumer = consumer
    transport.Producer = ChangelogProducer
    return transport


def crashed(app: faust.App) -> asyncio.Event:
    """Set once Faust has given up; ``app.crash_reason`` says why."""
    event: asyncio.Event = app._crashed
    return event
