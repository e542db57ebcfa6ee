"""Documents as the main app's functions read them. All raise what asyncpg raises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from nova_stream.errors import RejectedError, TooMuchError
from nova_stream.events.change import Entity
from nova_stream.storage.bounded import fetch_within
from nova_stream.storage.convex import sql
from nova_stream.storage.database import Connection

#: As many documents a list has at most, whatever is asked for, and bytes of them.
MOST = 16_384
MOST_BYTES = 4 * 1024 * 1024
_STEPS = (64, 1024, MOST)


class StoredDocument(msgspec.Struct, frozen=True):
    """A document, with its ``id`` inside; ``made_at`` is its own time, else that of its last
    change.
    """

    id: str
    version: int
    document: dict[str, Any]
    made_at: datetime


async def by_id(connection: Connection, entity: Entity, id_: str) -> StoredDocument | None:
    """An agent, build or task."""
    return _stored(await connection.fetchrow(_BY_ID[entity], id_))


async def agent_of_name(connection: Connection, name: str) -> StoredDocument | None:
    """Of the agents of this name the first by id."""
    return _stored(await connection.fetchrow(sql.AGENT_OF_NAME, name))


async def build_of_prd(connection: Connection, prd_id: str) -> StoredDocument | None:
    """Of the builds of a PRD the first that was started."""
    return _stored(await connection.fetchrow(sql.BUILD_OF_PRD, prd_id))


async def build_of_start(
    connection: Connection, prd_id: str, started_at: str
) -> StoredDocument | None:
    """The build of a PRD that has exactly this text as its start."""
    return _stored(await connection.fetchrow(sql.BUILD_OF_START, prd_id, started_at))


async def builds(
    connection: Connection, limit: int, after: str | None = None
) -> list[StoredDocument]:
    """Builds, newest start first: those behind the build ``after``, all without one. Raises
    RejectedError where it has no place among them, or no more.
    """
    place: str | None = _END
    if after:
        place = await connection.fetchval(sql.PLACE_OF_BUILD, after)
    if place is None:
        raise RejectedError("bad_cursor", "cursor: no build of the list has this ID (any more)")
    return await _all(connection, sql.BUILDS, place, after or "", limit)


async def builds_at_work(connection: Connection) -> list[StoredDocument]:
    """Running and pending builds, newest start first."""
    return await _all(connection, sql.BUILDS_AT_WORK, MOST)


async def tasks_of_build(connection: Connection, build_id: str) -> list[StoredDocument]:
    """The tasks of a build, in the order of their creation."""
    return await _all(connection, sql.TASKS_OF_BUILD, build_id, MOST)


async def task_of_build(
    connection: Connection, build_id: str, task_id: str
) -> StoredDocument | None:
    """The task that a build calls ``task_id``."""
    return _stored(await connection.fetchrow(sql.TASK_OF_BUILD, build_id, task_id))


async def task_at_work(connection: Connection, task_id: str) -> StoredDocument | None:
    """The task that a build at work calls ``task_id``; the newest such build's."""
    return _stored(await connection.fetchrow(sql.TASK_AT_WORK, task_id))


async def executions_of_agent(
    connection: Connection, agent: str, limit: int
) -> list[StoredDocument]:
    """An agent's executions, newest first; archived ones without prompt and response."""
    return await _all(connection, sql.EXECUTIONS_OF_AGENT, agent, limit)


async def activities(
    connection: Connection,
    limit: int,
    *,
    since: datetime | None = None,
    user: str | None = None,
    agent: str | None = None,
) -> list[StoredDocument]:
    """The activity feed, newest first: since an instant, or of a user, or of a user's agent."""
    if since is not None:
        return await _all(connection, sql.ACTIVITIES_SINCE, since, limit)
    if user is None:
        return await _all(connection, sql.ACTIVITIES, limit)
    if agent is None:
        return await _all(connection, sql.ACTIVITIES_OF_USER, user, limit)
    return await _all(connection, sql.ACTIVITIES_OF_AGENT, user, agent, limit)


async def learnings(connection: Connection, prd_id: str) -> list[StoredDocument]:
    """What was learned for a PRD, oldest first."""
    return await _all(connection, sql.LEARNINGS, prd_id, MOST)


async def _all(connection: Connection, statement: str, *arguments: Any) -> list[StoredDocument]:
    """The rows of a statement whose last argument is how many.

    Raises TooMuchError, beside what asyncpg raises: a list with a part missing would be wrong where
    the main app counts.
    """
    *others, limit = arguments
    for rows in (min(step, limit) for step in _STEPS):  # few rows show whether they are large
        bounds = {"rows": rows, "size": MOST_BYTES}
        found = await fetch_within(connection, statement, *others, rows + 1, **bounds)
        if found.size > MOST_BYTES or (found.more and found.size >= MOST_BYTES):
            raise TooMuchError
        if not found.more or rows == limit:
            break
    return [_read(row) for row in found.rows]


def _stored(row: asyncpg.Record | None) -> StoredDocument | None:
    return None if row is None else _read(row)


def _read(row: Mapping[str, Any] | asyncpg.Record) -> StoredDocument:
    return StoredDocument(row["id"], row["version"], _document(row["doc"]), row["made_at"])


def _document(text: str) -> Any:
    """A document's fields; numbers beyond all doubles are infinite, as JavaScript reads them."""
    try:
        return msgspec.json.decode(text)
    except msgspec.ValidationError:
        return json.loads(text, parse_int=_whole)


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < _DIGITS else float(digits)


_BY_ID = {
    Entity.AGENTS: sql.AGENT,
    Entity.BUILDS: sql.BUILD,
    Entity.TASKS: sql.TASK,
}
#: A double has at most 309 before its point.
_DIGITS = 310
#: Behind every start.
_END = "infinity"
