"""Folding a flush's changes to the newest of each document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cmp_to_key
from typing import NamedTuple

from nova_stream.events.change import (
    COMPARED_MINOR,
    SNAPSHOT_MINOR,
    Change,
    Version,
    VersionKind,
)
from nova_stream.events.versions import GENERATION_BITS, generation_number, offset_of_place


class Rank(NamedTuple):
    """A version among those of all sources that a topic has had."""

    source_generation: int
    number: int
    minor: int

    @property
    def of_snapshot(self) -> bool:
        """Whether it is that of a snapshot's row, which transactions that were open when it was
        read may follow with lower lsns.
        """
        return SNAPSHOT_MINOR <= self.minor < SNAPSHOT_MINOR + COMPARED_MINOR


class State(NamedTuple):
    """What a document has: a version, and where in a topic it stood."""

    rank: Rank
    partition: int
    place: int

    def counts_over(self, other: State) -> bool:
        """Whether it counts although ``other`` is known: the rule of ``sql``'s guard for lsns.

        Places of two partitions do not compare, but for those of a topic's earlier life. A streamed
        change behind a snapshot's row counts whatever its lsn: its transaction was open when the
        row was read, so that it wrote to the log before and was committed after.
        """
        if self._is_streamed_behind(other):
            return True
        if other._is_streamed_behind(self):
            return False
        if self.rank != other.rank:
            return self.rank > other.rank
        if self.partition == other.partition:
            return self.place > other.place
        return self.place >> GENERATION_BITS > other.place >> GENERATION_BITS

    def _is_streamed_behind(self, snapshot: State) -> bool:
        return (
            self.rank.minor >= 0
            and snapshot.rank.of_snapshot
            and self.rank.source_generation == snapshot.rank.source_generation
            and self.partition == snapshot.partition
            and self.place > snapshot.place
            and self.place >> GENERATION_BITS == snapshot.place >> GENERATION_BITS
            and offset_of_place(self.place) >= 0
        )


def newest(changes: Iterable[Change], passed: list[Change] | None = None) -> dict[str, Change]:
    """The change of the highest version of each document; of equal versions the first.

    What stands between has no effect on the figures of now: they are computed from the row that a
    change replaces, whatever that row is. ``passed`` gets the changes that counted until a newer
    one came.
    """
    found: dict[str, Change] = {}
    known = found.get
    for change in changes:
        other = known(change.id)
        if other is None:
            found[change.id] = change
        elif change.number > other.number or (
            change.number == other.number and change.minor > other.minor
        ):
            found[change.id] = change
            if passed is not None:
                passed.append(other)
    return found


def newest_by_lsn(
    changes: Iterable[Change], passed: list[Change] | None = None
) -> dict[str, Change]:
    """``newest`` where versions are lsns: of equal ones the later place of a partition counts."""
    found: dict[str, Change] = {}
    for change in changes:
        other = found.get(change.id)
        if other is not None:
            if not outranks(change, other):
                continue
            if passed is not None:
                passed.append(other)
        found[change.id] = change
    return found


def outranks(change: Change, other: Change) -> bool:
    """Whether a change with an lsn counts although ``other`` is known."""
    return state_of(change).counts_over(state_of(other))


def older_versions(changes: Iterable[Change], kept: dict[str, Change]) -> dict[str, list[Change]]:
    """For kept changes with unavailable fields: the older changes of the same documents,
    newest first.
    """
    wanted = {change.id for change in kept.values() if change.unavailable}
    found: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.id in wanted and outranks(kept[change.id], change):
            found[change.id].append(change)
    for older in found.values():
        older.sort(key=lambda change: newest_last(state_of(change)), reverse=True)
    return found


@cmp_to_key
def newest_last(one: State, other: State) -> int:
    """A key that puts what is known of a document in order, what counts over the others last."""
    return one.counts_over(other) - other.counts_over(one)


def version_of(change: Change) -> Version:
    """The change's version, to compare by where all are of one source."""
    return Version(change.number, change.minor)


def rank_of(change: Change) -> Rank:
    """The change's version, to compare by."""
    return Rank(change.rank_generation, change.number, change.minor)


def state_of(change: Change) -> State:
    """What a document has by this change."""
    return State(rank_of(change), change.partition, change.place)


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
