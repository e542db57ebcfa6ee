"""Folding a flush's changes to the newest of each document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from nova_stream.events.change import Change, Version, VersionKind

#: Offsets of a topic that was made again outrank those before: the generation stands above
#: this many bits of the version's number (2^44 records a partition, 2^19 generations).
GENERATION_BITS = 44


class Rank(NamedTuple):
    """A version among those of all sources that a topic has had."""

    source_generation: int
    number: int
    minor: int


def generation_number(offset: int, generation: int) -> int:
    """The version's number of an offset in the topic's ``generation``-th life (contract 1)."""
    return (generation << GENERATION_BITS) + offset


def offset_of_place(place: int) -> int:
    """The offset in a partition of what ``generation_number`` gave; -1 where it was unknown."""
    offset = place % (1 << GENERATION_BITS)
    return offset if offset + 1 < 1 << GENERATION_BITS else -1


def newest(changes: Iterable[Change]) -> dict[str, Change]:
    """The change of the highest version of each document; of equal versions the first.

    What stands between has no effect on the figures: they are computed from the row that a
    change replaces, whatever that row is.
    """
    found: dict[str, Change] = {}
    known = found.get
    for change in changes:
        other = known(change.id)
        if other is None or (change.number, change.minor) > (other.number, other.minor):
            found[change.id] = change
    return found


def newest_by_lsn(changes: Iterable[Change]) -> dict[str, Change]:
    """``newest`` where versions are lsns: of equal ones the later place of a partition counts."""
    found: dict[str, Change] = {}
    for change in changes:
        other = found.get(change.id)
        if other is None or outranks(change, other):
            found[change.id] = change
    return found


def outranks(change: Change, other: Change) -> bool:
    """Whether a change with an lsn counts although ``other`` is known: the rule of ``sql``'s guard.

    Places of two partitions do not compare, but for those of a topic's earlier life.
    """
    rank, known = rank_of(change), rank_of(other)
    if rank != known:
        return rank > known
    if change.partition == other.partition:
        return change.place > other.place
    return change.place >> GENERATION_BITS > other.place >> GENERATION_BITS


def older_versions(changes: Iterable[Change], kept: dict[str, Change]) -> dict[str, list[Change]]:
    """For kept changes with unavailable fields: the older changes of the same documents,
    newest first.
    """
    wanted = {change.id for change in kept.values() if change.unavailable}
    found: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.id in wanted and order_of(change) < order_of(kept[change.id]):
            found[change.id].append(change)
    for older in found.values():
        older.sort(key=order_of, reverse=True)
    return found


def version_of(change: Change) -> Version:
    """The change's version, to compare by where all are of one source."""
    return Version(change.number, change.minor)


def rank_of(change: Change) -> Rank:
    """The change's version, to compare by."""
    return Rank(change.rank_generation, change.number, change.minor)


def order_of(change: Change) -> tuple[int, int, int, int]:
    """What puts the changes of one partition in order."""
    return (*rank_of(change), change.place)


def rank_offset(change: Change, generation: int) -> None:
    """Put an offset's version into its generation, once; other kinds stay as they are, and so does
    a number that the record states.
    """
    if change.kind is VersionKind.OFFSET and not change.stated:
        change.number = generation_number(change.offset, generation)


def rank_lsn(change: Change, generation: int) -> None:
    """Give a change with an lsn its place in the topic's ``generation``.

    A record that was published again has the place where it stood first. Where that does not
    compare with this partition's, it has the lowest, which never decides.
    """
    origin = change.origin
    offset = change.offset
    if origin is not None:
        same = (origin.generation, origin.partition) == (generation, change.partition)
        offset = origin.offset if same else -1
    change.place = generation_number(offset, generation)


def is_placed(change: Change) -> bool:
    """Whether the place that ``rank_lsn`` gave is one of this partition."""
    return offset_of_place(change.place) >= 0
