"""The list of an agent's executions in a range of time by how long they took, the longest first.

What a page costs is that of an index-only look at the agent's executions in the range: rows are
looked up for those alone that may be shown. All raise what asyncpg raises, and need a connection
that is in no transaction.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from nova_stream.storage.bounded import fetch_within
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.lists.read import INDEXES
from nova_stream.storage.lists.rows import ListedExecution
from nova_stream.storage.lists.statements import Question
from nova_stream.storage.places import Cursor, FoundPage, LongestPlace, found_page
from nova_stream.storage.stats.read import Bounds, in_turns, read_row, shown

#: Filters that the index answers; all others look at rows.
_INDEXED = {"agent", "minDuration"}
_PLACE = "w.duration, w.timestamp, w.id"
#: The place of a row, as exact as Postgres has it.
_EXACT = "t.duration::text AS place_duration, t.timestamp AS place_time, t.id AS place_id"
_PLACED = {"place_duration", "place_time", "place_id"}


class _Candidates:
    """The statements of a page: from the longest executions on a side of a place the rows that
    fulfil all filters. ``walk``: as many are looked at, and all that equal the last of them.
    """

    def __init__(self, question: Question, cursor: Cursor[LongestPlace] | None, rows: int) -> None:
        self.question = question
        self.side = "<" if cursor is None else cursor.side
        self.place = None if cursor is None else cursor.place
        self.turn = "DESC" if self.side in {"<", "<="} else "ASC"
        self.others = [name for name in question.filters if name not in _INDEXED]
        filters = question.listing.filters
        self.walk = min([filters[name].walk for name in self.others], default=rows)
        self.values: list[Any] = []

    def _put(self, value: Any, cast: str = "text") -> str:
        # As text: asyncpg would want a number or a time as Python has it.
        self.values.append(value)
        return f"${len(self.values)}::text::{cast}"

    def _filter(self, name: str) -> str:
        value = self._put(self.question.filters[name])
        return self.question.listing.filters[name].condition.format(value=value)

    def _picked(self) -> str:
        """The durations and times of the candidates, from the index alone."""
        start, end = self.question.range
        where = ["w.duration IS NOT NULL", "w.timestamp IS NOT NULL"]
        where += [self._filter(name) for name in self.question.filters if name in _INDEXED]
        if start is not None:
            where.append(f"w.timestamp >= {self._put(start, 'timestamptz')}")
        if end is not None:
            where.append(f"w.timestamp < {self._put(end, 'timestamptz')}")
        at = ""
        if self.place is not None:
            time = self._put(self.place.time, "timestamptz")
            duration = self._put(self.place.duration, "numeric")
            # Those that equal the place come besides: the ids tell on which side they are.
            where.append(f"(w.duration, w.timestamp) {self.side[0]} ({duration}, {time})")
            at = f" UNION SELECT {duration}, {time}"
        order = f"ORDER BY w.duration {self.turn}, w.timestamp {self.turn} LIMIT {self.walk}"
        # Made from the catalogue's own text, never from input.
        return (
            "picked AS MATERIALIZED (SELECT w.duration, w.timestamp FROM executions w "  # noqa: S608
            f"WHERE {' AND '.join(where)} {order}), "
            f"beside AS MATERIALIZED (SELECT DISTINCT duration, timestamp FROM picked{at})"
        )

    def _rows(self) -> str:
        """The candidates' rows, and the conditions that an index has not answered."""
        found = "FROM beside JOIN executions w USING (timestamp, duration) WHERE "
        found += self._filter("agent")
        if self.place is not None:
            duration = self._put(self.place.duration, "numeric")
            time = self._put(self.place.time, "timestamptz")
            found += f" AND ({_PLACE}) {self.side} ({duration}, {time}, {self._put(self.place.id)})"
        return found

    def page(self, limit: int) -> str:
        """The page's rows, at most ``limit``."""
        listing = self.question.listing
        columns = f"{_EXACT}, {listing.columns}"
        if self.question.documents:
            columns += f", {listing.documents}"
        picked, rows = self._picked(), self._rows()
        where = "".join(f" AND {self._filter(name)}" for name in self.others)
        order = f"ORDER BY {{0}}.duration {self.turn}, {{0}}.timestamp {self.turn}, "
        order += f"{{0}}.id {self.turn}"
        return (
            f"WITH {picked}, page AS MATERIALIZED (SELECT w.id {rows}{where} "  # noqa: S608
            f"{order.format('w')} LIMIT {limit}) "
            f"SELECT {columns} FROM page JOIN executions t USING (id) {order.format('t')}"
        )

    def walked_to(self) -> str:
        """The last row that the page has looked at, where there may be more than these."""
        back = "ASC" if self.turn == "DESC" else "DESC"
        picked, rows = self._picked(), self._rows()
        return (
            f"WITH {picked} SELECT {_EXACT.replace('t.', 'w.')} {rows} "  # noqa: S608
            f"AND (SELECT count(*) FROM picked) = {self.walk} "
            f"ORDER BY w.duration {back}, w.timestamp {back}, w.id {back} LIMIT 1"
        )


async def read_longest(
    connection: Connection,
    question: Question,
    bounds: Bounds,
    cursor: Cursor[LongestPlace] | None = None,
) -> FoundPage[ListedExecution, LongestPlace]:
    """A page of executions in one snapshot, the longest first, of equal ones the newest; those
    without a duration are left out. The question names an agent, and is of executions.

    A page may hold fewer rows than wanted and not be the last. Reading on from ``next`` until
    there is none gives every row once, and so does reading back.
    """
    async with snapshot(connection):
        await connection.execute(INDEXES)
        asked = _Candidates(question, cursor, bounds.rows + 1)
        text = asked.page(bounds.rows + 1)
        found = await fetch_within(connection, text, *asked.values, **bounds._asdict())
        end = _place(found.rows[-1]) if found.more else None
        if end is None and asked.others:
            walked = _Candidates(question, cursor, bounds.rows + 1)
            text = walked.walked_to()
            last = await connection.fetchrow(text, *walked.values)
            end = None if last is None else _place(dict(last))
    shown_rows = [{k: v for k, v in row.items() if k not in _PLACED} for row in found.rows]
    rows = await in_turns(partial(read_row, ListedExecution), shown_rows)
    return found_page(rows, end, cursor)


def _place(row: dict[str, Any]) -> LongestPlace:
    return LongestPlace(row["place_duration"], shown(row["place_time"]), row["place_id"])
