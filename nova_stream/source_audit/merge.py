"""Two streams of rows, both by id: where they differ, at the first look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from nova_stream.errors import UsageError
from nova_stream.source_audit.interface import Digest, SourceTable, typed_fields
from nova_stream.source_audit.plain import loose_text


class Mismatch(NamedTuple):
    """Rows of one id that are not equal; None where a side has none."""

    source: Digest | None
    nova: Digest | None

    @property
    def id(self) -> str:
        row = self.source or self.nova
        assert row is not None
        return row.id


class Merge:
    """Goes through both sides once; ``compared`` counts the ids that were on either."""

    def __init__(
        self,
        table: SourceTable,
        source: AsyncIterator[Sequence[Digest]],
        nova: AsyncIterator[Sequence[Digest]],
    ) -> None:
        self._table = table
        typed = typed_fields(table.entity)
        self._loose = tuple((f.kind, f.name in typed) for f in table.fields if f.loose)
        self._source = _Side(source, f"{table.place} has the id")
        self._nova = _Side(nova, f"nova-stream's {table.entity.value} have the id")
        self.compared = 0

    async def mismatches(self) -> AsyncIterator[list[Mismatch]]:
        """The ids that differ, a list for each stretch that both sides have in memory.

        Raises UsageError when a side's ids are not unique.
        """
        source, nova = self._source, self._nova
        try:
            while any(await asyncio.gather(source.fill(), nova.fill())):
                yield self._compare()
        finally:
            await source.close()
            await nova.close()

    def _compare(self) -> list[Mismatch]:
        """Compare until one side needs more rows."""
        source, nova, found = self._source, self._nova, []
        left, right = source.rows, nova.rows
        i, j, m, n = source.place, nova.place, len(left), len(right)
        while (i < m or source.ended) and (j < n or nova.ended) and (i < m or j < n):
            self.compared += 1
            if j >= n or (i < m and left[i].id < right[j].id):
                found.append(Mismatch(left[i], None))
                i += 1
            elif i >= m or left[i].id > right[j].id:
                found.append(Mismatch(None, right[j]))
                j += 1
            else:
                if left[i] != right[j] and not self._equal(left[i], right[j]):
                    found.append(Mismatch(left[i], right[j]))
                i, j = i + 1, j + 1
        source.place, nova.place = i, j
        return found

    def _equal(self, source: Digest, nova: Digest) -> bool:
        if source.figures != nova.figures:
            return False
        archived = nova.document is None
        if not archived and source.document != nova.document:
            return False
        return all(
            a == b or loose_text(kind, a) == loose_text(kind, b)
            for (kind, typed), a, b in zip(self._loose, source.loose, nova.loose, strict=True)
            if typed or not archived
        )


class _Side:
    """One stream: the rows in memory from ``place`` on, while the next batch is on its way."""

    def __init__(self, batches: AsyncIterator[Sequence[Digest]], told: str) -> None:
        self.rows: Sequence[Digest] = ()
        self.place = 0
        self.ended = False
        self._batches = batches
        self._told = told
        self._last: str | None = None
        self._next: asyncio.Task[Sequence[Digest] | None] | None = None

    async def fill(self) -> bool:
        """Have a row in memory; False when there is none any more."""
        if self.place < len(self.rows):
            return True
        if self.ended:
            return False
        self._next = self._next or asyncio.create_task(self._fetch())
        batch = await self._next
        self._next = None
        if not batch:
            self.rows, self.place, self.ended = (), 0, True
            return False
        self._check(batch)
        self.rows, self.place = batch, 0
        self._next = asyncio.create_task(self._fetch())
        return True

    async def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait({self._next})
            self._next = None

    async def _fetch(self) -> Sequence[Digest] | None:
        return await anext(self._batches, None)

    def _check(self, batch: Sequence[Digest]) -> None:
        last = self._last
        for row in batch:
            if last is not None and row.id <= last:
                what = "twice" if row.id == last else f"after {last!r}, which is out of order"
                raise UsageError(f"{self._told} {row.id!r} {what}; rows cannot be compared")
            last = row.id
        self._last = last
