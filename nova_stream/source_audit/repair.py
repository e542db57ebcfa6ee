"""Publishing what differs, so that it counts until the source itself changes the row again.

A repair must outrank the row that is wrong, and never a change of the source that is still on its
way. Versions are the source's, so the version of a repair lies between the two: just above the
row's own, or, where the source's positions are the versions, at a place in the source's log in
front of everything that the snapshot did not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nova_stream.clock import Clock, to_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity, Version, VersionKind
from nova_stream.events.encode import Op, cloudevents_headers, encode_key
from nova_stream.events.envelope import VERSION_HEADER
from nova_stream.events.json_text import encode_json
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.publish.raw import RawRecord
from nova_stream.source_audit.compare import Difference
from nova_stream.source_audit.nova import NovaRow

_SOURCE = "nova-stream"
#: Beyond every topic's partitions, so that the key decides.
_BY_KEY = 2**31 - 1
#: Beside it nobody's: what a connector writes has the minor number 0.
_MINOR = 1


class Refused(NamedTuple):
    """A row that cannot be published, and why."""

    entity: Entity
    id: str
    reason: str


class Rank(NamedTuple):
    """How a repair is published: a snapshot's row (r) or a change (u), and its version's number,
    None for one that ranks below every version.
    """

    op: Op
    number: int | None
    minor: int


def rank_of(row: NovaRow | None, kind: VersionKind, floor: int | None) -> Rank:
    """What outranks nova-stream's ``row`` and no change that the source may yet send.

    ``floor`` is a version of this ``kind`` in front of every change that the repair does not know,
    None when none is known.
    """
    if row is None:
        unknown = None if kind is VersionKind.LSN else 0
        return Rank("r", unknown, 0) if floor is None else Rank("r", floor, _MINOR)
    number, minor = row.version
    if floor is not None and floor > number:
        return Rank("r", floor, _MINOR)
    if kind is VersionKind.LSN:
        # A snapshot's row ranks below a streamed change of its lsn; its minor number is below 0.
        return Rank("u", number, max(minor + 1, 0))
    return Rank("r", number, minor + 1)


def repair_record(
    difference: Difference,
    document: Mapping[str, Any] | None,
    row: NovaRow | None,
    *,
    kind: VersionKind,
    floor: int | None,
    topic: str,
    clock: Clock,
) -> RawRecord:
    """The record that makes nova-stream's row what the source has: ``document``, or nothing.

    Raises RejectedError for a document that would become a dead letter.
    """
    rank = rank_of(row, kind, floor)
    op: Op = "d" if document is None else rank.op
    line = change_line(
        {"entity": difference.entity, "op": op, "after": document, "before": {"id": difference.id}}
    )
    if line.id != difference.id:
        raise RejectedError("wrong_type", f"its id is read as {line.id!r}")
    ts_ms = to_millis(clock())
    partition = _BY_KEY if row is None else row.partition
    return _record(line, rank, kind, ts_ms, topic, partition)


def kind_for(
    entity: Entity, kinds: Mapping[Entity, VersionKind | None], otherwise: VersionKind
) -> VersionKind:
    """The kind of versions of an entity's topic; where no record has fixed it, that of the others.

    The first record fixes it for ever, so a repair must not be one that the source's own changes
    could not follow.
    """
    known = kinds.get(entity)
    if known is not None:
        return known
    others: Sequence[VersionKind] = [kind for kind in kinds.values() if kind is not None]
    return others[0] if others else otherwise


def _record(
    line: ChangeLine, rank: Rank, kind: VersionKind, ts_ms: int, topic: str, partition: int
) -> RawRecord:
    source = {"connector": "nova", "name": _SOURCE, "minor": rank.minor, "ts_ms": ts_ms}
    headers = cloudevents_headers(
        line.entity, line.op, line.id, Version(rank.number or 0, rank.minor), ts_ms=ts_ms,
        source_name=_SOURCE,
    )  # fmt: skip
    if kind is VersionKind.OFFSET:
        headers.append((VERSION_HEADER, f"{VersionKind.OFFSET.value}:{rank.number}".encode()))
    before = line.before if line.op == "d" else None
    record = {"op": line.op, "ts_ms": ts_ms, "before": before, "after": line.after}
    stated = {} if kind is VersionKind.OFFSET else {kind.value: rank.number}
    value = encode_json({**record, "source": {**source, **stated}})
    return RawRecord(topic, partition, encode_key(line.id), value, headers)
