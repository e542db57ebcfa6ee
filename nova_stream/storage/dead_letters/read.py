"""The dead letters as people see them, in the API and on the command line. All raise what asyncpg
raises.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from nova_stream.storage.database import Connection
from nova_stream.storage.dead_letters import sql
from nova_stream.storage.dead_letters.insert import read_headers
from nova_stream.storage.lists.lines import LinePlace, Lines, read_lines, words
from nova_stream.storage.lists.statements import OpenRange
from nova_stream.storage.places import Cursor, FoundPage
from nova_stream.storage.stats.rows import Time, times_as_text

LetterState = Literal["open", "retried", "discarded"]

#: A key's bytes, each a letter of LATIN1, which has all but 0; so a text's in UTF-8 are found in
#: it, be it text or not. Only letters of ASCII are found in any case.
_SHORT = "substring(key FOR 1024)"
_BYTES = "convert_to({value}, 'UTF8')"
_IN_KEY = f"""
coalesce(CASE WHEN position('\\x00'::bytea IN {_SHORT}) = 0
    THEN strpos(lower(convert_from({_SHORT}, 'LATIN1')), lower(convert_from({_BYTES}, 'LATIN1')))
    ELSE strpos(lower(encode({_SHORT}, 'escape')), lower(encode({_BYTES}, 'escape')))
END, 0) > 0"""

_LETTERS = Lines(
    sql.LIST,
    "failed_at",
    {
        "topic": "topic = {value}",
        "reason": "reason = {value}",
        "state": "state = {value}",
        "q": f"({words('message')} OR {_IN_KEY})",
    },
)
#: Bytes of a value that is told as text, too.
_LONGEST_TEXT = 1024 * 1024

_Base64 = Annotated[str | None, msgspec.Meta(description="The bytes, in base64.")]


class DeadLetter(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A record that could not be applied. ``size`` is the number of its value's bytes, null for a
    null value; ``timestamp`` is when it was written.
    """

    id: int
    state: LetterState
    topic: str
    partition: int
    offset: int
    generation: int
    key: Annotated[
        str | None,
        msgspec.Meta(description="Where it is UTF-8; in a list also no longer than 1 kB."),
    ]
    reason: str
    detail: str
    size: int | None
    timestamp: Time | None
    recorded_at: Time
    attempts: int


class DeadLetterHeader(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A header of the record; ``value`` where it is UTF-8. Both are null for a null value."""

    name: str
    value: str | None
    value_base64: _Base64


class WholeDeadLetter(DeadLetter, frozen=True, rename="camel", kw_only=True):
    """A dead letter with its bytes; texts are null where the bytes are no UTF-8, and a value's
    where it has more than 1 MB.
    """

    key_base64: _Base64
    value_text: str | None
    value_base64: _Base64
    headers: list[DeadLetterHeader]


async def dead_letters(
    connection: Connection,
    limit: int,
    cursor: Cursor[LinePlace] | None = None,
    span: OpenRange | None = None,
    *,
    topic: str | None = None,
    reason: str | None = None,
    state: LetterState | None = None,
    q: str | None = None,
) -> FoundPage[DeadLetter, LinePlace]:
    """A page of dead letters, newest first; ``span`` is of when they failed."""
    given = {"topic": topic, "reason": reason, "state": state, "q": q}
    found = await read_lines(connection, _LETTERS, limit, cursor, span, **given)
    return found.of(lambda row: DeadLetter(**_shown(dict(row))))


async def count_dead_letters(
    connection: Connection, *, topic: str | None, reason: str | None, state: LetterState | None
) -> int:
    """How many dead letters there are of this kind."""
    number: int = await connection.fetchval(sql.COUNT, topic, reason, state)
    return number


async def exists(connection: Connection, id_: int) -> bool:
    """Whether there is a letter of this number."""
    return await connection.fetchval(sql.EXISTING, [id_]) is not None


async def dead_letter(connection: Connection, id_: int) -> Mapping[str, Any] | None:
    """The row of a letter, for ``whole``; None when there is none of this number."""
    row: Mapping[str, Any] | None = await connection.fetchrow(sql.WHOLE, id_)
    return row


def whole(row: Mapping[str, Any]) -> WholeDeadLetter:
    """The whole letter; of a large one this takes tens of milliseconds."""
    value: bytes | None = row["value"]
    fields = _shown(row)
    for name in ("value", "headers"):
        del fields[name]
    return WholeDeadLetter(
        **fields,
        key_base64=_base64(row["key"]),
        value_text=_text(value) if len(value or b"") <= _LONGEST_TEXT else None,
        value_base64=_base64(value),
        headers=[
            DeadLetterHeader(name=name, value=_text(header), value_base64=_base64(header))
            for name, header in read_headers(row["headers"])
        ],
    )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return times_as_text(row) | {"key": _text(row["key"])}


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
