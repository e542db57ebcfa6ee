"""The reads behind the API. Each gives one state: what takes several statements reads them in one
snapshot. All raise what asyncpg raises, and need a connection that is in no transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeVar

import asyncpg
import msgspec

from nova_stream.events.times import time_text
from nova_stream.formulas import mean_duration, success_rate
from nova_stream.storage.bounded import Rows, fetch_within
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.places import (
    AgentPlace,
    Cursor,
    FoundPage,
    ListPlace,
    TaskPlace,
    found_page,
)
from nova_stream.storage.stats import sql
from nova_stream.storage.stats.rows import (
    AgentStats,
    BuildStats,
    BuildWithTasks,
    NamedAgentStats,
    Overview,
    Task,
)

Row = TypeVar("Row", bound=msgspec.Struct)

#: Doubles beyond are not all whole numbers that were meant as such.
_EXACT = 2**53
FIRST = ListPlace("infinity", "")
#: Rows that are made before others have their turn.
_TURN = 500
_AS_THEY_ARE = frozenset({str, int})


class _Descending(str):
    """A text that comes before smaller ones."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __le__(self, other: str) -> bool:
        return str.__ge__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)

    def __ge__(self, other: str) -> bool:
        return str.__le__(self, other)


class Bounds(NamedTuple):
    """How much of a list is read: rows, and bytes of them, of which the first row may have more."""

    rows: int
    size: int


async def agents_stats(
    connection: Connection,
    bounds: Bounds,
    cursor: Cursor[AgentPlace] | None = None,
    *,
    unregistered: bool = False,
) -> FoundPage[AgentStats, AgentPlace]:
    """A page of registered agents, on request with the names that are not; newest lastActive
    first, then by name. Read in both directions.
    """
    statements = (sql.AGENTS_STATS, sql.UNREGISTERED_PAGE)
    arguments: tuple[Any, ...] = (bounds.rows + 1,)
    backward = False
    if cursor is not None:
        backward = cursor.backward
        statements = sql.AGENTS_STATS_BESIDE[cursor.side], sql.UNREGISTERED_BESIDE[cursor.side]
        arguments += cursor.place
    async with snapshot(connection):
        found = await fetch_within(connection, statements[0], *arguments, **bounds._asdict())
        rows = await in_turns(partial(read_row, AgentStats), found.rows)
        more = found.more
        if unregistered:
            others = await fetch_within(connection, statements[1], *arguments, **bounds._asdict())
            rows += [unregistered_row(AgentStats, row) for row in others.rows]
            rows = _merged(rows, [found, others], backward=backward)[: bounds.rows]
            more = more or others.more or len(rows) < len(found.rows) + len(others.rows)
    end = None
    if more:
        end = AgentPlace(rows[-1].last_active, rows[-1].agent_name, rows[-1].agent_id or "")
    return found_page(rows, end, cursor)


def _merged(rows: list[AgentStats], parts: Sequence[Rows], *, backward: bool) -> list[AgentStats]:
    """Rows of two lists in one order, as far as both of them go."""
    ends = []
    start = 0
    for part in parts:
        start += len(part.rows)
        if part.more:
            ends.append(_order(rows[start - 1]))
    rows = sorted(rows, key=_order, reverse=backward)
    if backward:
        return [row for row in rows if all(_order(row) >= end for end in ends)]
    return [row for row in rows if all(_order(row) <= end for end in ends)]


def _order(row: AgentStats) -> tuple[_Descending, str, str]:
    active = _Descending(row.last_active or "")  # the empty one comes last
    return active, row.agent_name, row.agent_id or ""


async def agent_stats(
    connection: Connection, name: str, *, unregistered: bool = False
) -> NamedAgentStats | None:
    """The figures of a name: of several agents that have it the first by id, naming the others.

    None when no agent has the name, unless ``unregistered`` and something counts under it.
    """
    async with snapshot(connection):
        rows = await connection.fetch(sql.AGENT_STATS_BY_NAME, name)
        if rows:
            others = [row["agent_id"] for row in rows[1:]]
            return read_row(NamedAgentStats, rows[0], other_agent_ids=others)
        if not unregistered:
            return None
        row = await connection.fetchrow(sql.UNREGISTERED_BY_NAME, name)
    return None if row is None else unregistered_row(NamedAgentStats, row)


async def known_name(
    connection: Connection, name: str, *, unregistered: bool
) -> dict[str, Any] | None:
    """The agent of a name, of several the first by id; on request also a name that no agent has and
    something counts under; else None. Needs a snapshot.
    """
    row = await connection.fetchrow(sql.AGENT_STATS_BY_NAME, name)
    if row is not None:
        return {
            "agent_id": row["agent_id"],
            "agent_name": name,
            "role": row["role"],
            "registered": True,
        }
    if unregistered and await connection.fetchrow(sql.UNREGISTERED_BY_NAME, name):
        return {"agent_id": None, "agent_name": name, "role": None, "registered": False}
    return None


async def count_unregistered(connection: Connection) -> int:
    """How many names have tasks or executions and no registered agent."""
    return int(await connection.fetchval(sql.COUNT_UNREGISTERED))


