"""Search over everything that has an id, with the indexes that are there anyhow: one for words or
for texts in small letters would cost the stream more than a twentieth of its speed.

Raises what asyncpg raises; needs a connection that is in no transaction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.lists.read import INDEXES
from nova_stream.storage.stats.read import read_row
from nova_stream.storage.stats.rows import Time

Match = Literal["exact", "prefix", "word"]
#: Rows that are looked at, at most: those that follow an id, and the newest of a list.
_FOLLOWING = 1000
NEWEST = 5000


class Hit(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Something that was found; ``name`` is an agent's name, a build's `prdName`, a task's title, a
    user's `userId` or a job's description.
    """

    id: str
    match: Annotated[
        Match,
        msgspec.Meta(description="exact: its ID or name; prefix: its ID begins so; word: words."),
    ]
    name: Annotated[
        str | UnsetType | None,
        msgspec.Meta(description="Of builds and tasks only with the scope documents."),
    ] = UNSET
    status: str | None = None
    agent: str | None = None
    time: Annotated[Time | None, msgspec.Meta(description="What its list is ordered by.")] = None
    email: Annotated[
        str | UnsetType | None,
        msgspec.Meta(description="Of users, only with the scope documents."),
    ] = UNSET


class HitGroup(msgspec.Struct, frozen=True, rename="camel"):
    """What was found of one kind: exact matches first, then those that begin so, then words."""

    kind: str
    items: list[Hit]
    more: Annotated[bool, msgspec.Meta(description="Whether more than that were found.")]


class _Kind(NamedTuple):
    """How one kind is searched."""

    name: str
    table: str
    time: str
    columns: str
    documents: str = ""
    #: The text with its words, of the row ``w``, for everybody and for those who see documents.
    words: str | None = None
    private_words: str | None = None


_KINDS = (
    _Kind("agents", "agents", "created_at", "t.name", words="w.name"),
    _Kind(
        "builds",
        "builds",
        "started_at",
        "t.status",
        "left(t.prd_name, 300) AS name",
        private_words="w.prd_name",
    ),
    _Kind(
        "tasks",
        "tasks",
        "created_at",
        "t.status, t.agent",
        "left(t.title, 300) AS name",
        private_words="w.title",
    ),
    _Kind("executions", "executions", "timestamp", "t.agent"),
    _Kind(
        "users",
        "user_profiles",
        "last_active_at",
        "t.user_id AS name",
        "left(t.email, 300) AS email",
        words="w.user_id",
        private_words="concat_ws(' ', w.user_id, w.email)",
    ),
)


async def search(
    connection: Connection, text: str, limit: int, *, documents: bool
) -> list[HitGroup]:
    """At most ``limit`` of each kind that the text finds, kinds without any left out; e-mail
    addresses and words of documents are looked at only for those who may see ``documents``.
    """
    groups = []
    patterns = [f"%{_escaped(word)}%" for word in text.lower().split()]
    async with snapshot(connection):
        await connection.execute(INDEXES)
        for kind in _KINDS:
            statement = _statement(kind, limit + 1, documents=documents)
            values = [text, patterns] if "$2" in statement else [text]
            rows = await connection.fetch(statement, *values)
            hits = [read_row(Hit, row) for row in rows[:limit]]
            if hits:
                groups.append(HitGroup(kind.name, hits, len(rows) > limit))
    return groups


def _escaped(word: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", word)


def _statement(kind: _Kind, limit: int, *, documents: bool) -> str:
    """The best of each way to find a row, best first; $1 is the text."""
    # Made from our own text, never from input.
    found = [
        f"SELECT w.id, 0 AS rank FROM {kind.table} w WHERE w.id = $1::text",  # noqa: S608
        # Whatever the database's order of texts is, those that begin so follow the text itself.
        f"""SELECT w.id, 1 AS rank FROM (
            SELECT id, deleted_at FROM {kind.table} w WHERE id >= $1::text
            ORDER BY id LIMIT {_FOLLOWING}
        ) w WHERE starts_with(w.id, $1::text) AND w.deleted_at IS NULL LIMIT {limit}""",  # noqa: S608
    ]
    words = kind.words
    columns = kind.columns
    if documents:
        words = kind.private_words or words
        columns += f", {kind.documents}" if kind.documents else ""
    if words is not None:
        found.append(
            f"""SELECT w.id, CASE WHEN words = lower($1::text) THEN 0 ELSE 2 END AS rank FROM (
                SELECT w.id, w.{kind.time} AS time, lower(left({words}, 1000)) AS words
                FROM {kind.table} w {_newest(kind)} LIMIT {NEWEST}
            ) w WHERE words LIKE ALL ($2::text[])
            ORDER BY rank, w.time DESC NULLS LAST, w.id DESC LIMIT {limit}"""  # noqa: S608
        )
    return f"""
WITH found AS MATERIALIZED ({" UNION ALL ".join(f"({each})" for each in found)}),
best AS MATERIALIZED (SELECT id, min(rank) AS rank FROM found GROUP BY id)
SELECT t.id, (ARRAY['exact', 'prefix', 'word'])[best.rank + 1] AS match,
    t.{kind.time} AS time, {columns}
FROM best JOIN {kind.table} t USING (id) WHERE t.deleted_at IS NULL
ORDER BY best.rank, t.{kind.time} DESC NULLS LAST, t.id DESC LIMIT {limit}"""  # noqa: S608


def _newest(kind: _Kind) -> str:
    if kind.name == "agents":  # there are few, and no index by time
        return "ORDER BY w.id"
    return f"WHERE w.{kind.time} < 'infinity' ORDER BY w.{kind.time} DESC, w.id DESC"


def search_named(named: Mapping[str, str], text: str, limit: int) -> HitGroup | None:
    """The same over names with a description each, as jobs have them."""
    wanted = text.lower()
    hits = []
    for name, description in named.items():
        words = f"{name} {description}".lower()
        match: Match | None = None
        if name == text:
            match = "exact"
        elif name.lower().startswith(wanted):
            match = "prefix"
        elif all(one in words for one in wanted.split()):
            match = "word"
        if match is not None:
            hits.append(Hit(id=name, match=match, name=description))
    order: Any = ("exact", "prefix", "word").index
    hits.sort(key=lambda hit: (order(hit.match), hit.id))
    return HitGroup("jobs", hits[:limit], len(hits) > limit) if hits else None
