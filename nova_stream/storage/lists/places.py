"""Places in a list: where a page begins, and in which direction it goes."""

from __future__ import annotations

from typing import Literal

import msgspec

from nova_stream.storage.stats.rows import ListPlace

#: How the rows of a page compare to the place: ``<`` goes on to older ones, ``>`` back to newer
#: ones; with ``=`` the row at the place is one of them.
Side = Literal["<", "<=", ">", ">="]
_OPPOSITE: dict[Side, Side] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


class Cursor(msgspec.Struct, frozen=True):
    """The rows on one side of a place."""

    place: ListPlace
    side: Side = "<"

    @property
    def backward(self) -> bool:
        """Whether the page goes back to the list's begin."""
        return self.side in {">", ">="}

    def opposite(self) -> Cursor:
        """Exactly the rows that are not on this side."""
        return Cursor(self.place, _OPPOSITE[self.side])


#: Where a list begins: newest first, and what has no time comes last.
BEGIN = Cursor(ListPlace("infinity", ""))
