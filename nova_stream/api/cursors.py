"""Cursors of lists: opaque to callers, a place in the list's order to us. They stay right while
rows come and go, since they name a place and not a number of rows.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from typing import Annotated, Any

import msgspec

from nova_stream.api.problems import ProblemError
from nova_stream.events.times import canonical_time
from nova_stream.storage.stats.rows import AgentPlace, ListPlace

_Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_decode = msgspec.json.Decoder(tuple[str | None, str]).decode
_decode_agent = msgspec.json.Decoder(tuple[str | None, str, str]).decode
_decode_numbers = msgspec.json.Decoder(list[_Number]).decode


def encode_cursor(place: ListPlace | None) -> str | None:
    """The cursor to what comes after ``place``."""
    return None if place is None else _encode((place.time, place.id))


def decode_cursor(cursor: str | None) -> ListPlace | None:
    """The place of a cursor; raises ProblemError 422 for what is none of ours."""
    if cursor is None:
        return None
    try:
        place = _place(cursor.encode("ascii"))
    except ValueError:
        place = None
    if place is None or "\x00" in place.id:  # which Postgres has in no id
        raise bad_cursor()
    return place


def encode_agent(place: AgentPlace | None) -> str | None:
    """The cursor to the agents that come after ``place``."""
    return None if place is None else _encode(place)


def decode_agent(cursor: str | None) -> AgentPlace | None:
    """The place of a cursor; raises ProblemError 422 for what is none of ours."""
    if cursor is None:
        return None
    try:
        place = AgentPlace(*_decode_agent(_bytes(cursor.encode("ascii"))))
        if place.time is not None:
            canonical_time(place.time)
    except ValueError:
        raise bad_cursor() from None
    if "\x00" in place.name + place.id:  # which Postgres has in neither
        raise bad_cursor()
    return place


def decode_id(cursor: str | None) -> str | None:
    """The id, or name, of a cursor that ``encode_id`` gave; ProblemError 422 for other ones."""
    place = decode_cursor(cursor)
    return None if place is None else place.id


def encode_id(id_: str | None) -> str | None:
    """The cursor to what comes after the row of this id, or name."""
    return None if id_ is None else encode_cursor(ListPlace(None, id_))


def encode_number(number: int | None) -> str | None:
    """The cursor to what comes after the row of this number."""
    return None if number is None else encode_numbers(number)


def decode_number(cursor: str | None) -> int | None:
    """The number of a cursor; raises ProblemError 422 for what is none of ours."""
    numbers = decode_numbers(cursor, 1)
    return None if numbers is None else numbers[0]


def encode_numbers(*numbers: int) -> str:
    """The cursor to a place that these numbers make, each of 64 bits."""
    return _encode(numbers)


def decode_numbers(cursor: str | None, count: int) -> list[int] | None:
    """The ``count`` numbers of a cursor; raises ProblemError 422 for what is none of ours."""
    if cursor is None:
        return None
    try:
        numbers = _decode_numbers(_bytes(cursor.encode("ascii")))
    except ValueError:
        raise bad_cursor() from None
    if len(numbers) != count:
        raise bad_cursor()
    return numbers


def bad_cursor() -> ProblemError:
    """This cursor is none of ours."""
    return ProblemError(422, "bad-cursor", "cursor: not a nextCursor of this list")


def _encode(place: Any) -> str:
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _bytes(cursor: bytes) -> bytes:
    return b64decode(cursor + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)


def _place(cursor: bytes) -> ListPlace:
    time, id_ = _decode(_bytes(cursor))
    if time is not None:
        canonical_time(time)
    return ListPlace(time, id_)
