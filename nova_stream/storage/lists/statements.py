"""The statements of a page, of the catalogue's own text; what callers give are parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nova_stream.storage.lists.catalogue import Filter, Listing
from nova_stream.storage.places import Cursor, ListPlace, Side


class OpenRange(NamedTuple):
    """The times of rows, as text: ``start`` is in, ``end`` is out; None = open."""

    start: str | None = None
    end: str | None = None


class Question(NamedTuple):
    """What is asked of a list: the filters' values by name, and whether documents may be shown."""

    listing: Listing
    filters: Mapping[str, str] = {}
    range: OpenRange = OpenRange()
    documents: bool = False


class Statement(NamedTuple):
    """A statement with its parameters."""

    text: str
    values: list[Any]


class Way(NamedTuple):
    """Rows that have a time, or those that have none, on a side of a place (None = all)."""

    timed: bool
    side: Side
    place: ListPlace | None


def ways(question: Question, start: Cursor[ListPlace]) -> Iterator[Way]:
    """What a page from ``start`` goes through, in this order."""
    ranged = question.range != OpenRange()
    if start.place.time is not None:
        yield Way(timed=True, side=start.side, place=start.place)
        if not start.backward and not ranged:
            yield Way(timed=False, side="<", place=None)
        return
    if not ranged:
        yield Way(timed=False, side=start.side, place=start.place)
    if start.backward:
        yield Way(timed=True, side=">", place=ListPlace("-infinity", ""))


class _Builder:
    """A statement as it grows."""

    def __init__(self, question: Question, way: Way) -> None:
        self.question = question
        self.listing = question.listing
        self.way = way
        self.values: list[Any] = []
        turn = "DESC" if way.side in {"<", "<="} else "ASC"
        self.order = f"ORDER BY {{0}}.{self.listing.time} {turn}, {{0}}.id {turn}"

    def put(self, value: Any, cast: str = "text") -> str:
        """The parameter for ``value``."""
        self.values.append(value)
        return f"${len(self.values)}::{cast}"

    def filters(self, *but: str) -> list[str]:
        """The conditions of all filters besides ``but``."""
        return [self.filter(name) for name in self.question.filters if name not in but]

    def filter(self, name: str) -> str:
        """The condition of a filter."""
        value = self.put(self.question.filters[name])
        return self.listing.filters[name].condition.format(value=value)

    def place(self) -> list[str]:
        """The conditions of the way, and of the range."""
        time, way = f"w.{self.listing.time}", self.way
        if not way.timed:
            found = [f"{time} IS NULL", "w.deleted_at IS NULL"]
            if way.place is not None:
                found.append(f"w.id {way.side} {self.put(way.place.id)}")
            return found
        assert way.place is not None
        bound = f"({self.put(way.place.time)}::timestamptz, {self.put(way.place.id)})"
        found = [f"({time}, w.id) {way.side} {bound}"]
        start, end = self.question.range
        if start is not None:
            found.append(f"{time} >= {self.put(start)}::timestamptz")
        if end is not None:
            found.append(f"{time} < {self.put(end)}::timestamptz")
        return found

    def walk(self, limit: int, offset: int = 0) -> str:
        """The rows of the way in the list's order, as far as an index alone leads to them."""
        ordered = self._ordered()
        columns = f"w.id, w.{self.listing.time}"
        for column in self.listing.filtered.split(", "):
            if self._looks_at(f"w.{column}"):
                columns += f", w.{column}"
        order = self.order.format("w")
        where = [*self.place(), *(self.filter(name) for name in ordered)]
        parts = self.listing.parts if self.way.timed and not ordered else ()
        # Made from the catalogue's own text, never from input.
        branches = [
            f"SELECT {columns} FROM {self.listing.table} w "  # noqa: S608
            f"WHERE {' AND '.join([*where, *part])} {order} LIMIT {limit + offset}"
            for part in ([part] for part in parts)
        ] or [f"SELECT {columns} FROM {self.listing.table} w WHERE {' AND '.join(where)}"]  # noqa: S608
        rows = branches[0]
        if len(branches) > 1:
            rows = f"SELECT * FROM (({') UNION ALL ('.join(branches)})) w"  # noqa: S608
        return f"{rows} {order} LIMIT {limit} OFFSET {offset}"

    def looked_at(self) -> list[Filter]:
        """The filters that are looked at row by row along the walk."""
        ordered = self._ordered()
        filters = self.listing.filters
        return [filters[name] for name in self.question.filters if name not in ordered]

    def _looks_at(self, column: str) -> bool:
        """Whether a filter of the question needs ``column``; some cost a document's reading."""
        filters = self.listing.filters
        return any(column in filters[name].condition for name in self.question.filters)

    def _ordered(self) -> list[str]:
        filters = self.listing.filters
        return [
            name
            for name in self.question.filters
            if self.way.timed and filters[name].found_by == "order"
        ]

    def ids(self, by: str | None, limit: int) -> str:
        """The ids of a page of ``limit`` rows; by what the filter ``by`` finds, or a walk."""
        if by is not None:
            # OFFSET 0: the filter's own index finds the rows, whatever else is asked for.
            rows = (
                f"SELECT * FROM {self.listing.table} w "  # noqa: S608
                f"WHERE {self.filter(by)} AND w.deleted_at IS NULL OFFSET 0"
            )
            where = [*self.place(), *self.filters(by)]
        elif looked_at := self.looked_at():
            rows = self.walk(min(each.walk for each in looked_at))
            where = self.filters(*self._ordered())
        else:
            return f"SELECT w.id FROM ({self.walk(limit)}) w"  # noqa: S608
        conditions = " AND ".join(where)
        return (
            f"SELECT w.id FROM ({rows}) w WHERE {conditions} "  # noqa: S608
            f"{self.order.format('w')} LIMIT {limit}"
        )


def page_of(question: Question, way: Way, by: str | None, limit: int) -> Statement:
    """The rows of a page, at most ``limit``."""
    builder = _Builder(question, way)
    listing = question.listing
    columns, joined = listing.columns, ""
    if question.documents and listing.documents:
        columns += f", {listing.documents}"
        joined = listing.joined
    return Statement(
        f"WITH page AS MATERIALIZED ({builder.ids(by, limit)}) "  # noqa: S608
        f"SELECT {columns} FROM page JOIN {listing.table} t USING (id) {joined} "
        f"{builder.order.format('t')}",
        builder.values,
    )


def walked_to(question: Question, way: Way) -> Statement | None:
    """The last row that a walk looks at before it stops; None where it stops at nothing."""
    builder = _Builder(question, way)
    looked_at = builder.looked_at()
    if not looked_at:
        return None
    text = builder.walk(1, min(each.walk for each in looked_at) - 1)
    return Statement(text, builder.values)


def count_found(question: Question, name: str, most: int) -> Statement:
    """How many rows the index of a filter finds, as far as ``most``."""
    builder = _Builder(question, Way(timed=True, side="<", place=None))
    text = (
        "SELECT count(*) AS found FROM (SELECT FROM "  # noqa: S608
        f"{question.listing.table} w WHERE {builder.filter(name)} LIMIT {most}) w"
    )
    return Statement(text, builder.values)
