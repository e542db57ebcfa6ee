"""The audit trail: who did what, and who was refused. Lines are added and read, never changed; the
database itself refuses anything else. All raise what asyncpg raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from nova_stream.storage.database import Connection
from nova_stream.storage.lists.lines import LinePlace, Lines, read_lines, words
from nova_stream.storage.lists.statements import OpenRange
from nova_stream.storage.places import Cursor, FoundPage
from nova_stream.storage.stats.rows import Time, times_as_text

#: The outcome of what is about to be done; a line with what came of it follows.
BEGUN = "begun"

INSERT = """
INSERT INTO audit_trail (at, until, requests, token, address, action, object, outcome, refused)
SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[],
    $6::text[], $7::text[], $8::text[], $9::boolean[])
"""
_LINES = Lines(
    "SELECT id, at, until, requests, token, address, action, object, outcome, refused "
    "FROM audit_trail",
    "until",
    {
        "token": "token = {value}",
        "refused": "refused = {value}",
        "q": words("action", "coalesce(object, '')", "outcome"),
    },
)
#: The oldest lines that may go: a few at a time, and the look ends at the first few that stay.
_FORGET = """
DELETE FROM audit_trail WHERE id IN (
    SELECT id FROM (SELECT id, until FROM audit_trail ORDER BY id LIMIT $2) AS oldest
    WHERE until < $1 AND until < now() - INTERVAL '365 days')
"""
#: Lines that one statement looks at.
_BATCH = 1000

#: Letters that a text of a line has at most.
_LONGEST = 300


class Line(NamedTuple):
    """Something that was done or refused, ``requests`` times from ``at`` to ``until``."""

    at: datetime
    until: datetime
    requests: int
    #: The token's name; None where there was none, or an unknown one.
    token: str | None
    #: From where; None where lines of several addresses were put together.
    address: str | None
    action: str
    object: str | None
    #: ``begun``, ``done``, or the kind of the problem.
    outcome: str
    refused: bool


class TrailRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A line of the audit trail."""

    id: int
    at: Annotated[Time, msgspec.Meta(description="When it first happened.")]
    until: Annotated[Time, msgspec.Meta(description="When it last happened.")]
    requests: Annotated[
        int, msgspec.Meta(description="How often it happened between `at` and `until`.")
    ]
    token: Annotated[
        str | None,
        msgspec.Meta(description="The token's name; null without one, or for an unknown one."),
    ]
    address: Annotated[
        str | None,
        msgspec.Meta(
            description="The caller's address; null where lines of several addresses are merged."
        ),
    ]
    action: Annotated[str, msgspec.Meta(description="The route or the command.")]
    object: Annotated[str | None, msgspec.Meta(description="The object of the action.")]
    outcome: Annotated[
        str,
        msgspec.Meta(
            description="`begun` (a later line has the outcome), `done`, `cut off`, "
            "`call-refused` or the kind of the problem."
        ),
    ]
    refused: Annotated[bool, msgspec.Meta(description="Whether it was refused for lack of rights.")]


async def add(connection: Connection, lines: Sequence[Line]) -> None:
    """Add lines."""
    await connection.execute(INSERT, *columns_of(lines))


def columns_of(lines: Sequence[Line]) -> list[tuple[Any, ...]]:
    """The parameters of ``INSERT``."""
    return list(zip(*(_storable(line) for line in lines), strict=True))


async def forget(connection: Connection, before: datetime) -> int:
    """Delete lines older than that time and than a year, a few at a time; gives how many."""
    total, deleted = 0, 1
    while deleted:
        status = await connection.execute(_FORGET, before, _BATCH)
        deleted = int(status.rpartition(" ")[2])
        total += deleted
    return total


async def page(
    connection: Connection,
    limit: int,
    cursor: Cursor[LinePlace] | None = None,
    span: OpenRange | None = None,
    *,
    token: str | None = None,
    refused: bool | None = None,
    q: str | None = None,
) -> FoundPage[TrailRow, LinePlace]:
    """A page of lines, newest first: all, or those of a token, only (not) refused ones, or those
    with a text; ``span`` is of when it last happened.
    """
    given = {"token": token, "refused": refused, "q": q}
    found = await read_lines(connection, _LINES, limit, cursor, span, **given)
    return found.of(lambda row: TrailRow(**times_as_text(dict(row))))


def _storable(line: Line) -> Line:
    return line._replace(
        token=_text(line.token),
        address=_text(line.address),
        action=_text(line.action) or "",
        object=_text(line.object),
    )


def _text(value: str | None) -> str | None:
    """What Postgres can store of a text: callers choose what is in it."""
    if value is None:
        return None
    return value[:_LONGEST].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
