"""What an agent's figure is made of: the rows, and the event that last changed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from nova_stream.events.change import ACTIVE_TASK_STATUSES, Entity
from nova_stream.events.versions import offset_of_place
from nova_stream.settings import Settings
from nova_stream.storage.bounded import Rows, fetch_within
from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.places import ListPlace
from nova_stream.storage.stats import read
from nova_stream.storage.stats.explain_rows import (
    AgentItem,
    Event,
    ExecutionItem,
    Explanation,
    Figure,
    Item,
    TaskItem,
)
from nova_stream.storage.stats.read import shown

# -- tasks -----------------------------------------------------------------------------------------

_CHANGE = "src_partition, src_offset, changed_at"

#: $1 agent. A tombstone names no agent.
COUNT_TASKS = """
SELECT count(*) AS tasks,
    count(*) FILTER (WHERE status = 'done') AS completed,
    count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'running') AS running,
    count(*) FILTER (WHERE status IN ('pending', 'ready', 'running')) AS active
FROM tasks WHERE agent = $1
"""

#: $1 agent.
_ACTIVE_TASKS = """
SELECT coalesce(sum(active_tasks), 0)::bigint FROM agent_stats_partials WHERE agent = $1
"""

#: $1 agent, $2 statuses or null for all, $3 after this id, $4 how many. The agent's tasks come
#: first by their index: to walk all tasks by id until enough are found takes long where few are.
_TASKS = f"""
WITH own AS MATERIALIZED (
    SELECT id FROM tasks
    WHERE agent = $1 AND ($2::text[] IS NULL OR status = ANY ($2)) AND id > $3
)
SELECT id, status, task_id, title, build_id, created_at, {_CHANGE}
FROM (SELECT id FROM own ORDER BY id LIMIT $4) page JOIN tasks USING (id) ORDER BY id
"""  # noqa: S608 - our own text

#: $1 agent, $2 statuses or null for all.
LAST_TASK = f"""
SELECT id, {_CHANGE} FROM tasks WHERE agent = $1 AND ($2::text[] IS NULL OR status = ANY ($2))
ORDER BY changed_at DESC, src_offset DESC LIMIT 1
"""  # noqa: S608 - our own text

# -- executions ------------------------------------------------------------------------------------

_EXECUTION = f"SELECT id, duration, timestamp, task_id, {_CHANGE} FROM executions"  # noqa: S608

#: $1 agent.
_COUNT_EXECUTIONS = """
SELECT count(duration) AS executions, coalesce(sum(duration), 0) AS duration_sum
FROM executions WHERE agent = $1
"""

#: $1 agent, $2 time and $3 id of the place, $4 how many: those that have a time, newest first.
_EXECUTIONS = f"""{_EXECUTION}
WHERE agent = $1 AND duration IS NOT NULL AND (timestamp, id) < ($2::text::timestamptz, $3::text)
ORDER BY timestamp DESC, id DESC LIMIT $4
"""
#: $1 agent, $2 before this id (all when null), $3 how many: those without a time.
_EXECUTIONS_WITHOUT_TIME = f"""{_EXECUTION}
WHERE agent = $1 AND duration IS NOT NULL AND timestamp IS NULL AND ($2::text IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""

#: $1 agent.
_LAST_EXECUTION = f"""{_EXECUTION} WHERE agent = $1 AND duration IS NOT NULL
ORDER BY changed_at DESC, src_offset DESC LIMIT 1
"""

#: $1 agent.
_NEWEST_TIME = "SELECT max(timestamp) FROM executions WHERE agent = $1"

#: $1 agent, $2 the time, $3 after this id, $4 how many.
_NEWEST_EXECUTIONS = f"""{_EXECUTION}
WHERE agent = $1 AND timestamp = $2 AND id > $3 ORDER BY id LIMIT $4
"""

#: $1 agent, $2 the time.
_LAST_NEWEST = f"""{_EXECUTION}
WHERE agent = $1 AND timestamp = $2 ORDER BY changed_at DESC, src_offset DESC LIMIT 1
"""
_COUNT_NEWEST = "SELECT count(*) FROM executions WHERE agent = $1 AND timestamp = $2"

# -- agents ----------------------------------------------------------------------------------------

#: $1: the id.
_AGENT = f"SELECT id, name, role, created_at, {_CHANGE} FROM agents WHERE id = $1"  # noqa: S608


Row = TypeVar("Row", TaskItem, ExecutionItem, AgentItem)

#: The statuses of the tasks that a figure is made of, None for all.
_STATUSES: dict[Figure, Sequence[str] | None] = {
    "totalTasks": None,
    "completedTasks": ["done"],
    "failedTasks": ["failed"],
    "activeTasks": ACTIVE_TASK_STATUSES,
    "successRate": None,
    "currentStatus": ["running"],
}
#: A task that leaves these has moved the figure as well, and is of any status now.
_LEFT: set[Figure] = {"activeTasks", "currentStatus"}

_FORMULAS: dict[Figure, str] = {
    "totalTasks": "All tasks given to this agent.",
    "completedTasks": "The tasks given to this agent with status done.",
    "failedTasks": "The tasks given to this agent with status failed.",
    "activeTasks": "The tasks given to this agent with status pending, ready or running.",
    "successRate": "Tasks with status done divided by all tasks given to this agent, in "
    "percent and rounded to two decimals; 0 without a task.",
    "avgDuration": "The sum of the durations of this agent's executions divided by their "
    "number, rounded to milliseconds; 0 without an execution.",
    "lastActive": "The newest timestamp of this agent's executions; without one, when the agent "
    "was created.",
    "currentStatus": "active while a task given to this agent has status running, else idle.",
}


class _Question(NamedTuple):
    """What is asked for, in the transaction at hand."""

    connection: Connection
    settings: Settings
    name: str
    agent_id: str | None
    figure: Figure
    bounds: read.Bounds
    after: ListPlace | None

    @property
    def limit(self) -> int:
        return self.bounds.rows


class _FoundPage(NamedTuple):
    """A page of rows, what the formula works with, and the newest event of what decides it."""

    items: Sequence[Item]
    end: ListPlace | None
    rows: dict[str, float]
    last_change: Event | None


async def explain(
    connection: Connection,
    settings: Settings,
    name: str,
    figure: Figure,
    bounds: read.Bounds,
    after: ListPlace | None = None,
    *,
    unregistered: bool = False,
) -> tuple[Explanation, ListPlace | None] | None:
    """A figure of a name with a page of its rows, in one snapshot, and where the next page goes on.

    None when no agent has the name, unless ``unregistered`` and something counts under it. Raises
    what asyncpg raises; needs a connection that is in no transaction.
    """
    async with snapshot(connection):
        stats = await read.agent_stats(connection, name, unregistered=unregistered)
        if stats is None:
            return None
        asked = _Question(connection, settings, name, stats.agent_id, figure, bounds, after)
        value = msgspec.to_builtins(stats).get(figure)
        if figure == "activeTasks":
            value = await connection.fetchval(_ACTIVE_TASKS, name)
        if figure == "avgDuration":
            found = await _executions(asked)
        elif figure == "lastActive":
            found = await _newest(asked)
        else:
            found = await _tasks(asked)
    explanation = Explanation(
        agent_name=name,
        agent_id=stats.agent_id,
        figure=figure,
        value=value,
        formula=_FORMULAS[figure],
        rows=found.rows,
        items=list(found.items),
        last_change=found.last_change,
    )
    return explanation, found.end


async def _tasks(asked: _Question) -> _FoundPage:
    statuses = _STATUSES[asked.figure]
    after = asked.after.id if asked.after else ""
    page = await _page(asked, _TASKS, asked.name, statuses, after, asked.limit + 1)
    counts = await asked.connection.fetchrow(COUNT_TASKS, asked.name)
    assert counts is not None
    changed = await asked.connection.fetchrow(
        LAST_TASK, asked.name, None if asked.figure in _LEFT else statuses
    )
    items = [_item(TaskItem, asked, Entity.TASKS, row) for row in page.rows]
    end = ListPlace(None, items[-1].id) if page.more else None
    event = None if changed is None else _event(asked, Entity.TASKS, changed)
    return _FoundPage(items, end, dict(counts), event)


async def _executions(asked: _Question) -> _FoundPage:
    """The executions that have a duration: first those with a time, newest first."""
    place = asked.after or read.FIRST
    page = await read.timed_then_untimed(
        asked.connection,
        (_EXECUTIONS, _EXECUTIONS_WITHOUT_TIME),
        asked.bounds,
        place,
        before=(asked.name,),
    )
    counts = await asked.connection.fetchrow(_COUNT_EXECUTIONS, asked.name)
    assert counts is not None
    changed = await asked.connection.fetchrow(_LAST_EXECUTION, asked.name)
    items = [_item(ExecutionItem, asked, Entity.EXECUTIONS, row) for row in page.rows]
    last = items[-1] if page.more else None
    return _FoundPage(
        items,
        None if last is None else ListPlace(last.timestamp, last.id),
        {
            name: shown(value)
            for name, value in zip(("executions", "durationSum"), counts, strict=True)
        },
        None if changed is None else _event(asked, Entity.EXECUTIONS, changed),
    )


async def _newest(asked: _Question) -> _FoundPage:
    """The executions of the newest timestamp, else the agent."""
    newest = await asked.connection.fetchval(_NEWEST_TIME, asked.name)
    if newest is None:
        return await _created(asked)
    after = asked.after.id if asked.after else ""
    arguments = (asked.name, newest)
    page = await _page(asked, _NEWEST_EXECUTIONS, *arguments, after, asked.limit + 1)
    count = await asked.connection.fetchval(_COUNT_NEWEST, *arguments)
    changed = await asked.connection.fetchrow(_LAST_NEWEST, *arguments)
    items = [_item(ExecutionItem, asked, Entity.EXECUTIONS, row) for row in page.rows]
    end = ListPlace(None, items[-1].id) if page.more else None
    event = _event(asked, Entity.EXECUTIONS, changed)
    return _FoundPage(items, end, {"executions": count}, event)


async def _page(asked: _Question, statement: str, *arguments: Any) -> Rows:
    return await fetch_within(asked.connection, statement, *arguments, **asked.bounds._asdict())


async def _created(asked: _Question) -> _FoundPage:
    row = await asked.connection.fetchrow(_AGENT, asked.agent_id)
    if row is None:
        return _FoundPage([], None, {"executions": 0}, None)
    item = _item(AgentItem, asked, Entity.AGENTS, row)
    return _FoundPage([] if asked.after else [item], None, {"executions": 0}, item.event)


def _item(kind: type[Row], asked: _Question, entity: Entity, row: Any) -> Row:
    fields = {name: shown(value) for name, value in row.items()}
    for name in ("src_partition", "src_offset", "changed_at"):
        del fields[name]
    return kind(**fields, event=_event(asked, entity, row))


def _event(asked: _Question, entity: Entity, row: Any) -> Event:
    return Event(
        topic=asked.settings.topic(entity),
        partition=row["src_partition"],
        offset=offset_of_place(row["src_offset"]),
        changed_at=shown(row["changed_at"]),
        entity_id=row["id"],
    )
