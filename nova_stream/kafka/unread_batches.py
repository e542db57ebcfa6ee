"""Batches whose records are read by whoever decodes them, some at a time."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import Any

from nova_stream.events.records import Records
from nova_stream.kafka.value_batch import ValueBatch

#: Records that are read between two looks at the event loop.
STEP = 500
#: A batch of more records does not wait unread: it is taken as a whole, and a look should not have
#: many times what it asks for.
UNREAD_RECORDS = 4000


class UnreadBatch:
    """What stands for a whole batch until somebody reads it: aiokafka takes it for a record, its
    last one.
    """

    def __init__(
        self, offset: int, batch: ValueBatch, read: Callable[[ValueBatch], Awaitable[Records]]
    ) -> None:
        self.offset = offset
        self.count = batch.count
        #: Records before it are not asked for: reading may begin in the midst of a batch.
        self.start = 0
        self._batch = batch
        self._read = read

    async def read(self) -> Records:
        """Its records from ``start`` on."""
        records = await self._read(self._batch)
        if not records or records.offsets[0] >= self.start:
            return records
        return records[bisect_left(records.offsets, self.start) :]


class Look:
    """Records that one look at a partition has found, some of them in unread batches.

    Its length is what aiokafka takes from the number that the look may have.
    """

    def __init__(self, found: list[Any], count: int) -> None:
        self._found = found
        self._count = count

    def __len__(self) -> int:
        return self._count

    async def read(self) -> Records:
        """All the records; others have their turns in between."""
        if len(self._found) == 1 and type(self._found[0]) is UnreadBatch:
            return await self._found[0].read()
        records = Records()
        pause_at = STEP
        for unread, some in groupby(self._found, type):
            if unread is not UnreadBatch:
                records.extend(Records.of(list(some)))
                continue
            for one in some:
                records.extend(await one.read())
                if len(records) >= pause_at:
                    await asyncio.sleep(0)
                    pause_at = len(records) + STEP
        return records
