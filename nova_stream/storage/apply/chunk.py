"""A chunk: decoded records of one partition, on their way into one flush."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

import msgspec

from nova_stream.events.change import Change, Entity, SourceRecord
from nova_stream.events.records import offsets_of
from nova_stream.storage.dead_letters.insert import FailedRecord


class Chunk(msgspec.Struct):
    """Records of one partition from offset ``start`` to before ``end``, decoded.

    Between ``start`` and the first record there may be a gap that the log explains (retention,
    compaction, transaction markers). ``records`` are the raw records in
    offset order, for dead letters; ``size`` is their memory in bytes. ``plain``: the decoder's fast
    way took every record, so that none of the changes is a truncation or flattened.
    """

    topic: str
    entity: Entity
    partition: int
    generation: int
    start: int
    end: int
    records: Sequence[SourceRecord]
    changes: list[Change]
    dead: list[FailedRecord]
    size: int = 0
    #: What records without a value mean on a topic of flattened records, and those that mean
    #: nothing there; elsewhere both count nothing.
    tombstones: Sequence[Change] = ()
    dead_tombstones: Sequence[FailedRecord] = ()
    plain: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """Topic and partition."""
        return (self.topic, self.partition)

    @property
    def truncates(self) -> bool:
        """Whether a truncation is among the changes, which has no id."""
        return not self.plain and "" in [change.id for change in self.changes]

    def record_at(self, offset: int) -> SourceRecord:
        """The raw record with this offset, which must be in the chunk."""
        return self.records[bisect_left(offsets_of(self.records), offset)]

    @property
    def records_end(self) -> int | None:
        """The offset behind the last record; None where there is no record."""
        return offsets_of(self.records)[-1] + 1 if self.records else None

    def newest_change(self) -> datetime | None:
        """The time of the chunk's last change, as good as always its newest; None without any."""
        return self.changes[-1].changed_at if self.changes else None

    def split(self) -> tuple[Chunk, Chunk]:
        """Two chunks that together are this one; it must have two records or more."""
        middle = offsets_of(self.records)[len(self.records) // 2]
        return self._part(self.start, middle), self._part(middle, self.end)

    def _part(self, start: int, end: int) -> Chunk:
        offsets = offsets_of(self.records)
        return Chunk(
            topic=self.topic,
            entity=self.entity,
            partition=self.partition,
            generation=self.generation,
            start=start,
            end=end,
            records=self.records[bisect_left(offsets, start) : bisect_left(offsets, end)],
            changes=[c for c in self.changes if start <= c.offset < end],
            dead=[d for d in self.dead if start <= d.offset < end],
            tombstones=[c for c in self.tombstones if start <= c.offset < end],
            dead_tombstones=[d for d in self.dead_tombstones if start <= d.offset < end],
            plain=self.plain,
        )
