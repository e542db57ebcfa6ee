"""Deletions of flattened records that say no version where versions are not offsets.

Such a deletion (a tombstone, or a row marked as deleted, without the lsn among what the transform
adds) is of after everything that its partition had for the entity before, and of before everything
that comes later there. So it takes the version of what it finds, and its own place. Where what it
finds was written in another partition nobody can tell which is newer: that is a dead letter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import asyncpg
from msgspec.structs import replace

from nova_stream.events.change import Change, Entity, VersionKind
from nova_stream.events.envelope import MAX_MINOR
from nova_stream.events.versions import GENERATION_BITS
from nova_stream.storage.apply.admission import AdmittedChunk
from nova_stream.storage.apply.fold import Rank, rank_lsn, rank_of
from nova_stream.storage.apply.sql import TABLES
from nova_stream.storage.database import Connection

_KNOWN: dict[Entity, str] = {
    entity: f"""
SELECT id, version_generation, version, version_minor, src_partition, src_offset,
    deleted_at IS NOT NULL AS deleted
FROM {table} WHERE id = ANY($1::text[])"""  # noqa: S608 - made from our own constants
    for entity, table in TABLES.items()
}

REASON = "unknown_version"
_ADVICE = (
    "this deletion says no version, and the entity's present state was written in another "
    "partition: let the transform add it (add.headers=op,lsn and add.fields=op,lsn), and delete "
    'the entity with a record of op "d" that has one'
)


class _State(NamedTuple):
    """What is known of a document before its deletion; the greater one counts."""

    rank: Rank
    place: int
    partition: int
    deleted: bool


async def place(connection: Connection, entity: Entity, admitted: list[AdmittedChunk]) -> None:
    """Give every deletion of ``unversioned`` its version and make it one of the changes; leave out
    those that find nothing.
    """
    waiting = [a for a in admitted if a.unversioned and a.kind is not None]
    if not waiting:
        return
    ids = {deletion.id for a in waiting for deletion in a.unversioned}
    rows = await connection.fetch(_KNOWN[entity], sorted(ids))
    stored = {row["id"]: _state_of_row(row) for row in rows}
    for a in waiting:
        changes = _by_id(a.changes, ids)
        for deletion in a.unversioned:
            earlier = [_state_of(c) for c in changes[deletion.id] if c.offset < deletion.offset]
            known = stored.get(deletion.id)
            newest = max([*earlier, *([] if known is None else [known])], default=None)
            if newest is None or newest.deleted:
                continue
            placed = _placed(deletion, newest, a)
            a.changes = [*a.changes, placed]
            a.applied.changes += 1
            if _is_of_before(newest, placed):
                changes[placed.id].append(placed)
            else:
                a.bury(placed, REASON, _ADVICE)


def _placed(deletion: Change, newest: _State, a: AdmittedChunk) -> Change:
    """The deletion, right after what it deletes; a copy, since a flush may be tried again."""
    assert a.kind is not None
    generation, number, minor = newest.rank
    if a.kind is not VersionKind.LSN:
        return replace(deletion, kind=a.kind, number=number, minor=MAX_MINOR)
    found = replace(deletion, kind=a.kind, number=number, minor=minor, rank_generation=generation)
    rank_lsn(found, a.chunk.generation)  # of equal versions the later place counts
    return found


def _is_of_before(known: _State, deletion: Change) -> bool:
    """Whether what a deletion finds stood before it: in its partition, or in an earlier life of
    the topic.
    """
    return (
        known.partition == deletion.partition
        or known.place >> GENERATION_BITS < deletion.place >> GENERATION_BITS
    )


def _by_id(changes: Iterable[Change], ids: set[str]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.id in ids:
            found[change.id].append(change)
    return found


def _state_of(change: Change) -> _State:
    return _State(rank_of(change), change.place, change.partition, change.deleted)


def _state_of_row(row: asyncpg.Record) -> _State:
    rank = Rank(row["version_generation"], row["version"], row["version_minor"])
    return _State(rank, row["src_offset"], row["src_partition"], row["deleted"])
