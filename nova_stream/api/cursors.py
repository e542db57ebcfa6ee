"""Cursors of lists: opaque to callers, a place in the list's order to us. They stay right while
rows come and go, since they name a place and not a number of rows.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode

import msgspec

from nova_stream.api.problems import ProblemError
from nova_stream.events.times import canonical_time
from nova_stream.storage.rows import Place

_decode = msgspec.json.Decoder(tuple[str | None, str]).decode


def encode_cursor(place: Place | None) -> str | None:
    """The cursor to what comes after ``place``."""
    if place is None:
        return None
    return urlsafe_b64encode(msgspec.json.encode((place.time, place.id))).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> Place | None:
    """The place of a cursor; raises ProblemError 422 for what is none of ours."""
    if cursor is None:
        return None
    try:
        place = _place(cursor.encode("ascii"))
    except ValueError:
        place = None
    if place is None or "\x00" in place.id:  # which Postgres has in no id
        raise ProblemError(422, "bad-cursor", "cursor: this is no nextCursor that a list has given")
    return place


def _place(cursor: bytes) -> Place:
    data = b64decode(cursor + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    time, id_ = _decode(data)
    if time is not None:
        canonical_time(time)
    return Place(time, id_)
