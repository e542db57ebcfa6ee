"""Folding a flush's changes to the newest of each document."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from nova_stream.events.change import Change, Version, VersionKind

#: Offsets of a topic that was made again outrank those before: the generation stands above
#: this many bits of the version's number (2^44 records a partition, 2^19 generations).
GENERATION_BITS = 44


def generation_number(offset: int, generation: int) -> int:
    """The version's number of an offset in the topic's ``generation``-th life (contract 1)."""
    return (generation << GENERATION_BITS) + offset


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


def older_versions(changes: Iterable[Change], kept: dict[str, Change]) -> dict[str, list[Change]]:
    """For kept changes with unavailable fields: the older changes of the same documents,
    newest first.
    """
    wanted = {change.id for change in kept.values() if change.unavailable}
    found: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        if change.id in wanted and version_of(change) < version_of(kept[change.id]):
            found[change.id].append(change)
    for older in found.values():
        older.sort(key=version_of, reverse=True)
    return found


def version_of(change: Change) -> Version:
    """The change's version, to compare by."""
    return Version(change.number, change.minor)


def rank_offset(change: Change, generation: int) -> None:
    """Put an offset's version into its generation, once; other kinds stay as they are, and so does
    a number that the record states.
    """
    if change.kind is VersionKind.OFFSET and not change.stated:
        change.number = generation_number(change.offset, generation)
