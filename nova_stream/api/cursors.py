"""Cursors of lists: opaque to callers, a place in the list's order to us. They stay right while
rows come and go, since they name a place and not a number of rows.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec

from nova_stream.clock import EPOCH
from nova_stream.errors import BadCursorError
from nova_stream.events.times import canonical_time
from nova_stream.storage.lists.lines import LinePlace
from nova_stream.storage.lists.places import Cursor, Side
from nova_stream.storage.stats.rows import AgentPlace, ListPlace, TaskPlace

T = TypeVar("T")

_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_decode = msgspec.json.Decoder(tuple[str | None, str]).decode
_decode_page = msgspec.json.Decoder(tuple[str | None, str, Side]).decode
_decode_agent = msgspec.json.Decoder(tuple[str | None, str, str]).decode
_decode_task = msgspec.json.Decoder(tuple[float | None, str | None, str]).decode
_decode_line: Callable[[bytes], list[Any]] = msgspec.json.Decoder(list[_Number | Side]).decode
_MICROSECOND = timedelta(microseconds=1)


def encode_cursor(place: ListPlace | None) -> str | None:
    """The cursor to what comes after ``place``."""
    return None if place is None else _encode((place.time, place.id))


def decode_cursor(cursor: str | None) -> ListPlace | None:
    """The place of a cursor; raises BadCursorError for what is none of ours."""
    if cursor is None:
        return None
    return _checked(*_read(_decode, cursor))


def encode_page(cursor: Cursor[ListPlace] | None) -> str | None:
    """The cursor of a list that can be read in both directions."""
    if cursor is None or cursor.side == "<":
        return encode_cursor(None if cursor is None else cursor.place)
    return _encode((cursor.place.time, cursor.place.id, cursor.side))


def decode_page(cursor: str | None) -> Cursor[ListPlace] | None:
    """What ``encode_page`` has made; raises BadCursorError for what is none of ours."""
    if cursor is None:
        return None
    try:
        time, id_, side = _read(_decode_page, cursor)
    except BadCursorError:
        place = decode_cursor(cursor)
        return None if place is None else Cursor(place)
    return Cursor(_checked(time, id_), side)


def encode_agent(place: AgentPlace | None) -> str | None:
    """The cursor to the agents that come after ``place``."""
    return None if place is None else _encode(place)


def decode_agent(cursor: str | None) -> AgentPlace | None:
    """The place of a cursor; raises BadCursorError for what is none of ours."""
    if cursor is None:
        return None
    place = AgentPlace(*_read(_decode_agent, cursor))
    _checked(place.time, place.name + place.id)
    return place


def encode_task(place: TaskPlace | None) -> str | None:
    """The cursor to the tasks of a build that come after ``place``."""
    return None if place is None else _encode(place)


def decode_task(cursor: str | None) -> TaskPlace | None:
    """The place of a cursor; raises BadCursorError for what is none of ours."""
    if cursor is None:
        return None
    place = TaskPlace(*_read(_decode_task, cursor))
    _checked(place.time, place.id)
    return place


def decode_id(cursor: str | None) -> str | None:
    """The id, or name, of a cursor that ``encode_id`` gave; BadCursorError for other ones."""
    place = decode_cursor(cursor)
    return None if place is None else place.id


def encode_id(id_: str | None) -> str | None:
    """The cursor to what comes after the row of this id, or name."""
    return None if id_ is None else encode_cursor(ListPlace(None, id_))


def encode_line(cursor: Cursor[LinePlace] | None) -> str | None:
    """The cursor of a list of lines: of times and numbers."""
    if cursor is None:
        return None
    place = [_microseconds(x) if isinstance(x, datetime) else x for x in cursor.place]
    return _encode(place if cursor.side == "<" else [*place, cursor.side])


def decode_line(cursor: str | None, *, timed: bool = False) -> Cursor[LinePlace] | None:
    """What ``encode_line`` has made of a number, behind a time if the lines are ``timed``; raises
    BadCursorError for what is none of ours.
    """
    if cursor is None:
        return None
    parts = _read(_decode_line, cursor)
    side: Side = "<"
    if parts and isinstance(parts[-1], str):
        side = parts.pop()
    if len(parts) != 1 + timed or any(isinstance(part, str) for part in parts):
        raise BadCursorError
    if not timed:
        return Cursor((parts[0],), side)
    try:
        return Cursor((EPOCH + parts[0] * _MICROSECOND, parts[1]), side)
    except OverflowError:
        raise BadCursorError from None


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND


def _encode(place: Any) -> str:
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _read(decode: Callable[[bytes], T], cursor: str) -> T:
    """What ``_encode`` has made; raises BadCursorError for what is none of ours."""
    try:
        text = cursor.encode("ascii")
        return decode(b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except ValueError:
        raise BadCursorError from None


def _checked(time: str | None, id_: str) -> ListPlace:
    try:
        if time is not None:
            canonical_time(time)
    except ValueError:
        raise BadCursorError from None
    if "\x00" in id_:  # which Postgres has in no text
        raise BadCursorError
    return ListPlace(time, id_)
