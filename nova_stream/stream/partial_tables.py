"""The Faust tables of partials, kept equal to what the flush left in Postgres."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from nova_stream.events.change import Entity
from nova_stream.kafka.model import Key
from nova_stream.storage.apply.admission import AppliedChunk, Partial
from nova_stream.storage.apply.figures_sql import BUILD_FIGURES, NAME_FIGURES

#: Seconds between two writes of a partition's partials while records keep coming: a table write
#: costs about 100 us in Faust, a flush may touch hundreds, and nothing waits for them.
WRITE_EVERY = 5.0
#: Rows that a partition writes at a time, so that the event loop answers within milliseconds, and
#: the seconds that all partitions together leave a row: however many names there are, the tables
#: take a twentieth of a core.
ROWS_AT_ONCE = 100
SECONDS_A_ROW = 0.002


class _StagedRows:
    def __init__(self) -> None:
        self.values: dict[str, Partial] = {}
        self.complete = False
        self.next_at = float("-inf")

    @property
    def next_rows(self) -> int:
        """How many rows its next write has."""
        return min(ROWS_AT_ONCE, len(self.values))


class PartialTables:
    """Stages what flushes returned until the partition's agent writes it to its table.

    A table can be changed only in its stream's iteration, by the agent of the partition.
    ``expected`` is what a flush compares with the position's row: it is set only for partitions
    whose staged or written partials are whole.
    """

    def __init__(self, tables: Mapping[Entity, Any]) -> None:
        self._tables = tables
        self._staged: dict[Key, _StagedRows] = {}
        self.expected: dict[Key, tuple[int, int]] = {}

    def forget(self) -> None:
        """After a rebalance nothing is known; the next flush of a partition brings all."""
        self._staged.clear()
        self.expected.clear()

    def stage(self, key: Key, applied: AppliedChunk) -> None:
        """Keep a flush's partials for the next write."""
        self.expected[key] = (applied.next_offset, applied.epoch)
        staged = self._staged.setdefault(key, _StagedRows())
        if applied.complete:
            staged.values = dict(applied.partials)
            staged.complete = True
        else:
            staged.values.update(applied.partials)

    def due(self, key: Key, now: float) -> bool:
        """Whether the partition has something to write, and it is its turn."""
        staged = self._staged.get(key)
        return (
            staged is not None
            and (bool(staged.values) or staged.complete)
            and now >= staged.next_at
        )

    def write(self, entity: Entity, key: Key, now: float) -> None:
        """Write some of what is staged, what is gone first; to be called in the iteration of the
        partition's stream. What is left is due again when the others have had their turns.
        """
        everybody = sum(staged.next_rows for staged in self._staged.values()) * SECONDS_A_ROW
        staged = self._staged[key]
        table = self._tables.get(entity)
        partition = key[1]
        if table is not None:
            figures = BUILD_FIGURES if entity is Entity.BUILDS else NAME_FIGURES
            if staged.complete:
                gone = [
                    name
                    for owner, name in list(table.keys())
                    if owner == partition and name not in staged.values
                ]
                for name in gone:
                    del table[(partition, name)]
            for name in list(islice(staged.values, ROWS_AT_ONCE)):
                row = staged.values.pop(name)
                table[(partition, name)] = {figure: row[figure] for figure in figures}
        else:
            staged.values = {}
        staged.complete = False
        staged.next_at = now + max(everybody, 0.0 if staged.values else WRITE_EVERY)
