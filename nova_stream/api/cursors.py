"""Cursors of lists: opaque to callers, the list and a place in its order to us. They stay right
while rows come and go, since they name a place and not a number of rows.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from nova_stream.clock import EPOCH
from nova_stream.errors import BadCursorError
from nova_stream.events.times import canonical_time
from nova_stream.storage.lists.lines import LinePlace
from nova_stream.storage.places import (
    AgentPlace,
    Cursor,
    ListPlace,
    LongestPlace,
    Side,
    TaskPlace,
)

T = TypeVar("T")

_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Numeric = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,400}(\.[0-9]{1,1100})?$")]
_decode_named = msgspec.json.Decoder(tuple[str, str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder(tuple[str | None, str]).decode
_decode_page = msgspec.json.Decoder(tuple[str | None, str, Side]).decode
_decode_agent = msgspec.json.Decoder(tuple[str | None, str, str, Side]).decode
_decode_task = msgspec.json.Decoder(tuple[float | None, str | None, str]).decode
_decode_longest = msgspec.json.Decoder(tuple[_Numeric, str, str, Side]).decode
_decode_line = msgspec.json.Decoder(tuple[_Number, Side]).decode
_decode_timed_line = msgspec.json.Decoder(tuple[_Number, _Number, Side]).decode
_MICROSECOND = timedelta(microseconds=1)
#: What lists are called; a cursor that somebody has made may call its list anything.
_NAME = re.compile(r"[a-z ]{1,40}")


class ListId(NamedTuple):
    """A list in an order of its own: what people call it, and whose it is (a build's tasks)."""

    name: str
    of: tuple[str, ...] = ()

    @property
    def whose(self) -> str:
        """A short text that differs for other owners of lists of this name."""
        if not self.of:
            return ""
        return blake2b(msgspec.json.encode(self.of), digest_size=6).hexdigest()


def encode_cursor(list_: ListId, place: ListPlace | None) -> str | None:
    """The cursor to what comes after ``place``."""
    return None if place is None else _encode(list_, (place.time, place.id))


def decode_cursor(list_: ListId, cursor: str | None) -> ListPlace | None:
    """The place of a cursor; raises BadCursorError for what is none of the list's, as all do."""
    if cursor is None:
        return None
    return _checked(*_read(_decode, list_, cursor))


def encode_page(list_: ListId, cursor: Cursor[ListPlace] | None) -> str | None:
    """The cursor of a list that can be read in both directions."""
    if cursor is None:
        return None
    return _encode(list_, (cursor.place.time, cursor.place.id, cursor.side))


def decode_page(list_: ListId, cursor: str | None) -> Cursor[ListPlace] | None:
    """What ``encode_page`` has made."""
    if cursor is None:
        return None
    time, id_, side = _read(_decode_page, list_, cursor)
    return Cursor(_checked(time, id_), side)


def encode_agent(list_: ListId, cursor: Cursor[AgentPlace] | None) -> str | None:
    """The cursor of a list of agents."""
    return None if cursor is None else _encode(list_, (*cursor.place, cursor.side))


def decode_agent(list_: ListId, cursor: str | None) -> Cursor[AgentPlace] | None:
    """What ``encode_agent`` has made."""
    if cursor is None:
        return None
    time, name, id_, side = _read(_decode_agent, list_, cursor)
    _checked(time, name + id_)
    return Cursor(AgentPlace(time, name, id_), side)


def encode_longest(list_: ListId, cursor: Cursor[LongestPlace] | None) -> str | None:
    """The cursor of the list of executions by their durations."""
    return None if cursor is None else _encode(list_, (*cursor.place, cursor.side))


def decode_longest(list_: ListId, cursor: str | None) -> Cursor[LongestPlace] | None:
    """What ``encode_longest`` has made."""
    if cursor is None:
        return None
    duration, time, id_, side = _read(_decode_longest, list_, cursor)
    _checked(time, id_)
    return Cursor(LongestPlace(duration, time, id_), side)


def encode_task(list_: ListId, place: TaskPlace | None) -> str | None:
    """The cursor to the tasks of a build that come after ``place``."""
    return None if place is None else _encode(list_, place)


def decode_task(list_: ListId, cursor: str | None) -> TaskPlace | None:
    """What ``encode_task`` has made."""
    if cursor is None:
        return None
    place = TaskPlace(*_read(_decode_task, list_, cursor))
    _checked(place.time, place.id)
    return place


def decode_id(list_: ListId, cursor: str | None) -> str | None:
    """The id, or name, of a cursor that ``encode_id`` gave."""
    place = decode_cursor(list_, cursor)
    return None if place is None else place.id


def encode_id(list_: ListId, id_: str | None) -> str | None:
    """The cursor to what comes after the row of this id, or name."""
    return None if id_ is None else encode_cursor(list_, ListPlace(None, id_))


def encode_line(list_: ListId, cursor: Cursor[LinePlace] | None) -> str | None:
    """The cursor of a list of lines: of times and numbers."""
    if cursor is None:
        return None
    place = [_microseconds(x) if isinstance(x, datetime) else x for x in cursor.place]
    return _encode(list_, [*place, cursor.side])


def decode_line(
    list_: ListId, cursor: str | None, *, timed: bool = False
) -> Cursor[LinePlace] | None:
    """What ``encode_line`` has made of a number, behind a time if the lines are ``timed``."""
    if cursor is None:
        return None
    if not timed:
        number, side = _read(_decode_line, list_, cursor)
        return Cursor((number,), side)
    time, number, side = _read(_decode_timed_line, list_, cursor)
    try:
        return Cursor((EPOCH + time * _MICROSECOND, number), side)
    except OverflowError:
        raise BadCursorError from None


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND


def _encode(list_: ListId, place: Any) -> str:
    named = (list_.name, list_.whose, place)
    return urlsafe_b64encode(msgspec.json.encode(named)).decode().rstrip("=")


def _read(decode: Callable[[bytes | msgspec.Raw], T], list_: ListId, cursor: str) -> T:
    """What ``_encode`` has made for this list."""
    try:
        text = cursor.encode("ascii")
        packed = b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        name, whose, place = _decode_named(packed)
        if (name, whose) == (list_.name, list_.whose):
            return decode(place)
    except (ValueError, RecursionError):
        raise BadCursorError from None
    if name == list_.name:
        raise BadCursorError(f"it belongs to another list of the same kind ({name})")
    theirs = f" ({name})" if _NAME.fullmatch(name) else ""
    raise BadCursorError(f"it belongs to another list{theirs}, not to this one ({list_.name})")


def _checked(time: str | None, id_: str) -> ListPlace:
    try:
        if time is not None:
            canonical_time(time)
    except ValueError:
        raise BadCursorError from None
    if "\x00" in id_:  # which Postgres has in no text
        raise BadCursorError
    return ListPlace(time, id_)
