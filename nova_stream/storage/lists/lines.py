"""Pages of what is kept line by line under numbers: alerts, runs of jobs, the audit trail, dead
letters. Newest first, read in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import asyncpg

from nova_stream.storage.database import Connection
from nova_stream.storage.lists.catalogue import contains
from nova_stream.storage.lists.statements import OpenRange
from nova_stream.storage.places import Cursor, FoundPage, found_page


class Lines(NamedTuple):
    """A list of lines; all of it is our own text."""

    #: ``SELECT … FROM …``; its columns include those of ``place``.
    select: str
    #: The column of a line's time.
    time: str
    #: What a line is in the list by, with ``{value}`` for what is given, by name.
    filters: Mapping[str, str]
    #: The columns that order it, and their types: the last is unique.
    place: Mapping[str, str] = {"id": "bigint"}
    #: What gives the values of ``part``, by which the index of the time begins: the newest lines of
    #: each are found by it, and the newest of them are the page. Empty: the lines are one part.
    parts: str = ""
    part: str = ""


#: The values of ``Lines.place``, in its order.
LinePlace = tuple[Any, ...]


def words(*texts: str) -> str:
    """The condition that one of ``texts`` has the text that is given, in any case."""
    return contains(*texts).condition


async def read_lines(
    connection: Connection,
    lines: Lines,
    limit: int,
    cursor: Cursor[LinePlace] | None = None,
    span: OpenRange | None = None,
    **given: Any,
) -> FoundPage[asyncpg.Record, LinePlace]:
    """A page of ``lines``: those within ``span`` that fulfil all filters ``given``; None is no
    filter. Reading on from ``next`` until there is none gives every line once, and so does reading
    back. Raises what asyncpg raises.
    """
    statement, values = _page_of(lines, limit, cursor, span or OpenRange(), given)
    rows = await connection.fetch(statement, *values)
    end = None
    if len(rows) > limit:
        end = tuple(rows[limit - 1][column] for column in lines.place)
    return found_page(rows[:limit], end, cursor)


def _page_of(
    lines: Lines,
    limit: int,
    cursor: Cursor[LinePlace] | None,
    span: OpenRange,
    given: Mapping[str, Any],
) -> tuple[str, list[Any]]:
    values: list[Any] = []

    def put(value: Any, kind: str) -> str:
        values.append(value)
        return f"${len(values)}::{kind}"

    where = []
    if cursor is not None:
        kinds = zip(cursor.place, lines.place.values(), strict=True)
        place = ", ".join(put(value, kind) for value, kind in kinds)
        where.append(f"({', '.join(lines.place)}) {cursor.side} ({place})")
    for side, time in ((">=", span.start), ("<", span.end)):
        if time is not None:
            where.append(f"{lines.time} {side} {put(time, 'text')}::timestamptz")
    for name, value in given.items():
        if value is not None:
            kind = "boolean" if isinstance(value, bool) else "text"
            where.append(lines.filters[name].format(value=put(value, kind)))
    turn = "ASC" if cursor is not None and cursor.backward else "DESC"
    order = ", ".join(f"{column} {turn}" for column in lines.place)
    if lines.parts:
        where.append(f"{lines.part} = p.part")
    conditions = f"WHERE {' AND '.join(where)}" if where else ""
    page = f"{lines.select} {conditions} ORDER BY {order} LIMIT {limit + 1}"
    if lines.parts:
        # Made from our own text, never from input.
        page = (
            f"SELECT l.* FROM ({lines.parts}) p CROSS JOIN LATERAL ({page}) l "  # noqa: S608
            f"ORDER BY {order} LIMIT {limit + 1}"
        )
    return page, values
