"""aiokafka inside Faust, with its fetching brought to what is wanted.

- it lives in the worker's own loop, not in a thread with a loop of its own: two threads that both
  have much to do in Python wait for each other, and for a core to take the next turn on.
- partitions that nobody reads now are paused in aiokafka too, and one fetch is bounded.
- a fetch tells from where to where it read, also where aiokafka stepped over what is no record.
- a batch that is large when decompressed is read in bounded memory (``kafka/large_batches.py``).
- records stay as aiokafka's C code reads them, instead of a dataclass each, and where a batch can
  have its values read alone, it stays as it is until somebody decodes it.
- changes of a transaction that was aborted are not read: they never happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Producer
from faust.types import TP

from nova_stream.kafka.faults import refusal
from nova_stream.kafka.large_batches import BoundedRecords, bound_batches
from nova_stream.kafka.opening import adopt
from nova_stream.kafka.unread_batches import Look, UnreadBatch

_FETCH_WAIT_MS = 100
#: Seconds that one fetch may wait: what is no record ends no wait.
_LONGEST_FETCH_S = 0.2
#: What one look at fetched records takes: more would stop the event loop for too long, and
#: overrun the budget of memory.
_DRAIN_BYTES = 4 * 1024 * 1024
_LEAST_DRAIN, _MOST_DRAIN = 16, 4000
_LEFT_BEHIND_PAUSE_S = 0.02


class FetchedRecords(dict[TP, Any]):
    """Records by partition, and from where to where each partition was fetched for them.

    Between the two places the partition has these records and no others.
    """

    def __init__(self, records: Mapping[TP, Any], read: Mapping[TP, tuple[int, int]]) -> None:
        super().__init__(records)
        self.read = read

    async def read_batches(self) -> None:
        """Read what is unread."""
        for tp, found in self.items():
            if isinstance(found, Look):
                self[tp] = await found.read()


class FetchService(AIOKafkaConsumerThread):  # type: ignore[misc]
    """What Faust calls the consumer's thread, of a consumer with ``plain_topics``."""

    #: Faust's services tell of every start and stop; theirs is the level of Faust's lines.
    logger = logging.getLogger("faust.transport.chunks")

    #: Memory of an average record of the last fetch, in bytes.
    average_record = 1000

    _fetching = False
    #: aiokafka's assignment as it was last seen, and the same in Faust's words.
    _assigned: tuple[object, frozenset[TP]] = (None, frozenset())

    _serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start in the caller's loop, which must be the one that this was made with."""
        self._thread_started.set()
        self._thread_running = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(self._serve_here(), name="aiokafka")
        await self._thread_running

    async def _serve_here(self) -> None:
        # What fails has been told already, and whoever stops this must not wait for it.
        # aiokafka raises CancelledError in its stop, of a fetch that it cancels without a broker.
        with contextlib.suppress(Exception, asyncio.CancelledError):
            await self._serve()
        self.set_shutdown()

    async def _default_start(self) -> None:
        """As mode's; what fails is raised by ``start``. mode would print and log it besides, with
        tracebacks, also where Kafka has just gone away.
        """
        try:
            await super()._default_start()
        except Exception as error:
            if not self._thread_running.done():
                self._thread_running.set_exception(error)
            # The one end that mode says nothing of.
            raise asyncio.CancelledError from error

    async def on_thread_stop(self) -> None:
        """Stop aiokafka, and close its connections however that went."""
        try:
            await super().on_thread_stop()
        finally:
            if self._consumer is not None:
                await self._consumer._client.close()

    async def call_thread(
        self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        """As Faust's; once this stops nobody would answer, and it raises ConsumerStoppedError."""
        if self.should_stop:
            raise ConsumerStoppedError
        return await super().call_thread(fun, *args, **kwargs)

    async def commit(self, offsets: Mapping[TP, int]) -> bool:
        """Tell the group where reading is; once this stops, as after a crash, it is not told."""
        return not self.should_stop and bool(await super().commit(offsets))

    async def _gather_remaining_tasks(self) -> None:
        """Nothing: of a thread, all tasks would be its own."""

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
        bound_batches(_DRAIN_BYTES)
        if plain := self.consumer.plain_topics:
            # aiokafka offers no place to say so for one consumer: it counts for all of this
            # process, which is a worker.
            fetcher.PartitionRecords = plain_partition_records(plain)
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        # Faust asks the broker to wait 1.5 s for data of some partitions, which keeps what came
        # for the others meanwhile.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        adopt(consumer)
        return consumer

    def ended_part(self) -> str | None:
        """What of aiokafka has ended although this goes on: without it nothing would be read."""
        if self._consumer is None or self.should_stop:
            return None
        coordinator = self._consumer._coordinator
        endless = {
            "metadata": self._consumer._client._sync_task,
            "group": getattr(coordinator, "_coordination_task", None),
            "fetching": getattr(self._consumer._fetcher, "_fetch_task", None),
        }
        # These two end when a membership or an assignment does, and are made again with the next.
        passing = {
            "heartbeat": getattr(coordinator, "_heartbeat_task", None),
            "commits": getattr(coordinator, "_commit_refresh_task", None),
        }
        ended = [name for name, task in endless.items() if task and task.done()]
        ended += [name for name, task in passing.items() if task and _failed(task)]
        return ended[0] if ended else None

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

    def counted_as_poll(self) -> AbstractContextManager[None]:
        """What counts as polling for Kafka although nothing is fetched in it."""
        subscription = self._ensure_consumer()._subscription
        context: AbstractContextManager[None] = subscription.fetch_context()
        return context

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,
    ) -> FetchedRecords:
        """Fetch of the active partitions only, and not more at a time than a chunk or two.

        Faust pauses partitions in its own books alone: aiokafka would fetch the tables' changelogs
        too, wait for somebody to take them, and hold back all partitions of that broker.
        """
        if self._fetching:
            # One that Faust has left behind when it began anew: it may take records that nobody
            # gets. Beside it no place that we see would be ours.
            await asyncio.sleep(_LEFT_BEHIND_PAUSE_S)
            return FetchedRecords({}, {})
        self._fetching = True
        try:
            return await self._fetch_alone(consumer, active_partitions, timeout)
        finally:
            self._fetching = False

    async def _fetch_alone(
        self, consumer: Any, active_partitions: set[TP], timeout: float | None
    ) -> FetchedRecords:
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
        return FetchedRecords(records, {tp: (before[tp], place) for tp, place in after.items()})