async def build_stats(connection: Connection) -> BuildStats:
    """The figures of all builds."""
    return read_row(BuildStats, await connection.fetchrow(sql.BUILD_STATS))


async def overview(connection: Connection) -> Overview:
    """The figures of the whole platform."""
    return read_row(Overview, await connection.fetchrow(sql.OVERVIEW))


async def build(
    connection: Connection, id_: str, bounds: Bounds, after: TaskPlace | None = None
) -> tuple[BuildWithTasks, TaskPlace | None] | None:
    """A build with its tasks, or those behind the place ``after``, and the place after which there
    are more; None when there is no build of this id.
    """
    async with snapshot(connection):
        row = await connection.fetchrow(sql.BUILD, id_)
        if row is None:
            return None
        arguments = (id_, *(after or (None, None, None)), bounds.rows + 1)
        found = await fetch_within(connection, sql.TASKS_OF_BUILD, *arguments, **bounds._asdict())
    phases = [task.pop("place") for task in found.rows]
    tasks = [_read_task(task) for task in found.rows]
    end = TaskPlace(phases[-1], tasks[-1].created_at, tasks[-1].id) if found.more else None
    return read_row(BuildWithTasks, row, tasks=tasks), end


class ReachedPositions(NamedTuple):
    """How far the stream has come: the next offsets, by topic and partition, and the life of each
    topic that they count in; the id is None of one that no worker has recognised.
    """

    offsets: Mapping[tuple[str, int], int]
    lives: Mapping[str, str | None]


async def reached(connection: Connection) -> ReachedPositions:
    """The positions with the lives of their topics, in one look."""
    rows = await connection.fetch(sql.LIVING_POSITIONS)
    return ReachedPositions(
        {(row["topic"], row["partition"]): row["next_offset"] for row in rows},
        {row["topic"]: row["topic_id"] for row in rows},
    )


async def in_turns(make: Callable[[Any], Row], rows: Sequence[Any]) -> list[Row]:
    """What ``make`` makes of each row; others have their turn after some."""
    made = []
    for number, row in enumerate(rows):
        made.append(make(row))
        if number % _TURN == _TURN - 1:
            await asyncio.sleep(0)
    return made


async def timed_then_untimed(
    connection: Connection,
    statements: tuple[str, str],
    bounds: Bounds,
    place: ListPlace,
    *,
    before: Sequence[Any] = (),
) -> Rows:
    """The rows after a place: first those with a time, then those without.

    The statements take ``before``, the place (time and id; id alone), and one row more than is
    wanted. Needs a snapshot.
    """
    timed, untimed = statements
    found = Rows([], 0, more=False)
    last: str | None = place.id
    if place.time is not None:
        arguments = (*before, place.time, place.id, bounds.rows + 1)
        found = await fetch_within(connection, timed, *arguments, **bounds._asdict())
        last = None
    if found.more:
        return found
    # One at least is asked for: it tells whether there are more.
    left = Bounds(max(1, bounds.rows - len(found.rows)), max(1, bounds.size - found.size))
    arguments = (*before, last, left.rows + 1)
    rest = await fetch_within(connection, untimed, *arguments, **left._asdict())
    rows = [*found.rows, *rest.rows]
    full = found.size >= bounds.size and found.rows
    kept = found.rows if full else rows[: bounds.rows]
    return Rows(kept, found.size + rest.size, rest.more or len(kept) < len(rows))


def read_row(kind: type[Row], row: Mapping[str, Any] | asyncpg.Record | None, **more: Any) -> Row:
    """A row as ``kind`` has it, its values as they are written out; ``more`` are other fields."""
    assert row is not None
    return kind(**{name: shown(value) for name, value in row.items()}, **more)


def _read_task(fields: dict[str, Any]) -> Task:
    if fields["dependencies"] is not None:
        fields["dependencies"] = msgspec.Raw(fields["dependencies"].encode())  # as it is stored
    return read_row(Task, fields)


def unregistered_row(kind: type[Row], row: Mapping[str, Any] | asyncpg.Record) -> Row:
    """A name without an agent, as ``kind`` has agents, with figures of the partials' sums."""
    fields: dict[str, Any] = dict(row.items())
    running: int = fields.pop("running_tasks")
    executions: int = fields.pop("executions")
    fields["avg_duration"] = mean_duration(fields.pop("duration_sum"), executions)
    fields["success_rate"] = success_rate(fields["completed_tasks"], fields["total_tasks"])
    fields["current_status"] = "active" if running > 0 else "idle"
    return read_row(kind, fields, agent_id=None, role=None, cached_at=None, registered=False)


def shown(value: Any) -> Any:
    """A column's value as it is written out: times as text, whole numbers without a fraction."""
    kind = value.__class__
    if kind in _AS_THEY_ARE:  # most are
        return value
    if kind is float:
        return int(value) if value.is_integer() and -_EXACT < value < _EXACT else value
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Decimal):
        return int(value) if -_EXACT < value < _EXACT and value == int(value) else float(value)
    return value
