"""Noticing, in a flush, that a topic's lsns come from another server than those known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from nova_stream.events.change import Change, Entity
from nova_stream.storage.apply.admission import AdmittedChunk
from nova_stream.storage.apply.fold import State, state_of
from nova_stream.storage.apply.sources import known_states, seems_moved
from nova_stream.storage.database import Connection


async def find(
    connection: Connection,
    entity: Entity,
    admitted: list[AdmittedChunk],
    kept: Mapping[str, Change],
) -> bool:
    """Look whether changes that would count for nothing are of another server.

    Where the topic's next source is announced it begins there; else they become dead letters. True
    when something was found, and all is to be folded anew.
    """
    below = [(a, a.source.below_high(a.changes)) for a in admitted]
    ids = {change.id for _, changes in below for change in changes}
    if ids:
        known = await known_states(connection, entity, ids)
        for id_ in ids:
            winner = state_of(kept[id_])
            if id_ not in known or winner.counts_over(known[id_][0]):
                known[id_] = winner, kept[id_].changed_at
        found = [
            (a, [change for change in changes if _has_moved(change, *known[change.id])])
            for a, changes in below
        ]
        found = [(a, changes) for a, changes in found if changes]
        if found:
            for a, changes in found:
                a.take_up_move(changes)
            return True
    for a in admitted:
        a.source.note_high(a.changes)
    return False


def _has_moved(change: Change, known: State, at: datetime) -> bool:
    return not state_of(change).counts_over(known) and seems_moved(change, known.rank, at)
