"""The list of inactive users, and the events that tell who came onto it and who left.

List and events change in one transaction; the events are sent afterwards, at least once, each
with an id that a repetition keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from nova_stream.storage.database import Connection
from nova_stream.storage.maintenance import sql
from nova_stream.storage.maintenance.place import BatchPlace


class MarkedBatch(NamedTuple):
    """What a batch did: users new on the list, inactive users looked at, where to go on."""

    marked: int
    seen: int
    place: BatchPlace


class UnmarkedBatch(NamedTuple):
    """What a batch did: users active again, the id where to go on, None at the end."""

    reactivated: int
    place: str | None


class InactivityEvent(msgspec.Struct, frozen=True):
    """A user turned ``inactive`` or ``active`` again; ``ce_id`` stays the same for ever."""

    id: int
    ce_id: str
    event: str
    profile_id: str
    user_id: str | None
    last_active_at: datetime
    occurred_at: datetime


async def mark(
    connection: Connection,
    cutoff: datetime,
    place: BatchPlace,
    rows: int,
    *,
    now: datetime,
    run_id: int,
) -> MarkedBatch:
    """Look at up to ``rows`` users last active before ``cutoff``, from ``place`` on, and put those
    that are new onto the list, each with its event; in a transaction.

    When fewer than ``rows`` were looked at, none is left.
    """
    row = await connection.fetchrow(
        sql.MARK_INACTIVE, cutoff, place.time, place.id, rows, now, run_id
    )
    if row is None:
        return MarkedBatch(0, 0, place)
    return MarkedBatch(row["marked"], row["seen"], BatchPlace(row["last_time"], row["last_id"]))


async def unmark(
    connection: Connection,
    cutoff: datetime,
    after: str,
    rows: int,
    *,
    now: datetime,
    run_id: int,
) -> UnmarkedBatch:
    """Look at up to ``rows`` users of the list behind the id ``after`` and take off who is not
    inactive any more, or is gone; in a transaction.

    Who has been active since has an event; who only left because of the cutoff has none.
    """
    row = await connection.fetchrow(sql.UNMARK_INACTIVE, cutoff, after, rows, now, run_id)
    assert row is not None
    return UnmarkedBatch(row["reactivated"], row["last"] if row["seen"] == rows else None)


async def open_events(connection: Connection, rows: int) -> list[InactivityEvent]:
    """Up to ``rows`` events that were not sent yet, in their order."""
    found = await connection.fetch(sql.OPEN_INACTIVITY_EVENTS, rows)
    return [InactivityEvent(**dict(row)) for row in found]


async def close_events(connection: Connection, events: Sequence[InactivityEvent]) -> None:
    """Note that ``events`` were sent."""
    await connection.execute(sql.CLOSE_INACTIVITY_EVENTS, [event.id for event in events])


async def forget_events(connection: Connection, days: int, rows: int) -> None:
    """Delete up to ``rows`` events that were sent more than ``days`` ago."""
    await connection.execute(sql.FORGET_INACTIVITY_EVENTS, days, rows)
