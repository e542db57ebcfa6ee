"""Faust's Kafka transport, made to hand agents growing chunks instead of single messages.

The one file that leans on the inside of faust-streaming 0.15.3 and aiokafka 0.14
(``tests/integration/stream/test_transport.py`` fails clearly when a release changes it). What it
changes, and why:

- ``seek_to_committed``: the position in Postgres is where reading begins, never Kafka's committed
  offset; where Postgres does not answer, the partition waits and is sought later.
- ``getmany``: records go into their partition's ``Intake``; the agent gets a message only when
  nothing of that intake is announced yet. Fetching pauses while too many bytes wait.
- partitions that nobody reads now are paused in aiokafka too, and one fetch is bounded.
- a batch that is large when decompressed is read in bounded memory (``kafka/large_batches.py``).
- records stay as aiokafka's C code reads them, instead of a dataclass each.
- what aiokafka steps over because it is no record (markers of transactions, what was aborted or
  compacted away) moves the position, too, so that it stands at the log's end when all is applied.
- what is acknowledged to Kafka is what Postgres has, for others' lag tools.
- changes of a transaction that was aborted are not read: they never happened.
- ``subscribe``: Faust subscribes again 45 s after every rebalance, to the same topics, which would
  be a rebalance of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

import faust
from aiokafka.consumer import fetcher
from aiokafka.errors import KafkaError
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from nova_stream.events.change import Entity
from nova_stream.kafka.large_batches import bound_batches
from nova_stream.storage.apply.positions import Position
from nova_stream.stream.intake import Budget, Intake, SingleValue
from nova_stream.stream.refusals import Refusals
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

#: Faust's services tell of every start and stop; theirs is the level of Faust's lines.
_faust_log = logging.getLogger("faust.transport.chunks")


_SEEK_AGAIN_S = 0.5
_FETCH_WAIT_MS = 100
#: Seconds that one fetch may wait: what is no record ends no wait.
_LONGEST_FETCH_S = 0.2
#: Seconds between two looks whether what was stepped over had been deleted.
_EXPLAIN_EVERY_S = 0.5
#: What one look at fetched records takes: more would stop the event loop for too long, and
#: overrun the budget of memory.
_DRAIN_BYTES = 4 * 1024 * 1024
_LEAST_DRAIN, _MOST_DRAIN = 16, 4000
_FULL_PAUSE_S = 0.02
_SEEK_LIMIT_S = 10.0
_STOPPED_PAUSE_S = 0.2


class Source(NamedTuple):
    """What the consumer needs of the rest of the worker."""

    entities: Mapping[str, Entity]
    budget: Budget
    #: Positions of partitions, made where they are new. Raises what the database raises.
    read_positions: Callable[
        [Iterable[tuple[str, int]]], Awaitable[dict[tuple[str, int], Position]]
    ]
    #: Begin a topic anew whose log ends below its positions of a generation.
    restart_topic: Callable[[str, int], Awaitable[None]]
    #: Whether a partition's agent should be woken although nothing new came.
    wake_wanted: Callable[[tuple[str, int], float], bool]
    #: Called at every rebalance, when all that is known of partitions becomes void.
    forget: Callable[[], None]
    #: False: one message an event, Faust's ordinary way.
    chunks: bool


class _FetchedRecords(dict[TP, Any]):
    """Records by partition, and from where to where each partition was read for them.

    Between the two places the partition has these records and no others.
    """

    def __init__(self, records: Mapping[TP, Any], read: Mapping[TP, tuple[int, int]]) -> None:
        super().__init__(records)
        self.read = read


class _Thread(AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread in which aiokafka lives, with its fetching brought to what is wanted."""

    logger = _faust_log

    #: Memory of an average record of the last fetch, in bytes.
    average_record = 1000

    _fetching = False
    #: aiokafka's assignment as it was last seen, and the same in Faust's words.
    _assigned: tuple[object, frozenset[TP]] = (None, frozenset())

    def assignment(self) -> frozenset[TP]:
        """As Faust's own, which translates all partitions anew at each call, and calls it for each
        partition that it commits: that grows with the square of their number.
        """
        found = self._ensure_consumer().assignment()
        if found is not self._assigned[0]:
            # An assignment is one frozenset until the next one.
            tps = frozenset(ensure_TPset(found))
            if not isinstance(found, frozenset):
                return tps
            self._assigned = (found, tps)
        return self._assigned[1]

    def _create_worker_consumer(self, transport: Any) -> Any:
        source: Source = self.consumer.source
        bound_batches(_DRAIN_BYTES)
        if source.chunks:
            _keep_plain_records(frozenset(source.entities))
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        # Faust asks the broker to wait 1.5 s for data of some partitions, which keeps what came
        # for the others meanwhile.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        return consumer

    async def group_error(self) -> KafkaError | None:
        """Take what aiokafka could not join the group for."""
        if self._consumer is None:
            return None
        found: KafkaError | None = await self.call_thread(self._take_group_error)
        return found

    async def _take_group_error(self) -> KafkaError | None:
        try:
            self._ensure_consumer()._coordinator.check_errors()
        except KafkaError as error:
            return error
        return None

    async def learn(self, partitions: Mapping[str, int]) -> list[str]:
        """Ask Kafka again where aiokafka knows fewer partitions than these; gives those topics."""
        if self._consumer is None:
            return []
        found: list[str] = await self.call_thread(self._learn, partitions)
        return found

    async def _learn(self, partitions: Mapping[str, int]) -> list[str]:
        client = self._ensure_consumer()._client
        known = client.cluster.partitions_for_topic
        fewer = [topic for topic, count in partitions.items() if len(known(topic) or ()) < count]
        if fewer:
            client.force_metadata_update()
        return sorted(fewer)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> _FetchedRecords:
        """Fetch of the active partitions only, and not more at a time than a chunk or two.

        Faust pauses partitions in its own books alone: aiokafka would fetch the tables' changelogs
        too, wait for somebody to take them, and hold back all partitions of that broker.
        """
        if self._fetching:
            # One that Faust has left behind when it began anew: it may take records that nobody
            # gets. Beside it no place that we see would be ours.
            await asyncio.sleep(_FULL_PAUSE_S)
            return _FetchedRecords({}, {})
        self._fetching = True
        try:
            return await self._fetch_alone(consumer, active_partitions, timeout)
        finally:
            self._fetching = False

    async def _fetch_alone(
        self, consumer: Any, active_partitions: set[TP], timeout: float | None
    ) -> _FetchedRecords:
        paused = consumer.paused()
        if quiet := consumer.assignment() - active_partitions - paused:
            consumer.pause(*quiet)
        # Not `paused & active_partitions`, which may give Faust's tuples; aiokafka wants its own.
        if wanted := [tp for tp in paused if tp in active_partitions]:
            consumer.resume(*wanted)
        at_most = max(_LEAST_DRAIN, min(_MOST_DRAIN, _DRAIN_BYTES // self.average_record))
        before = _places(consumer, active_partitions)
        records = await super()._fetch_records(
            consumer,
            active_partitions,
            timeout=min(timeout or 0.0, _LONGEST_FETCH_S),
            max_records=at_most,
        )
        after = _places(consumer, before)
        return _FetchedRecords(records, {tp: (before[tp], place) for tp, place in after.items()})


class ChunkConsumer(Consumer):  # type: ignore[misc]
    """Faust's consumer, reading from Postgres' positions into intakes."""

    source: Source
    logger = _faust_log

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.intakes: dict[TP, Intake] = {}
        self._unsought: set[TP] = set()
        self._seek_at = 0.0
        self._subscribed: set[str] = set()
        self._acknowledged: dict[TP, int] = {}
        self._applied: dict[TP, int] = {}
        self._fetched = _FetchedRecords({}, {})
        #: The intakes when the last fetch began, and what each had to get next.
        self._expected: dict[TP, tuple[Intake, int]] = {}
        self._stepped: dict[TP, int] = {}
        self._explain_at = 0.0
        self._trouble = False
        self.refusals = Refusals()
        #: Topics of which aiokafka knew too few partitions at the last look.
        self._unknown: list[str] = []

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    # -- where reading begins ------------------------------------------------------------------

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe, unless it would change nothing."""
        wanted = set(topics)
        if wanted != self._subscribed:
            self._subscribed = wanted
            await super().subscribe(wanted)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Faust drops all its queues now, so every intake ends, also those that stay ours."""
        self._close_intakes()
        await super().on_partitions_revoked(revoked)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Begin anew with every assigned partition, at its position in Postgres."""
        self._close_intakes()
        self._unsought = {tp for tp in self.assignment() if tp.topic in self.source.entities}
        return await self._seek_unsought()

    async def seek_again(self, key: tuple[str, int]) -> None:
        """Read a partition again from its position in Postgres."""
        tp = TP(*key)
        intake = self.intakes.pop(tp, None)
        if intake is not None:
            intake.close()
            self._unsought.add(tp)

    async def follow_positions(self) -> None:
        """Read partitions again whose position in Postgres somebody has set back.

        Raises what looking up positions raises.
        """
        held, applied = dict(self.intakes), dict(self._applied)
        places = [tuple(tp) for tp in held if tp in applied]
        for key, position in (await self.source.read_positions(places)).items():
            tp = TP(*key)
            if position.next_offset < applied[tp] and self.intakes.get(tp) is held[tp]:
                _log.warning(
                    "reading a partition again",
                    topic=tp.topic,
                    partition=tp.partition,
                    reason=f"its position was set back to {position.next_offset}",
                )
                await self.seek_again(key)

    def _close_intakes(self) -> None:
        for intake in self.intakes.values():
            intake.close()
        self.intakes.clear()
        self._unsought.clear()
        self._acknowledged.clear()
        self._applied.clear()
        self._stepped.clear()
        self.source.forget()

    async def _seek_unsought(self) -> dict[TP, int]:
        """Seek what still has no place; what cannot be sought now is tried again later."""
        tps = self._unsought & self.assignment()
        if not tps:
            return {}
        self._seek_at = time.monotonic() + _SEEK_AGAIN_S
        try:
            async with asyncio.timeout(_SEEK_LIMIT_S):
                sought = await self._place(tps)
        except Exception as error:
            if not self._trouble:
                self._trouble = True
                _log.error(
                    "cannot look up positions",
                    error=str(error) or type(error).__name__,
                    then="reading waits, tried again until it works",
                )
            return {}
        if self._trouble:
            self._trouble = False
            _log.info("positions can be looked up again")
        return sought

    async def _place(self, tps: set[TP]) -> dict[TP, int]:
        source = self.source
        positions = await source.read_positions([tuple(tp) for tp in tps])
        begins = await self.earliest_offsets(*tps)
        ends = await self.highwaters(*tps)
        ahead = {
            tp.topic: positions[tp].generation for tp in tps if positions[tp].next_offset > ends[tp]
        }
        if ahead:
            for topic, generation in ahead.items():
                _log.error(
                    "a topic's log ends below its position in Postgres",
                    topic=topic,
                    then="its records are read again from the log's start; versions decide",
                )
                await source.restart_topic(topic, generation)
            positions = await source.read_positions([tuple(tp) for tp in tps])
        wanted = {tp: max(positions[tp].next_offset, begins[tp]) for tp in tps}
        await self._thread.seek_wait(wanted)
        if not tps <= self.assignment():
            return {}
        for tp in sorted(tps):
            position = positions[tp]
            self.intakes[tp] = intake = Intake(
                tp.topic,
                source.entities[tp.topic],
                tp.partition,
                start=position.next_offset,
                generation=position.generation,
                budget=source.budget,
            )
            if intake.reach(begins[tp]):
                _say_gone(tp, position.next_offset, begins[tp])
            self._read_offset[tp] = wanted[tp] or None
            self._applied[tp] = position.next_offset
        self._unsought -= tps
        return wanted

    # -- fetching ----------------------------------------------------------------------------------

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Fetch into the intakes; yields a message for each intake that is not announced."""
        if not self.source.chunks:
            async for tp, message in self._getmany_singly(timeout):
                yield tp, message
            return
        records = await self._fetch(timeout)
        for tp, fetched in records.items():
            if tp.topic not in self.source.entities:
                for record in fetched:
                    yield tp, self._to_message(tp, record)
            elif (intake := self.intakes.get(tp)) is not None and (
                fresh := await self._continuing(tp, intake, fetched)
            ):
                self._thread.average_record = intake.append(fresh) // len(fresh) or 1
        await self._step_over()
        now = time.monotonic()
        for tp, intake in list(self.intakes.items()):
            if not self.flow_active:
                break
            if not intake.announced and (
                ((intake.waiting or intake.steps(now)) and not intake.pumping)
                or self.source.wake_wanted(intake.key, now)
            ):
                intake.announced = True
                yield tp, self._announcement(tp, intake)

    async def _getmany_singly(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        if self._unsought and time.monotonic() >= self._seek_at:
            await self._seek_unsought()
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
        await self._step_over()
        now = time.monotonic()
        for tp, intake in list(self.intakes.items()):
            if self.flow_active and not intake.announced and intake.steps(now):
                intake.announced = True
                yield tp, self._announcement(tp, intake)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        self._fetched = _FetchedRecords({}, {})
        self._expected = {tp: (found, found.next_offset) for tp, found in self.intakes.items()}
        self._fetched = await super()._getmany(active_partitions, timeout)
        return self._fetched

    async def _fetch(self, timeout: float) -> dict[TP, list[Any]]:
        if not self.flow_active:
            await self.wait_first(self.can_resume_flow.wait(), timeout=timeout)
            if not self.flow_active:
                return {}
        if self._unsought and time.monotonic() >= self._seek_at:
            await self._seek_unsought()
        active = self._readable()
        if not active:
            # Kafka expels a member that does not poll, also one that only waits.
            with self._thread._ensure_consumer()._subscription.fetch_context():
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

    async def _continuing(self, tp: TP, intake: Intake, fetched: list[Any]) -> list[Any]:
        """The fetched records if they follow what was read before, else none, and a new seek."""
        first, expected = fetched[0].offset, intake.next_offset
        if first == expected:
            return fetched
        if first > expected:
            if self._read_from_expected(tp, intake):
                self._stepped.setdefault(tp, expected)
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
            got_all = intake.next_offset == (records[-1].offset + 1 if records else start)
            if got_all and intake.reach(end) and not records:
                self._stepped.setdefault(tp, start)
        self._fetched = _FetchedRecords({}, {})
        if self._stepped and (now := time.monotonic()) >= self._explain_at:
            self._explain_at = now + _EXPLAIN_EVERY_S
            stepped, self._stepped = self._stepped, {}
            # Nobody waits for it: Kafka may just be going away.
            self.add_future(self._explain(stepped))

    async def _explain(self, stepped: Mapping[TP, int]) -> None:
        """Tell what was stepped over because retention took it, and not for being no record."""
        try:
            begins = await self.earliest_offsets(*stepped)
        except KafkaError:
            self._stepped = {**stepped, **self._stepped}
            return
        for tp, begin in begins.items():
            if begin > stepped[tp]:
                _say_gone(tp, stepped[tp], begin)

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

    # -- what Kafka is told ------------------------------------------------------------------------

    def acknowledge(self, key: tuple[str, int], next_offset: int) -> None:
        """Postgres has everything below ``next_offset``; Kafka is told at the next interval."""
        tp = TP(*key)
        if tp in self.intakes:
            self._acknowledged[tp] = self._applied[tp] = next_offset

    def _filter_committable_offsets(self, tps: Iterable[TP]) -> dict[TP, int]:
        committable, self._acknowledged = self._acknowledged, {}
        return committable

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's own watch knows messages, not chunks; the worker's lag metric replaces it."""

    async def watch_rights(self) -> None:
        """Tell what keeps this worker out of its group. aiokafka tries to join again only once
        somebody has taken its error, and Faust takes none as long as it has no partitions.
        """
        now = time.monotonic()
        if (error := await self._thread.group_error()) and not self.refusals.note(error, now):
            _log.warning("the group cannot be joined", error=repr(error))
        self.refusals.settle(now)

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

    async def lag(self) -> dict[tuple[str, int], int]:
        """Offsets that can be read and are not applied, by partition; asks Kafka.

        The position steps over what is no record, so that 0 is reached behind a marker, too.
        """
        applied = dict(self._applied)
        if not applied:
            return {}
        begins = await self.earliest_offsets(*applied)
        ends = await self.highwaters(*applied)
        return {
            tuple(tp): max(0, ends[tp] - max(done, begins[tp]))
            for tp, done in applied.items()
            if tp in ends and tp in begins
        }


def _places(consumer: Any, tps: Iterable[TP]) -> dict[TP, int]:
    """Where aiokafka reads on in those partitions of which it knows that."""
    subscription = consumer._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None:
        return {}
    states = {tp: assignment.state_value(tp) for tp in tps if tp in assignment.tps}
    return {tp: state.position for tp, state in states.items() if state.has_valid_position}


def _keep_plain_records(topics: Collection[str]) -> None:
    """Take the records of ``topics`` as aiokafka's C code reads them.

    aiokafka makes a frozen dataclass of each, which costs as much as decoding it. It offers no
    place to say so for one consumer: it counts for all of this process, which is a worker.
    """

    class PlainRecords(fetcher.PartitionRecords):  # type: ignore[misc]
        def _consumer_record(self, tp: Any, record: Any) -> Any:
            return record if tp.topic in topics else super()._consumer_record(tp, record)

    fetcher.PartitionRecords = PlainRecords


def chunk_transport(app: faust.App, source: Source) -> Transport:
    """The transport to install with ``app.transport = …``."""
    consumer = type("SourcedChunkConsumer", (ChunkConsumer,), {"source": source})
    transport = Transport(app.conf.broker_consumer, app)
    transport.Consumer = consumer
    return transport


def crashed(app: faust.App) -> asyncio.Event:
    """Set once Faust has given up; ``app.crash_reason`` says why."""
    event: asyncio.Event = app._crashed
    return event


def _say_gone(tp: TP, position: int, begin: int) -> None:
    _log.error(
        "records are gone from the log before they were read",
        topic=tp.topic,
        partition=tp.partition,
        first=position,
        last=begin - 1,
        then="reading goes on at the log's start; publish their entities again (op r) if needed",
    )
