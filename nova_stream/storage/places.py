"""Places in a list: where a page begins, and in which direction it goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Literal, NamedTuple, TypeVar

import msgspec

#: How the rows of a page compare to the place: ``<`` goes on to older ones, ``>`` back to newer
#: ones; with ``=`` the row at the place is one of them.
Side = Literal["<", "<=", ">", ">="]
_OPPOSITE: dict[Side, Side] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}

Row = TypeVar("Row")
Place = TypeVar("Place")
Made = TypeVar("Made")


class AgentPlace(NamedTuple):
    """Where a page of agents ends: lastActive, name and id (empty = it has none)."""

    time: str | None
    name: str
    id: str


class TaskPlace(NamedTuple):
    """Where a page of a build's tasks ends: phase, creation (None = it has none) and id."""

    phase: float | None
    time: str | None
    id: str


class ListPlace(msgspec.Struct, frozen=True):
    """Where a page of a list ends: the row's time (None = it has none) and id."""

    time: str | None
    id: str


class LongestPlace(NamedTuple):
    """Where a page of executions by their durations ends: duration (as text, so that it is
    exact), time and id.
    """

    duration: str
    time: str
    id: str


class Cursor(msgspec.Struct, Generic[Place], frozen=True):
    """The rows on one side of a place."""

    place: Place
    side: Side = "<"

    @property
    def backward(self) -> bool:
        """Whether the page goes back to the list's begin."""
        return self.side in {">", ">="}

    def opposite(self) -> Cursor[Place]:
        """Exactly the rows that are not on this side."""
        return Cursor(self.place, _OPPOSITE[self.side])


#: Where a list begins: newest first, and what has no time comes last.
BEGIN: Cursor[ListPlace] = Cursor(ListPlace("infinity", ""))


class FoundPage(NamedTuple, Generic[Row, Place]):
    """A page's rows in the list's order, and the cursors of its neighbours (None = the end)."""

    rows: list[Row]
    next: Cursor[Place] | None
    prev: Cursor[Place] | None

    def of(self, made: Callable[[Row], Made]) -> FoundPage[Made, Place]:
        """The same page with what ``made`` makes of each row."""
        return FoundPage([made(row) for row in self.rows], self.next, self.prev)


def found_page(
    rows: list[Row], end: Place | None, cursor: Cursor[Place] | None
) -> FoundPage[Row, Place]:
    """The page that begins at ``cursor`` (None = the list's begin): ``rows`` in the order in which
    they were found, up to ``end``, where there are more.
    """
    backward = cursor is not None and cursor.backward
    ahead: Cursor[Place] | None = None if end is None else Cursor(end, ">" if backward else "<")
    behind = None if cursor is None else cursor.opposite()
    if backward:
        return FoundPage(rows[::-1], behind, ahead)
    return FoundPage(rows, ahead, behind)
