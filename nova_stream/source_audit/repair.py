"""Publishing what differs, so that it counts until the source itself changes the row again.

A repair must outrank the row that is wrong, and never a change of the source that is still on its
way. Versions are the source's, so the version of a repair lies between the two: just above the
row's own, or, where the source's positions are the versions, at a place in the source's log in
front of everything that the snapshot did not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nova_stream.clock import Clock, to_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import (
    COMPARED_MINOR,
    SNAPSHOT_MINOR,
    Entity,
    Version,
    VersionKind,
)
from nova_stream.events.encode import Op
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.publish.raw import BY_KEY, RawRecord, change_record
from nova_stream.source_audit.compare import Difference
from nova_stream.source_audit.nova import NovaRow, Topic

_SOURCE = "nova-stream"


class Refusal(NamedTuple):
    """A row that cannot be published, and why."""

    entity: Entity
    id: str
    reason: str


class RepairPlace(NamedTuple):
    """Where a repair is to stand: in a topic of this ``kind`` of versions whose source is of this
    ``generation``. ``floor`` is a version in front of every change that the repair does not know,
    None when none is known.
    """

    topic: str
    kind: VersionKind
    generation: int = 0
    floor: int | None = None


class Rank(NamedTuple):
    """How a repair is published: a snapshot's row (r) or a change (u), and its version; the number
    None ranks below every version.
    """

    op: Op
    generation: int
    number: int | None
    minor: int


def rank_of(row: NovaRow | None, place: RepairPlace) -> Rank:
    """What outranks nova-stream's ``row`` and no change that the source may yet send."""
    floor, generation = place.floor, place.generation
    if row is None:
        if floor is not None:
            return Rank("r", generation, floor, COMPARED_MINOR)
        return Rank("r", generation, None if place.kind is VersionKind.LSN else 0, 0)
    number, minor = row.version
    if floor is not None and (generation, floor) > (row.generation, number):
        return Rank("r", generation, floor, COMPARED_MINOR)
    if place.kind is VersionKind.LSN:
        if number and SNAPSHOT_MINOR <= minor < SNAPSHOT_MINOR + COMPARED_MINOR:
            # A snapshot's row stays one: whatever the source streams behind it counts.
            return Rank("r", row.generation, number, minor - SNAPSHOT_MINOR + 1)
        # A snapshot's row ranks below a streamed change of its lsn; its minor number is below 0.
        return Rank("u", row.generation, number, max(minor + 1, 0))
    # The rows that a truncation has emptied have a minor number below 0 too.
    return Rank("r", row.generation, number, max(minor + 1, 0))


def repair_record(
    difference: Difference,
    document: Mapping[str, Any] | None,
    row: NovaRow | None,
    place: RepairPlace,
    clock: Clock,
) -> RawRecord:
    """The record that makes nova-stream's row what the source has: ``document``, or nothing.

    Raises RejectedError for a document that would become a dead letter.
    """
    rank = rank_of(row, place)
    op: Op = "d" if document is None else rank.op
    line = change_line(
        {"entity": difference.entity, "op": op, "after": document, "before": {"id": difference.id}}
    )
    if line.id != difference.id:
        raise RejectedError("wrong_type", f"its id is read as {line.id!r}")
    partition = BY_KEY if row is None else row.partition
    return _record(line, rank, place, to_millis(clock()), partition)


def kind_for(entity: Entity, topics: Mapping[Entity, Topic], otherwise: VersionKind) -> VersionKind:
    """The kind of versions of an entity's topic; where no record has fixed it, that of the others.

    The first record fixes it for ever, so a repair must not be one that the source's own changes
    could not follow.
    """
    known = topics[entity].kind
    others = [topic.kind for topic in topics.values() if topic.kind is not None]
    return known or (others[0] if others else otherwise)


def _record(
    line: ChangeLine, rank: Rank, place: RepairPlace, ts_ms: int, partition: int
) -> RawRecord:
    source: dict[str, Any] = {}
    if place.kind is not VersionKind.OFFSET:
        source[place.kind.value] = rank.number
    if rank.number is None:
        # Without an lsn it is what a connector writes of its incremental snapshot.
        source["connector"] = "postgresql"
    elif place.kind is VersionKind.LSN:
        source["generation"] = rank.generation
    return change_record(
        (place.topic, partition),
        line.entity,
        line.op,
        line.id,
        Version(rank.number or 0, rank.minor),
        source,
        ts_ms=ts_ms,
        source_name=_SOURCE,
        before=line.before if line.op == "d" else None,
        after=line.after,
    )
