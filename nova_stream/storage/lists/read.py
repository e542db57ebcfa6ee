"""Pages of the lists. What a page costs is bounded: an index leads to its rows, or it stops after
some that it has looked at and says where the next one goes on, even if it has found none.

All raise what asyncpg raises, and need a connection that is in no transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from nova_stream.storage.bounded import fetch_within
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.lists.statements import (
    Question,
    Statement,
    count_found,
    page_of,
    walked_to,
    ways,
)
from nova_stream.storage.places import BEGIN, Cursor, FoundPage, ListPlace, found_page
from nova_stream.storage.stats.read import Bounds, in_turns, read_row, shown

#: As many rows that an index finds are sorted; of more the list is walked in its order.
SORTED = 2000
#: In a snapshot of a list: however small a table is, its indexes are followed.
INDEXES = "SET LOCAL enable_seqscan = off"


class _Walked(NamedTuple):
    """Rows in the order in which they were found, and where the walk goes on."""

    rows: list[dict[str, Any]]
    end: ListPlace | None


async def read_page(
    connection: Connection,
    question: Question,
    bounds: Bounds,
    cursor: Cursor[ListPlace] | None = None,
) -> FoundPage[Any, ListPlace]:
    """A page of a list in one snapshot; a page may hold fewer rows than wanted and not be the last.

    Reading on from ``next`` until there is none gives every row once, and so does reading back.
    """
    async with snapshot(connection):
        return await read_in_snapshot(connection, question, bounds, cursor)


async def read_in_snapshot(
    connection: Connection,
    question: Question,
    bounds: Bounds,
    cursor: Cursor[ListPlace] | None = None,
) -> FoundPage[Any, ListPlace]:
    """As ``read_page``, in the caller's snapshot."""
    await connection.execute(INDEXES)
    start = cursor or BEGIN
    found = await _walk(connection, question, bounds, start)
    rows = await in_turns(partial(read_row, question.listing.kind), found.rows)
    return found_page(rows, found.end, cursor)


async def _walk(
    connection: Connection, question: Question, bounds: Bounds, start: Cursor[ListPlace]
) -> _Walked:
    rows: list[dict[str, Any]] = []
    used = 0
    by = await _found_by(connection, question)
    for way in ways(question, start):
        # One row at least is asked for: it tells whether there are more.
        left = Bounds(max(1, bounds.rows - len(rows)), max(1, bounds.size - used))
        text, values = page_of(question, way, by, left.rows + 1)
        found = await fetch_within(connection, text, *values, **left._asdict())
        full = len(rows) >= bounds.rows or used >= bounds.size
        if not full:
            rows += found.rows
            used += found.size
        if found.more or (full and found.rows):
            return _Walked(rows, _place(question, rows[-1]))
        statement = None if by else walked_to(question, way)
        if statement and (last := await _first(connection, statement)):
            return _Walked(rows, _place(question, last))
    return _Walked(rows, None)


async def _found_by(connection: Connection, question: Question) -> str | None:
    """The filter whose rows are so few that they are all looked at."""
    for name in question.filters:
        if question.listing.filters[name].found_by == "set":
            counted = await _first(connection, count_found(question, name, SORTED + 1))
            if counted is not None and counted["found"] <= SORTED:
                return name
    return None


async def _first(connection: Connection, statement: Statement) -> Mapping[str, Any] | None:
    row: Mapping[str, Any] | None = await connection.fetchrow(statement.text, *statement.values)
    return row


def _place(question: Question, row: Mapping[str, Any]) -> ListPlace:
    return ListPlace(shown(row[question.listing.time]), row["id"])
