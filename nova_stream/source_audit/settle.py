"""Which of the mismatches of the first look are differences, and which were only on their way.

In a round nova-stream's row is read first and the source's after it. A row is a difference when it
has not changed between two rounds, the stream has in between applied all that the source had
committed by the end of the former, and the two rows are not equal in either: then it is what the
stream made of the source's row, and not an older one. Nothing else is called a difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from nova_stream.events.change import Entity
from nova_stream.source_audit import nova
from nova_stream.source_audit.barrier import Barrier
from nova_stream.source_audit.compare import Difference, difference, is_own
from nova_stream.source_audit.interface import SourceTable, SourceTables
from nova_stream.source_audit.nova import NovaRow
from nova_stream.source_audit.spool import Spool, batches
from nova_stream.storage.database import Connection

_BATCH = 500
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0


class Candidate(msgspec.Struct, array_like=True):
    """An id whose rows differed at the last look.

    ``state`` is nova-stream's row then, as it was at every look since ``mark`` (-1: none yet).
    """

    entity: Entity
    id: str
    state: str = ""
    mark: int = -1


class Settlement(msgspec.Struct):
    """What became of the candidates, besides the differences.

    ``own`` were made by jobs of nova-stream; ``unsettled`` changed, or were on their way, until
    the time was over.
    """

    own: int = 0
    unsettled: int = 0


class Settler:
    """Looks at candidates again until it is clear what they are.

    ``comparable`` are the entities whose versions are the source's positions.
    """

    def __init__(
        self,
        source: SourceTables,
        connection: Connection,
        tables: Mapping[Entity, SourceTable],
        comparable: Collection[Entity],
        barrier: Barrier,
        *,
        cutoff: datetime,
        clock: Callable[[], float],
        limit: float,
    ) -> None:
        self._source = source
        self._connection = connection
        self._tables = tables
        self._comparable = comparable
        self._barrier = barrier
        self._cutoff = cutoff
        self._clock = clock
        self._limit = limit

    async def run(self, candidates: Spool[Candidate], found: Spool[Difference]) -> Settlement:
        """Empty ``candidates``; the differences among them are put into ``found``."""
        settled, pause = Settlement(), _SHORTEST_PAUSE_S
        end = self._clock() + self._limit
        while len(candidates):
            await self._round(candidates, found, settled)
            if len(candidates):
                if self._clock() >= end and not self._barrier.is_waiting():
                    break
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                await self._barrier.look()
        settled.unsettled = len(candidates)
        candidates.clear()
        return settled

    async def _round(
        self, candidates: Spool[Candidate], found: Spool[Difference], settled: Settlement
    ) -> None:
        number = self._barrier.next_mark
        position: int | None = None
        with Spool(Candidate) as kept:
            for batch in batches(candidates, _BATCH):
                position = await self._look(batch, number, kept, found, settled)
            candidates.replace(kept)
        if len(candidates):
            self._barrier.mark(position)

    async def _look(
        self,
        batch: Sequence[Candidate],
        number: int,
        kept: Spool[Candidate],
        found: Spool[Difference],
        settled: Settlement,
    ) -> int | None:
        table = self._tables[batch[0].entity]
        ids = [candidate.id for candidate in batch]
        rows = await nova.read(self._connection, table, ids)
        async with self._source.snapshot() as snapshot:
            values = await snapshot.values(table, ids)
        cleaned = await self._cleaned(table, [id_ for id_ in ids if id_ not in rows])
        for candidate in batch:
            id_ = candidate.id
            source, row = values.get(id_), rows.get(id_)
            differs = difference(table, id_, source, row)
            if differs is None:
                continue
            if id_ in cleaned or is_own(differs, source, row, self._cutoff):
                settled.own += 1
                continue
            state = _state(row)
            if state == candidate.state and self._passed(candidate):
                found.add(differs)
            else:
                mark = candidate.mark if state == candidate.state else number
                kept.add(Candidate(candidate.entity, id_, state, mark))
        return snapshot.position

    def _passed(self, candidate: Candidate) -> bool:
        by_sign = candidate.entity in self._comparable
        return candidate.mark >= 0 and self._barrier.passed(candidate.mark, by_sign=by_sign)

    async def _cleaned(self, table: SourceTable, ids: list[str]) -> set[str]:
        if table.entity is not Entity.ACTIVITIES or not ids:
            return set()
        return await nova.cleaned_up(self._connection, ids)


def _state(row: NovaRow | None) -> str:
    return "absent" if row is None else row.state