def _failed(task: asyncio.Task[Any]) -> bool:
    """Whether it has ended by an error, other than a right that may be granted yet."""
    if not task.done() or task.cancelled():
        return False
    error = task.exception()
    return error is not None and refusal(error) is None


class ChangelogProducer(Producer):  # type: ignore[misc]
    """Faust's producer with our client, which goes on learning where the brokers are."""

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        made = super()._new_producer(transactional_id)
        adopt(made)
        return made


def _places(consumer: Any, tps: Iterable[TP]) -> dict[TP, int]:
    """Where aiokafka reads on in those partitions of which it knows that."""
    subscription = consumer._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None:
        return {}
    states = {tp: assignment.state_value(tp) for tp in tps if tp in assignment.tps}
    return {tp: state.position for tp, state in states.items() if state.has_valid_position}


def plain_partition_records(topics: Collection[str]) -> type:
    """aiokafka's records of a partition; those of ``topics`` as its C code reads them, in batches
    that stay unread where that can be.

    aiokafka makes a frozen dataclass of each, which costs as much as decoding it.
    """

    class PlainRecords(fetcher.PartitionRecords):  # type: ignore[misc]
        def __init__(self, tp: Any, records: BoundedRecords, *rest: Any) -> None:
            super().__init__(tp, records, *rest)
            records.unread = tp.topic in topics

        def _consumer_record(self, tp: Any, record: Any) -> Any:
            if tp.topic not in topics:
                return super()._consumer_record(tp, record)
            if type(record) is UnreadBatch:
                record.start = self.next_fetch_offset
            return record

    return PlainRecords
