"""What has been fetched and waits for its agent: one growing chunk a partition."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from nova_stream.events.change import Entity, SourceRecord
from nova_stream.events.records import Records

#: A chunk takes no further fetch once it has this many bytes.
CHUNK_BYTES = 4 * 1024 * 1024
_FEW_RECORDS, _FEW_BYTES = 32, 64 * 1024


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
    records: Records
    size: int


class _Block(NamedTuple):
    """What one fetch brought, or the rest of it."""

    records: Records
    size: int


#: Seconds between two batches without a record, which cost a transaction each.
STEP_EVERY = 0.1


class Intake:
    """The growing chunk of one assigned partition.

    The consumer appends what it fetches; the agent's pump takes when it is ready, so that much
    waits as one chunk instead of many. Not thread-safe: both live in one event loop.
    """

    def __init__(
        self,
        topic: str,
        entity: Entity,
        partition: int,
        *,
        start: int,
        generation: int,
        budget: Budget,
    ) -> None:
        self.topic = topic
        self.entity = entity
        self.partition = partition
        #: Topic and partition; every fetch asks for it, of every partition.
        self.key = (topic, partition)
        self.generation = generation
        #: The next offset that is to be appended.
        self.next_offset = start
        #: Whether a message is on its way to the agent.
        self.announced = False
        #: Whether the partition's pump runs; it takes what comes without being told.
        self.pumping = False
        self.closed = False
        # What was taken ends at the first, what may be taken at the second: records, and then
        # offsets that hold none.
        self._start = self._end = start
        self._step_at = float("-inf")
        self._after: dict[int, int] = {}
        self._blocks: deque[_Block] = deque()
        self._budget = budget

    @property
    def waiting(self) -> bool:
        """Whether records wait."""
        return bool(self._blocks)

    @property
    def little(self) -> bool:
        """Whether what waits, if anything, is decoded in less time than a flush takes."""
        return (
            sum(len(block.records) for block in self._blocks) < _FEW_RECORDS
            and sum(block.size for block in self._blocks) < _FEW_BYTES
        )

    def steps(self, now: float) -> bool:
        """Whether a batch without a record should be taken: offsets that hold none stand alone."""
        return self._end > self._start and not self._blocks and now >= self._step_at

    def append(self, records: Sequence[SourceRecord]) -> int:
        """Add fetched records, which follow ``next_offset``; ignored once closed.

        Gives the memory that they take, in bytes.
        """
        fetched = Records.of(records)
        size = fetched.memory
        if self.closed:
            return size
        self._blocks.append(_Block(fetched, size))
        self._budget.used += size
        self._end = fetched.offsets[-1] + 1
        self.next_offset = max(self.next_offset, self._end)
        if self._end in self._after:
            self._end = self._after.pop(self._end)
        return size

    def reach(self, offset: int) -> bool:
        """Note that no record follows below ``offset``; gives whether that is new.

        Only for who knows that everything before ``next_offset`` has come here.
        """
        if self.closed or offset <= self.next_offset:
            return False
        if self._end == self.next_offset:
            self._end = offset
        else:
            # One message an event: the last ones are still on their way to the agent.
            self._after[self.next_offset] = offset
        self.next_offset = offset
        return True

    def take(self, limit: int) -> Batch | None:
        """Up to ``limit`` records from the front, None when nothing waits.

        The taker gives the batch's size back to the budget when it is done with it.
        """
        if not self._blocks:
            return None
        taken = Records()
        size = 0
        while self._blocks and len(taken) < limit and size < CHUNK_BYTES:
            block = self._blocks.popleft()
            if len(taken) + len(block.records) > limit:
                block = self._split(block, limit - len(taken))
            taken.extend(block.records)
            size += block.size
        end = taken.offsets[-1] + 1 if self._blocks else self._end
        start, self._start = self._start, end
        return Batch(start, end, taken, size)

    def take_step(self, now: float) -> Batch | None:
        """A batch of offsets that hold no record, where ``steps``."""
        if not self.steps(now):
            return None
        self._step_at = now + STEP_EVERY
        start, self._start = self._start, self._end
        return Batch(start, self._end, Records(), 0)

    def _split(self, block: _Block, count: int) -> _Block:
        """The first ``count`` records of a block; the rest waits on."""
        records = block.records[:count]
        first = _Block(records, records.memory)
        self._blocks.appendleft(_Block(block.records[count:], block.size - first.size))
        return first

    def give_back(self, size: int) -> None:
        """Tell the budget that ``size`` bytes that were taken are free again."""
        self._budget.used -= size

    def close(self) -> None:
        """Drop what waits; it will be read again from the position in Postgres."""
        self.closed = True
        self._budget.used -= sum(block.size for block in self._blocks)
        self._blocks.clear()
        # Else what is dropped would be left as offsets that hold no record, and be stepped over.
        self._end = self._start
        self._after.clear()


class SingleValue(NamedTuple):
    """The value of one record on its way into its intake, where chunks are turned off."""

    intake: Intake
    value: bytes | None
