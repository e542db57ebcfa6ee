"""Noticing, in a flush, that offsets are compared which do not compare: those of several
partitions, or of a topic of another name.

The newer change may then have no effect. Partitions that are added, records without a key (which
may go anywhere) and writers with different partitioners show as an entity that was written in
another partition before; another topic (NOVA_TOPIC_…) also as one that was written further ahead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nova_stream.events.change import Change, Entity, VersionKind
from nova_stream.events.versions import GENERATION_BITS
from nova_stream.storage.apply.admission import AdmittedChunk
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.database import Connection

#: Whether one of the entities ($1 ids) was written, in this life of the topic ($3 versions), in
#: another partition than now ($2) or at a later offset ($4), where this partition has not been yet.
#: What a repair made anew has version 0 and stands where its key says.
ELSEWHERE: dict[Entity, str] = {
    entity: f"""
SELECT EXISTS (
    SELECT FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
        AS u (id, partition, version, place)
    JOIN {table} t ON t.id = u.id
    WHERE (t.src_partition <> u.partition OR t.src_offset > u.place) AND t.version > 0
        AND t.version >> {GENERATION_BITS} = u.version >> {GENERATION_BITS})"""  # noqa: S608 - ours
    for entity, table in TABLES.items()
}
NOTE = "UPDATE stream_topics SET enlarged_at = coalesce(enlarged_at, now()) WHERE topic = $1"


class Places:
    """Looks whether changes that are to be applied are of entities of other partitions, where that
    is not noted of their topic yet; one chunk is marked ``mixed`` then, so that it is told once.
    """

    def __init__(
        self,
        connection: Connection,
        entity: Entity,
        admitted: Sequence[AdmittedChunk],
        kept: Mapping[str, Change],
    ) -> None:
        self._connection = connection
        self._entity = entity
        self._rows = len(kept)
        # A change that states its version may stand anywhere.
        self._changes = [change for change in kept.values() if not change.stated]
        chunks = [a for a in admitted if a.kind is VersionKind.OFFSET and not a.noted]
        #: The chunk to be marked, as long as that is open.
        self._chunk = chunks[-1] if chunks else None
        if chunks and _are_mixed(admitted, kept):
            self._mark()

    async def look_before(self) -> None:
        """Before the upsert, where that cannot tell."""
        if len(self._changes) < self._rows:
            await self._look()
            self._chunk = None

    async def look_after(self, written: int | None) -> None:
        """After it, with what it tells: only rows that it left alone have to be looked at."""
        if self._chunk is None:
            return
        if written is None:
            self._mark()
        elif written < self._rows:
            await self._look()

    async def _look(self) -> None:
        if self._chunk is not None and await self._connection.fetchval(
            ELSEWHERE[self._entity],
            [change.id for change in self._changes],
            [change.partition for change in self._changes],
            [change.number for change in self._changes],
            [change.offset for change in self._changes],
        ):
            self._mark()

    def _mark(self) -> None:
        assert self._chunk is not None
        self._chunk.applied.mixed = True
        self._chunk = None


async def note(connection: Connection, topics: Collection[str]) -> None:
    """Remember it of topics until they are made again. The last that a flush locks."""
    for topic in sorted(topics):
        await connection.execute(NOTE, topic)


def _are_mixed(admitted: Sequence[AdmittedChunk], kept: Mapping[str, Change]) -> bool:
    if sum(len({change.id for change in a.changes}) for a in admitted) == len(kept):
        return False  # no document has changes of two partitions
    return any(
        change.partition != kept[change.id].partition
        for a in admitted
        for change in a.changes
        if not (change.stated or kept[change.id].stated)
    )
