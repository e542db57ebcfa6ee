"""What a capture does, a step at a time: read a page, note its ids, publish, store the place.

Each step may be repeated, by this instance or the next: what is published carries its version, so
that twice is once, and nothing is stored before Kafka has acknowledged it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from nova_stream.capture.client import DeltaPage, Row
from nova_stream.capture.lease import HeldLease
from nova_stream.capture.mapping import TABLES, Rejection, change_of, deletion, entity_of
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.capture.reader import Reader
from nova_stream.capture.sending import Sender
from nova_stream.capture.waiting import Outage
from nova_stream.errors import (
    CursorExpiredError,
    KafkaUnavailableError,
    PublishError,
    TopicError,
)
from nova_stream.events.change import Entity
from nova_stream.events.encode import Op
from nova_stream.events.lines import ChangeLine
from nova_stream.storage.capture.cursor import Cursor, SourceDocument
from nova_stream.telemetry import get_logger

_log = get_logger(__name__)

_TABLES = list(TABLES)
#: Documents that are gone, deleted at a time.
_SWEPT = 1000
#: Seconds after which "nothing new" is stored, too: it says that somebody has looked.
_STORED_EVERY_S = 10.0
#: Seconds between two lines about a snapshot.
_SHOWN_EVERY_S = 5.0
#: Names of foreign tables that are remembered, so that each is told once.
_TOLD = 1000
_UNREACHED = (KafkaUnavailableError, PublishError, TopicError)


class Steps:
    """The steps of an instance that holds the lease; made anew for each time that it does."""

    def __init__(
        self,
        reader: Reader,
        sender: Sender,
        holding: HeldLease,
        metrics: CaptureMetrics,
        *,
        poll: timedelta,
    ) -> None:
        self._reader = reader
        self._sender = sender
        self._holding = holding
        self._store = holding.store
        self._metrics = metrics
        self._poll = poll.total_seconds()
        self._kafka = Outage("Kafka")
        self._progress = _Progress(holding.state.at.documents)
        self._foreign: set[str] = set()
        self._behind = False
        self._stored_at = 0.0
        self.at = holding.state.at

    async def step(self) -> None:
        """Do the next step.

        Raises SourceRefusedError, LeadershipLostError, and what asyncpg raises.
        """
        self._holding.check()
        try:
            match self.at.phase:
                case "new":
                    await self._begin()
                case "snapshot":
                    await self._read_page()
                case "sweep":
                    await self._sweep()
                case "deltas":
                    await self._follow()
        except CursorExpiredError as error:
            _log.warning(
                "the source no longer has the changes after the cursor",
                reason=str(error),
                phase=self.at.phase,
                then="a new snapshot, which also deletes what is gone",
            )
            await self._move(Cursor())

    # -- snapshot ----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Pin a snapshot by its first page."""
        page = await self._reader.snapshot(_TABLES[0], None, None)
        _log.info("snapshot begun", snapshot=page.snapshot)
        self._metrics.snapshots.inc()
        self._progress = _Progress()
        self.at = Cursor(phase="snapshot", snapshot=page.snapshot, table=_TABLES[0])
        await self._take_page(page.rows, page.cursor if page.has_more else None)

    async def _read_page(self) -> None:
        assert self.at.table is not None
        page = await self._reader.snapshot(self.at.table, self.at.snapshot, self.at.page)
        await self._take_page(page.rows, page.cursor if page.has_more else None)

    async def _take_page(self, rows: Sequence[Row], following: str | None) -> None:
        """Publish a page; ``following`` is the place of the table's next one."""
        at = self.at
        assert at.snapshot is not None
        assert at.table is not None
        await self._publish(rows, "r", at.snapshot)
        documents = at.documents + len(rows)
        self._progress.show(at.table, documents)
        later = _TABLES[_TABLES.index(at.table) + 1 :]
        if following is not None:
            await self._move(msgspec.structs.replace(at, page=following, documents=documents))
        elif later:
            await self._move(
                msgspec.structs.replace(at, table=later[0], page=None, documents=documents)
            )
        else:
            self._progress.end(documents)
            await self._move(Cursor("sweep", snapshot=at.snapshot, documents=documents))

    async def _sweep(self) -> None:
        """Delete what was published once and the snapshot lacks.

        As of the snapshot's time: that outranks all that was known before, and every change that
        the deltas bring is later.
        """
        snapshot = self.at.snapshot
        assert snapshot is not None
        after, swept = SourceDocument("", ""), 0
        while gone := await self._store.gone(snapshot, after, _SWEPT):
            await self._send([deletion(Entity(e), identity, snapshot) for e, identity in gone])
            await self._store.store(self.at, deleted=gone)
            after, swept = gone[-1], swept + len(gone)
        if swept:
            _log.info("deleted what is gone from the source", documents=swept)
        await self._move(Cursor("deltas", documents=self.at.documents, cursor=snapshot))

    # -- deltas ------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Publish the changes after the cursor; where there are none, wait for some."""
        cursor = self.at.cursor
        assert cursor is not None
        page = await self._reader.deltas(cursor)
        await self._publish(page.rows, "u", page.cursor)
        if page.cursor < cursor and not self._behind:
            _log.warning(
                "the deployment's clock is behind the cursor",
                cursor=cursor,
                time=page.cursor,
                then="changes are read once it has passed the cursor",
            )
        self._behind = page.cursor < cursor
        is_due = time.monotonic() - self._stored_at > _STORED_EVERY_S
        if page.cursor > cursor or page.rows or is_due:
            await self._advance(page, cursor)
        if not page.has_more:
            self._metrics.caught_up()
        if not page.has_more or page.cursor <= cursor:
            await asyncio.sleep(self._poll)

    async def _advance(self, page: DeltaPage, cursor: int) -> None:
        last = {
            SourceDocument(entity.value, row.id): row.deleted
            for row in page.rows
            if (entity := entity_of(row)) is not None
        }
        self.at = msgspec.structs.replace(self.at, cursor=max(page.cursor, cursor))
        self._stored_at = time.monotonic()
        await self._store.store(
            self.at,
            deleted=[document for document, deleted in last.items() if deleted],
            caught_up=not page.has_more,
        )

    # -- both --------------------------------------------------------------------------------------

    async def _publish(self, rows: Sequence[Row], op: Op, seen: int) -> None:
        ours = [(entity, row) for row in rows if (entity := self._entity_of(row)) is not None]
        if not ours:
            return
        changes = [change_of(entity, row, op=op) for entity, row in ours]
        there = [SourceDocument(entity.value, row.id) for entity, row in ours if not row.deleted]
        if there:
            await self._store.note(there, seen)
        await self._send(changes)

    async def _send(self, changes: Sequence[ChangeLine | Rejection]) -> None:
        while True:
            self._holding.check()
            try:
                await self._sender.send(changes)
            except _UNREACHED as error:
                await asyncio.sleep(self._kafka.pause_after(error))
            else:
                self._kafka.over()
                return

    async def _move(self, at: Cursor) -> None:
        await self._store.store(at)
        self.at = at

    def _entity_of(self, row: Row) -> Entity | None:
        entity = entity_of(row)
        name = f"{row.component}/{row.table}" if row.component else row.table
        if entity is None and name not in self._foreign and len(self._foreign) < _TOLD:
            self._foreign.add(name)
            _log.info("changes of a table that is not captured", table=name)
        return entity


class _Progress:
    """Tells of a snapshot every few seconds; ``documents`` are there already."""

    def __init__(self, documents: int = 0) -> None:
        self._began = self._told = time.monotonic()
        self._first = documents

    def show(self, table: str, documents: int) -> None:
        """Say how many documents are published, unless that was said a moment ago."""
        if time.monotonic() - self._told >= _SHOWN_EVERY_S:
            self._told = time.monotonic()
            _log.info(
                "snapshot", table=table, documents=documents, per_second=self._rate(documents)
            )

    def end(self, documents: int) -> None:
        """Say that it is complete."""
        seconds = round(time.monotonic() - self._began, 1)
        _log.info(
            "snapshot complete",
            documents=documents,
            seconds=seconds,
            per_second=self._rate(documents),
        )

    def _rate(self, documents: int) -> int:
        seconds = max(time.monotonic() - self._began, 0.001)
        return round((documents - self._first) / seconds)
