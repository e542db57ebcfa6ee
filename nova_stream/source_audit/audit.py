"""The source's tables against nova-stream's rows: the whole comparison, and the repair."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from itertools import groupby, islice
from typing import Any

import asyncpg
import msgspec

from nova_stream.clock import Clock
from nova_stream.errors import RejectedError, UsageError
from nova_stream.events.change import Entity
from nova_stream.kafka.offsets import lag_of, log_ends
from nova_stream.publish.raw import RawPublisher, RawRecord
from nova_stream.settings import Settings
from nova_stream.source_audit import nova
from nova_stream.source_audit.barrier import Barrier, Offsets
from nova_stream.source_audit.compare import Difference, difference, is_own
from nova_stream.source_audit.interface import SourceTable, SourceTables
from nova_stream.source_audit.merge import Merge, Mismatch
from nova_stream.source_audit.repair import Place, Refused, kind_for, repair_record
from nova_stream.source_audit.settle import Candidate, Settled, Settling
from nova_stream.source_audit.spool import Spool
from nova_stream.storage import read
from nova_stream.storage.database import check_schema, connect
from nova_stream.storage.migrate import newest_revision

#: Differences that a report shows; the others are counted.
SHOWN = 100
_BATCH = 200
_KAFKA_LIMIT = 10.0
_LOOK_AGAIN = 0.1
#: Seconds after which a stream that does not move stands, a start of its worker included.
_PATIENCE = 15.0
#: How long candidates are looked at, in settling times: one for the first mark, one more for a row
#: that changed meanwhile, and a rest.
_ROUNDS = 3

#: Told one line a step; for a terminal or a log.
Tell = Callable[[str], None]


class SourceReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a comparison found; the first five fields always stand in its JSON.

    ``compared`` counts the ids on either side. ``own`` rows differ because jobs of nova-stream have
    changed them; ``unsettled`` ones changed too often, or were on their way for too long, to be
    told; ``behind`` records were not applied when the comparison began, because the stream stands;
    ``repaired`` were published, and ``remaining`` differ even so.
    """

    compared: int
    missing: int
    surplus: int
    different: int
    differences: list[Difference]
    own: int = 0
    unsettled: int = 0
    behind: int = 0
    repaired: int | None = None
    remaining: int = 0
    not_compared: list[Entity] = msgspec.field(default_factory=list, name="notCompared")

    @property
    def good(self) -> bool:
        """Whether the source and the rows are equal now, as far as can be told."""
        if self.behind or (self.repaired is not None and self.remaining):
            return False
        return self.repaired is not None or not (self.missing or self.surplus or self.different)


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

    async def run(self, entities: Sequence[Entity] = (), *, repair: bool = False) -> SourceReport:
        """Compare these entities, all where none is named, and publish what differs if wanted."""
        absent = await self._find_tables(entities)
        connection = await connect(self._settings, "source audit")
        try:
            await check_schema(connection, newest_revision())
            await connection.execute(nova.SESSION)
            with ExitStack() as stack:
                candidates = stack.enter_context(Spool(Candidate))
                found = stack.enter_context(Spool(Difference))
                behind = await self._catch_up(connection)
                self._topics = await nova.topics(connection, self._settings)
                await self._first_look(connection, candidates)
                settled = await self._settled(connection, candidates, found)
                report = self._report(found, settled, absent, behind)
                if repair and behind:
                    self._tell("nothing was published: first let the stream come to the end")
                elif repair and len(found):
                    return await self._repaired(connection, found, report)
                return report
        finally:
            await connection.close()

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

    async def _catch_up(self, connection: asyncpg.Connection[Any]) -> int:
        """Wait until what is in Kafka now is applied, as long as the stream moves: a row that is
        yet to come cannot be seen to differ. Gives how many records are not applied even so.
        """
        stream = _Stream(self._settings, connection, {})
        ends, before, since = await stream.log_ends(), None, self._monotonic()
        while (behind := lag_of(ends, await stream.positions())) > 0:
            if behind != before:
                before, since = behind, self._monotonic()
            elif self._monotonic() - since >= max(self._settle, _PATIENCE):
                self._tell(
                    f"the stream stands {behind} records before the ends of its topics: what they "
                    "change cannot be compared. Does a worker run? (nova-stream doctor)"
                )
                break
            await asyncio.sleep(_LOOK_AGAIN)
        return behind

    async def _first_look(
        self, connection: asyncpg.Connection[Any], candidates: Spool[Candidate]
    ) -> None:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            # Ours first: what it shows, the source has had.
            await connection.fetchval("SELECT pg_current_snapshot()")
            async with self._source.snapshot() as snapshot:
                for table in self._tables.values():
                    merge = Merge(table, snapshot.rows(table), nova.rows(connection, table))
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
                        f"{len(candidates) - before} to be looked at again"
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
        connection: asyncpg.Connection[Any],
        candidates: Spool[Candidate],
        found: Spool[Difference],
    ) -> Settled:
        barrier = Barrier(
            _Stream(self._settings, connection, self._comparable()),
            self._source.readers,
            self._monotonic,
            self._settle,
        )
        settling = Settling(
            self._source, connection, self._tables, list(self._comparable()), barrier,
            cutoff=self._cutoff, clock=self._monotonic, limit=self._settle * _ROUNDS + 5,
        )  # fmt: skip
        settled = await settling.run(candidates, found)
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
        self, found: Spool[Difference], settled: Settled, absent: list[Entity], behind: int
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
        connection: asyncpg.Connection[Any],
        found: Spool[Difference],
        report: SourceReport,
    ) -> SourceReport:
        published = refused = 0
        with Spool(Candidate) as again, Spool(Difference) as remaining:
            async with RawPublisher(self._settings) as publisher:
                for batch in _batches(found):
                    records, bad = await self._records(connection, batch)
                    await publisher.send(records)
                    published += len(records)
                    refused += len(bad)
                    for no in bad:
                        self._tell(f"{no.entity.value} {no.id}: not published, {no.reason}")
            for item in found:
                again.add(Candidate(item.entity, item.id))
            self._tell(f"published {published} repairs; looking at these rows again")
            settled = await self._settled(connection, again, remaining)
            return msgspec.structs.replace(
                report,
                repaired=published,
                remaining=len(remaining) + settled.unsettled,
            )

    async def _records(
        self, connection: asyncpg.Connection[Any], batch: Sequence[Difference]
    ) -> tuple[list[RawRecord], list[Refused]]:
        """What makes the batch's rows equal to the source as it is now, ours read before it."""
        table = self._tables[batch[0].entity]
        ids = [item.id for item in batch]
        rows = await nova.read(connection, table, ids)
        async with self._source.snapshot() as snapshot:
            values = await snapshot.values(table, ids)
            documents = await snapshot.documents(table, ids)
        place = self._place(table.entity, snapshot.floor)
        records, refused = [], []
        for id_ in ids:
            source, row = values.get(id_), rows.get(id_)
            differs = difference(table, id_, source, row)
            if differs is None or is_own(differs, source, row, self._cutoff):
                continue
            try:
                record = repair_record(differs, documents.get(id_), row, place, self._clock)
            except RejectedError as error:
                refused.append(Refused(table.entity, id_, str(error)))
            else:
                records.append(record)
        return records, refused

    def _place(self, entity: Entity, floor: int | None) -> Place:
        kind = kind_for(entity, self._topics, self._source.kind)
        return Place(
            topic=self._settings.topic(entity),
            kind=kind,
            generation=self._topics[entity].source_generation,
            floor=floor if kind is self._source.kind else None,
        )


class _Stream:
    """What the barrier asks of nova-stream and of Kafka."""

    def __init__(
        self,
        settings: Settings,
        connection: asyncpg.Connection[Any],
        comparable: Mapping[Entity, int],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._comparable = comparable

    async def log_ends(self) -> Offsets:
        return await log_ends(self._settings, _KAFKA_LIMIT)

    async def positions(self) -> Offsets:
        return await read.positions(self._connection)

    async def newest_version(self) -> int | None:
        found = [
            await nova.newest_version(self._connection, entity, generation)
            for entity, generation in self._comparable.items()
        ]
        return max((number for number in found if number is not None), default=None)


def _batches(found: Spool[Difference]) -> Iterator[list[Difference]]:
    for _, group in groupby(found, key=lambda item: item.entity):
        while batch := list(islice(group, _BATCH)):
            yield batch
