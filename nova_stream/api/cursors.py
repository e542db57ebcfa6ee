"""Cursors of lists: opaque to callers, a place in the list's order to us. They stay right while
rows come and go, since they name a place and not a number of rows.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

from nova_stream.errors import BadCursorError
from nova_stream.events.times import canonical_time
from nova_stream.storage.lists.places import Cursor, Side
from nova_stream.storage.stats.rows import AgentPlace, ListPlace, TaskPlace

T = TypeVar("T")

_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_decode = msgspec.json.Decoder(tuple[str | None, str]).decode
_decode_page = msgspec.json.Decoder(tuple[str | None, str, Side]).decode
_decode_agent = msgspec.json.Decoder(tuple[str | None, str, str]).decode
_decode_task = msgspec.json.Decoder(tuple[float | None, str | None, str]).decode
_decode_numbers = msgspec.json.Decoder(list[_Number]).decode


def encode_cursor(place: ListPlace | None) -> str | None:
    """The cursor to what comes after ``place``."""
    return None if place is None else _encode((place.time, place.id))


def decode_cursor(cursor: str | None) -> ListPlace | None:
    """The place of a cursor; raises BadCursorError for what is none of ours."""
    if cursor is None:
        return None
    return _checked(*_read(_decode, cursor))


def encode_page(cursor: Cursor | None) -> str | None:
    """The cursor of a list that can be read in both directions."""
    if cursor is None or cursor.side == "<":
        return encode_cursor(None if cursor is None else cursor.place)
    return _encode((cursor.place.time, cursor.place.id, cursor.side))


def decode_page(cursor: str | None) -> Cursor | None:
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


def encode_number(number: int | None) -> str | None:
    """The cursor to what comes after the row of this number."""
    return None if number is None else encode_numbers(number)


def decode_number(cursor: str | None) -> int | None:
    """The number of a cursor; raises BadCursorError for what is none of ours."""
    numbers = decode_numbers(cursor, 1)
    return None if numbers is None else numbers[0]


def encode_numbers(*numbers: int) -> str:
    """The cursor to a place that these numbers make, each of 64 bits."""
    return _encode(numbers)


def decode_numbers(cursor: str | None, count: int) -> list[int] | None:
    """The ``count`` numbers of a cursor; raises BadCursorError for what is none of ours."""
    if cursor is None:
        return None
    numbers = _read(_decode_numbers, cursor)
    if len(numbers) != count:
        raise BadCursorError
    return numbers


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
