"""The source's tables against nova-stream's rows: the whole comparison, and the repair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import islice

import msgspec

from nova_stream.clock import Clock
from nova_stream.errors import RejectedError, UsageError
from nova_stream.events.change import Entity
from nova_stream.publish.raw import RawPublisher, RawRecord
from nova_stream.settings import Settings
from nova_stream.source_audit import nova
from nova_stream.source_audit.barrier import Barrier
from nova_stream.source_audit.compare import SHOWN, Difference, SourceReport, difference, is_own
from nova_stream.source_audit.interface import SourceTable, SourceTables
from nova_stream.source_audit.merge import Merge, Mismatch
from nova_stream.source_audit.repair import Refusal, RepairPlace, kind_for, repair_record
from nova_stream.source_audit.settle import Candidate, Settlement, Settler
from nova_stream.source_audit.spool import Spool, batches
from nova_stream.source_audit.stream import Stream, Tell
from nova_stream.storage.database import Connection, open_session, snapshot

_BATCH = 200
#: How long candidates are looked at, in settling times: one for the first mark, one more for a row
#: that changed meanwhile, and a rest.
_ROUNDS = 3


class SourceAudit:
    """Compares a source with the rows of ``settings``' database; made for one run.

    ``settle`` is how many seconds a change may take from the source into Kafka; ``clock`` gives the
    time, ``monotonic`` seconds to measure by; ``tell`` gets lines about what is not compared, what
    is waited for and what was published. Raises DatabaseUnavailableError, SchemaVersionError,
    KafkaUnavailableError, UsageError.
    """

    def __init__(
        self,
        settings: Settings,
        source: SourceTables,
        *,
        settle: float,
        clock: Clock,
        monotonic: Callable[[], float],
        tell: Tell,
    ) -> None:
        self._settings = settings
        self._source = source
        self._settle = settle
        self._clock = clock
        self._monotonic = monotonic
        self._tell = tell
        self._cutoff = clock() - timedelta(days=settings.activity_days)
        self._tables: dict[Entity, SourceTable] = {}
        self._topics: dict[Entity, nova.Topic] = {}
        self._compared = 0
        self._own = 0
        self._stands = False

    async def run(self, entities: Sequence[Entity] = (), *, repair: bool = False) -> SourceReport:
        """Compare these entities, all where none is named, and publish what differs if wanted."""
        absent = await self._find_tables(entities)
        async with open_session(self._settings, "source audit") as connection:
            await connection.execute(nova.SESSION)
            with ExitStack() as stack:
                candidates = stack.enter_context(Spool(Candidate))
                found = stack.enter_context(Spool(Difference))
                behind = await self._stream(connection).catch_up(
                    self._settle, self._monotonic, self._tell
                )
                self._topics = await nova.topics(connection, self._settings)
                await self._first_look(connection, candidates)
                settled = await self._settled(connection, candidates, found)
                if self._stands:
                    behind = max(behind, await self._stream(connection).behind())
                report = self._report(found, settled, absent, behind)
                if repair and behind:
                    self._tell("nothing was published: let the stream catch up first")
                elif repair and len(found):
                    return await self._repaired(connection, found, report)
                return report

    async def _find_tables(self, entities: Sequence[Entity]) -> list[Entity]:
        wanted = list(entities) or list(Entity)
        tables = await self._source.tables(wanted)
        self._tables = {table.entity: table for table in tables}
        absent = [entity for entity in wanted if entity not in self._tables]
        for entity in absent:
            self._tell(
                f"{entity.value}: not compared, the source has no table "
                f"{self._source.looked_for(entity)}; name it with --table {entity.value}=NAME"
            )
        if (entities and absent) or not tables:
            raise UsageError("the source has no table for: " + ", ".join(absent))
        for table in tables:
            left_out = [*table.absent, *table.unknown]
            if left_out:
                names = ", ".join(left_out)
                self._tell(f"{table.entity.value}: {table.place}; not compared: {names}")
        return absent

    def _stream(self, connection: Connection) -> Stream:
        return Stream(self._settings, connection, self._comparable())

    async def _first_look(self, connection: Connection, candidates: Spool[Candidate]) -> None:
        async with snapshot(connection):
            # Ours first: what it shows, the source has had.
            await connection.fetchval("SELECT pg_current_snapshot()")
            async with self._source.snapshot() as source:
                for table in self._tables.values():
                    merge = Merge(table, source.rows(table), nova.rows(connection, table))
                    before = len(candidates)
                    async for mismatches in merge.mismatches():
                        for mismatch in mismatches:
                            if self._is_expired(table, mismatch):
                                self._own += 1
                            else:
                                candidates.add(Candidate(table.entity, mismatch.id))
                    self._compared += merge.compared
                    self._tell(
                        f"{table.entity.value}: {merge.compared} compared, "
                        f"{len(candidates) - before} to be compared again"
                    )

    def _is_expired(self, table: SourceTable, mismatch: Mismatch) -> bool:
        """Old activities that the job has deleted may be more than all others: known at once."""
        row = mismatch.source
        if table.entity is not Entity.ACTIVITIES or mismatch.nova is not None or row is None:
            return False
        loose = [field.name for field in table.fields if field.loose]
        return "timestamp" in loose and nova.expired(
            row.loose[loose.index("timestamp")], self._cutoff
        )

    async def _settled(
        self,
        connection: Connection,
        candidates: Spool[Candidate],
        found: Spool[Difference],
    ) -> Settlement:
        barrier = Barrier(
            self._stream(connection),
            self._source.readers,
            self._monotonic,
            self._settle,
        )
        settling = Settler(
            self._source,
            connection,
            self._tables,
            list(self._comparable()),
            barrier,
            cutoff=self._cutoff,
            clock=self._monotonic,
            limit=self._settle * _ROUNDS + 5,
        )
        settled = await settling.run(candidates, found)
        self._stands = self._stands or (settled.unsettled > 0 and barrier.stands())
        for line in barrier.complaints(settled.unsettled, len(found)):
            self._tell(line)
        return settled

    def _comparable(self) -> dict[Entity, int]:
        """The entities whose versions are the source's positions, each with the generation of its
        source.
        """
        return {
            entity: topic.source_generation
            for entity, topic in self._topics.items()
            if topic.kind is self._source.kind and entity in self._tables
        }

    def _report(
        self, found: Spool[Difference], settled: Settlement, absent: list[Entity], behind: int
    ) -> SourceReport:
        counts = {"missing": 0, "surplus": 0, "different": 0}
        for item in found:
            counts[item.kind] += 1
        return SourceReport(
            compared=self._compared,
            **counts,
            differences=list(islice(found, SHOWN)),
            own=self._own + settled.own,
            unsettled=settled.unsettled,
            behind=behind,
            not_compared=absent,
        )

    # -- repair --------------------------------------------------------------------------------

    async def _repaired(
        self,
        connection: Connection,
        found: Spool[Difference],
        report: SourceReport,
    ) -> SourceReport:
        published = 0
        self._topics = await nova.topics(connection, self._settings)
        with Spool(Candidate) as again, Spool(Difference) as remaining:
            async with RawPublisher(self._settings) as publisher:
                for batch in batches(found, _BATCH):
                    records, bad = await self._records(connection, batch)
                    await publisher.send(records)
                    published += len(records)
                    for no in bad:
                        self._tell(f"{no.entity.value} {no.id}: not published, {no.reason}")
            for item in found:
                again.add(Candidate(item.entity, item.id))
            self._tell(f"repaired: {published} published; looking at these rows again")
            settled = await self._settled(connection, again, remaining)
            return msgspec.structs.replace(
                report,
                repaired=published,
                remaining=len(remaining) + settled.unsettled,
            )

    async def _records(
        self, connection: Connection, batch: Sequence[Difference]
    ) -> tuple[list[RawRecord], list[Refusal]]:
        """What makes the batch's rows equal to the source as it is now, ours read before it."""
        table = self._tables[batch[0].entity]
        ids = [item.id for item in batch]
        rows = await nova.read(connection, table, ids)
        async with self._source.snapshot() as reading:
            values = await reading.values(table, ids)
            documents = await reading.documents(table, ids)
        place = self._place(table.entity, reading.floor)
        records, refused = [], []
        for id_ in ids:
            source, row = values.get(id_), rows.get(id_)
            differs = difference(table, id_, source, row)
            if differs is None or is_own(differs, source, row, self._cutoff):
                continue
            try:
                record = repair_record(differs, documents.get(id_), row, place, self._clock)
            except RejectedError as error:
                refused.append(Refusal(table.entity, id_, str(error)))
            else:
                records.append(record)
        return records, refused

    def _place(self, entity: Entity, floor: int | None) -> RepairPlace:
        kind = kind_for(entity, self._topics, self._source.kind)
        return RepairPlace(
            topic=self._settings.topic(entity),
            kind=kind,
            generation=self._topics[entity].source_generation,
            floor=floor if kind is self._source.kind else None,
        )
