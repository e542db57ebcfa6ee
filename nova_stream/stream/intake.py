"""What has been fetched and waits for its agent: one growing chunk a partition."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from nova_stream.events.change import Entity, SourceRecord

#: What a record costs in memory besides its bytes, measured on CPython 3.11 to 3.13.
RECORD_OVERHEAD = 700

#: At most this many bytes in one chunk, whatever the number of records.
CHUNK_BYTES = 4 * 1024 * 1024


class Budget:
    """Bytes that wait in memory, over all partitions of a worker."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    @property
    def full(self) -> bool:
        """Whether no more should be fetched for now."""
        return self.used >= self.limit


class Batch(NamedTuple):
    """Raw records of one partition from ``start`` to before ``end``; ``size`` is in bytes."""

    start: int
    end: int
    records: Sequence[SourceRecord]
    size: int


def size_of(record: SourceRecord) -> int:
    """The memory that a fetched record takes, in bytes."""
    return RECORD_OVERHEAD + len(record.value or b"") + len(record.key or b"")


class Intake:
    """The growing chunk of one assigned partition.

    The consumer appends what it fetches; the agent's pump takes when it is ready, so that much
    waits as one chunk instead of many. Not thread-safe: both live in one event loop.
    """

    def __init__(
        self, topic: str, entity: Entity, partition: int, *, start: int, generation: int,
        budget: Budget,
    ) -> None:  # fmt: skip
        self.topic = topic
        self.entity = entity
        self.partition = partition
        self.generation = generation
        #: The next offset that is to be appended.
        self.next_offset = start
        #: Whether a message is on its way to the agent.
        self.announced = False
        #: Whether the partition's pump runs; it takes what comes without being told.
        self.pumping = False
        self.closed = False
        self._start = start
        self._records: deque[SourceRecord] = deque()
        self._budget = budget

    @property
    def key(self) -> tuple[str, int]:
        """Topic and partition."""
        return (self.topic, self.partition)

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return len(self._records)

    def append(self, records: Sequence[SourceRecord]) -> None:
        """Add fetched records, which follow ``next_offset``; ignored once closed."""
        if self.closed:
            return
        self._records.extend(records)
        self._budget.used += sum(map(size_of, records))
        self.next_offset = records[-1].offset + 1

    def take(self, limit: int) -> Batch | None:
        """Up to ``limit`` records from the front, None when nothing waits.

        The taker gives the batch's size back to the budget when it is done with it.
        """
        if not self._records:
            return None
        size = count = 0
        for record in islice(self._records, limit):
            size += size_of(record)
            count += 1
            if size >= CHUNK_BYTES:
                break
        taken = [self._records.popleft() for _ in range(count)]
        start, self._start = self._start, taken[-1].offset + 1
        return Batch(start, self._start, taken, size)

    def give_back(self, size: int) -> None:
        """Tell the budget that ``size`` bytes that were taken are free again."""
        self._budget.used -= size

    def close(self) -> None:
        """Drop what waits; it will be read again from the position in Postgres."""
        self.closed = True
        self._budget.used -= sum(map(size_of, self._records))
        self._records.clear()
