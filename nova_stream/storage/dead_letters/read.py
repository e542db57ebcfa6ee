"""The dead letters as the API shows them. All raise what asyncpg raises."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import msgspec

from nova_stream.events.times import time_text
from nova_stream.storage.database import Connection
from nova_stream.storage.dead_letters import sql as sql_dead_letters
from nova_stream.storage.dead_letters.store import DeadLetterStore, Letter, Listed, State, listed
from nova_stream.storage.stats.rows import Time

_LARGEST = 2**63 - 1
#: Bytes of a value that is told as text, too.
_LONGEST_TEXT = 1024 * 1024

_Base64 = Annotated[str | None, msgspec.Meta(description="The bytes, in base64.")]


class DeadLetterRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A record that could not be applied. ``size`` is the number of its value's bytes, null for a
    null value; ``timestamp`` is when it was written.
    """

    id: int
    state: State
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


class LetterHeader(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A header of the record; ``value`` where it is UTF-8. Both are null for a null value."""

    name: str
    value: str | None
    value_base64: _Base64


class DeadLetterWhole(DeadLetterRow, frozen=True, rename="camel", kw_only=True):
    """A dead letter with its bytes; texts are null where the bytes are no UTF-8, and a value's
    where it has more than 1 MB.
    """

    key_base64: _Base64
    value_text: str | None
    value_base64: _Base64
    headers: list[LetterHeader]


async def dead_letters(
    connection: Connection,
    limit: int,
    before: int | None = None,
    *,
    topic: str | None = None,
    reason: str | None = None,
    state: State | None = None,
) -> tuple[list[DeadLetterRow], int | None]:
    """A page of dead letters, newest first, and the number after which the next page goes on."""
    rows = await connection.fetch(
        sql_dead_letters.PAGE, topic, reason, state, before or _LARGEST, limit + 1
    )
    found = [DeadLetterRow(**_fields(listed(row), row["key"])) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


async def dead_letter(connection: Connection, id_: int) -> DeadLetterWhole | None:
    """A whole letter; None when there is none of this number."""
    letter = await DeadLetterStore(connection).find_one(id_)
    return None if letter is None else _whole(letter)


def _fields(row: Listed, key: bytes | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "generation": row.generation,
        "key": _text(key),
        "reason": row.reason,
        "detail": row.message,
        "size": row.size,
        "timestamp": None if row.record_time is None else time_text(row.record_time),
        "recorded_at": time_text(row.failed_at),
        "attempts": row.attempts,
    }


def _whole(letter: Letter) -> DeadLetterWhole:
    return DeadLetterWhole(
        **_fields(letter.listed, letter.key),
        key_base64=_base64(letter.key),
        value_text=_text(letter.value) if len(letter.value or b"") <= _LONGEST_TEXT else None,
        value_base64=_base64(letter.value),
        headers=[
            LetterHeader(name=name, value=_text(value), value_base64=_base64(value))
            for name, value in letter.headers
        ],
    )


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
