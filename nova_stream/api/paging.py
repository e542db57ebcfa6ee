"""What lists take that are read page by page, in both directions and within a range of time."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from fastapi import Query, Request

from nova_stream.api.cursors import ListId, decode_line, encode_line
from nova_stream.api.openapi.responses import Page
from nova_stream.api.parameters import NO_NUL, Rows, bad_parameter, time_of
from nova_stream.events.times import time_text
from nova_stream.storage.lists.lines import LinePlace
from nova_stream.storage.lists.statements import OpenRange
from nova_stream.storage.places import FoundPage

Row = TypeVar("Row")

PageCursor = Annotated[
    str | None,
    Query(
        description="`nextCursor` or `prevCursor` of a page with the same filters; "
        "none = the first page."
    ),
]
Since = Annotated[
    str | None,
    Query(alias="from", description="Only from this time on (ISO 8601, UTC by default)."),
]
Until = Annotated[
    str | None, Query(alias="to", description="Only before this time, which is not in.")
]


def text(what: str) -> Any:
    """A text that rows have somewhere; ``what`` says where."""
    return Query(min_length=1, max_length=200, pattern=NO_NUL, description=what)


def open_range(start: str | None, end: str | None) -> OpenRange:
    """The range of a list; raises ProblemError 422 for what is none."""
    found = OpenRange(_time_text("from", start), _time_text("to", end))
    if start is not None and end is not None and str(found.start) >= str(found.end):
        raise bad_parameter("from", "must be before to")
    return found


def _time_text(name: str, value: str | None) -> str | None:
    return None if value is None else time_text(time_of(name, value))


class AskedLines:
    """What lists of lines take; each has a subclass of its own."""

    #: What people call the list. One list is there for each address.
    name: str
    #: Whether a line's place is a time and a number, and not a number alone.
    timed = False

    def __init__(
        self,
        request: Request,
        limit: Rows = 50,
        cursor: PageCursor = None,
        start: Since = None,
        end: Until = None,
    ) -> None:
        self._list = ListId(self.name, tuple(request.path_params.values()))
        place = decode_line(self._list, cursor, timed=self.timed)
        #: For the reads of ``storage``: how many, from where, and within which times.
        self.asked = (limit, place, open_range(start, end))

    def page(self, found: FoundPage[Row, LinePlace]) -> Page[Row]:
        """A page of lines as it is answered."""
        following, before = encode_line(self._list, found.next), encode_line(self._list, found.prev)
        return Page(found.rows, following, prev_cursor=before)
