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
from nova_stream.storage.apply.flat_array import FlatArray
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


async def find(
    connection: Connection,
    entity: Entity,
    admitted: Sequence[AdmittedChunk],
    kept: Mapping[str, Change],
) -> None:
    """Look whether changes that are to be applied are of entities of other partitions, where that
    is not noted of their topic yet; one chunk is marked ``mixed`` then, so that it is told once.
    """
    chunks = [a for a in admitted if a.kind is VersionKind.OFFSET and not a.noted]
    if not chunks:
        return
    # A change that states its version may stand anywhere.
    changes = [change for change in kept.values() if not change.stated]
    if _are_mixed(admitted, kept) or await connection.fetchval(
        ELSEWHERE[entity],
        FlatArray([change.id for change in changes]),
        FlatArray([change.partition for change in changes]),
        FlatArray([change.number for change in changes]),
        FlatArray([change.offset for change in changes]),
    ):
        chunks[-1].applied.mixed = True


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
