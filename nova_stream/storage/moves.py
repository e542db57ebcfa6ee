"""Noticing, in a flush, that a topic's lsns come from another server than those known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from nova_stream.events.change import Change, Entity
from nova_stream.stats.fold import Rank, rank_of
from nova_stream.storage.admission import Admitted
from nova_stream.storage.sources import known_versions, seems_moved

Known = tuple[Rank, datetime]


async def find(
    connection: asyncpg.Connection[Any],
    entity: Entity,
    admitted: list[Admitted],
    kept: Mapping[str, Change],
) -> bool:
    """Look whether changes that would count for nothing are of another server.

    Where the topic's next source is announced it begins there; else they become dead letters. True
    when something was found, and all is to be folded anew.
    """
    below = [(a, a.source.below_high(a.changes)) for a in admitted]
    ids = {change.id for _, changes in below for change in changes}
    if ids:
        known = await known_versions(connection, entity, ids)
        for id_ in ids:
            winner = (rank_of(kept[id_]), kept[id_].changed_at)
            known[id_] = max(known.get(id_, winner), winner)
        found = [(a, [c for c in changes if seems_moved(c, *known[c.id])]) for a, changes in below]
        found = [(a, changes) for a, changes in found if changes]
        if found:
            for a, changes in found:
                a.take_up_move(changes)
            return True
    for a in admitted:
        a.source.note_high(a.changes)
    return False
