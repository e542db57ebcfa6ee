"""The statements of a flush, as Postgres answers them.

Rows have the columns that figures and versions need. Left out: when a task finished (``since`` and
``steps``), counted days of executions, versions by lsn, truncations, fields that are unavailable.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import asyncpg

from nova_stream.events.change import COLUMNS, Entity
from nova_stream.storage.apply import sql
from nova_stream.storage.dead_letters import sql as letters_sql
from tests.simulation.database import Row, Transaction

NAME_PARTIALS, BUILD_PARTIALS = "agent_stats_partials", "build_stats_partials"
NAME_CACHE, BUILD_CACHE, LETTERS = "agent_stats_cache", "build_stats_cache", "dead_letters"
#: What no column can hold: a document with this in it is refused.
UNSTORABLE = '"unstorable"'

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_NAME = dict.fromkeys(sql.NAME_FIGURES, 0)
_NO_BUILD = dict.fromkeys(sql.BUILD_FIGURES, 0)


async def upsert(tx: Transaction, *arguments: Any, entity: Entity) -> list[Row]:
    changed = []
    for row in _given(entity, arguments):
        if UNSTORABLE in (row["doc"] or ""):
            raise asyncpg.NumericValueOutOfRangeError("out of range")
        old = await tx.lock(entity, row["id"])
        newer = (row["version"], row["minor"])
        if old is None or newer > (old["version"], old["minor"]):
            tx.put(entity, row["id"], row)
            changed.append((old, row))
    topic = arguments[len(COLUMNS[entity]) + 8 + (entity is Entity.TASKS) :][:1]
    match entity:
        case Entity.TASKS | Entity.EXECUTIONS:
            return await _add_names(tx, topic[0], entity, changed)
        case Entity.BUILDS:
            return await _add_builds(tx, topic[0], changed)
        case Entity.AGENTS:
            return [
                {"id": new["id"], "old_name": old and old["name"], "new_name": new["name"]}
                for old, new in changed
            ]
        case _:
            return []


def _given(entity: Entity, arguments: Sequence[Any]) -> Iterable[Row]:
    typed = COLUMNS[entity]
    docs = arguments[0].split("\n")
    columns = [_array(given) for given in arguments[1 : 8 + len(typed)]]
    ids, numbers, minors, times, deleted, partitions, offsets, *values = columns
    for n, id_ in enumerate(ids):
        yield {
            "id": id_,
            "version": numbers[n],
            "minor": minors[n] if minors else 0,
            "at": _millis(times[n]),
            "deleted": bool(deleted and deleted[n]),
            "partition": partitions[n],
            "offset": offsets[n],
            "doc": docs[n] or None,
            **{column: _stored(column, values[i][n]) for i, column in enumerate(typed)},
        }


def _array(given: Any) -> list[Any]:
    """As asyncpg goes through an array: twice (``flat_array.py``)."""
    return list(given) or list(given)


def _stored(column: str, value: Any) -> Any:
    if column == "duration" and value is not None:
        return Decimal(value)
    return _millis(value) if isinstance(value, datetime) else value


def _millis(value: Any) -> Any:
    return (value - _EPOCH) // timedelta(milliseconds=1) if isinstance(value, datetime) else value


# -- partials ------------------------------------------------------------------------------------


def _task_figures(row: Row, weight: int) -> Row:
    status = row["status"]
    return {
        "total_tasks": weight,
        "completed_tasks": weight * (status == "done"),
        "failed_tasks": weight * (status == "failed"),
        "running_tasks": weight * (status == "running"),
        "active_tasks": weight * (status in ("pending", "ready", "running")),
    }


def _execution_figures(row: Row, weight: int) -> Row:
    duration = row["duration"]
    if duration is None:
        return {"executions": 0, "duration_sum": 0}
    return {"executions": weight, "duration_sum": weight * duration}


def _build_figures(row: Row, weight: int) -> Row:
    status, ms = row["status"], None
    if status == "completed" and None not in (row["started_at"], row["completed_at"]):
        ms = row["completed_at"] - row["started_at"]
    return {
        "total_builds": weight,
        "completed_builds": weight * (status == "completed"),
        "failed_builds": weight * (status == "failed"),
        "running_builds": weight * (status == "running"),
        "timed_builds": 0 if ms is None else weight,
        "duration_sum_ms": 0 if ms is None else weight * ms,
    }


def _moves(changed: list[tuple[Row | None, Row]], counted: str) -> Iterable[tuple[int, Row, int]]:
    """Partition, row and weight of all that comes and goes."""
    for old, new in changed:
        if new[counted] is not None:
            yield new["partition"], new, 1
        if old is not None and old[counted] is not None:
            yield new["partition"], old, -1


async def _add_names(
    tx: Transaction, topic: str, entity: Entity, changed: list[tuple[Row | None, Row]]
) -> list[Row]:
    figures = _task_figures if entity is Entity.TASKS else _execution_figures
    sums: dict[tuple[str, int], Row] = defaultdict(dict)
    touched: dict[tuple[str, int], int] = {}
    for place, row, weight in _moves(changed, "agent"):
        key = (row["agent"], place)
        _add(sums[key], figures(row, weight))
        if entity is Entity.EXECUTIONS:
            touched[key] = min(touched.get(key, row["timestamp"]), row["timestamp"])
    found = []
    for agent, place in sorted(sums):
        name = (agent, topic, place)
        now = dict(await tx.lock(NAME_PARTIALS, name) or _NO_NAME)
        _add(now, sums[agent, place])
        tx.put(NAME_PARTIALS, name, now)
        more = {"touched": touched[agent, place]} if touched else {}
        found.append({"partition": place, "agent": agent, **now, **more})
    return found


async def _add_builds(
    tx: Transaction, topic: str, changed: list[tuple[Row | None, Row]]
) -> list[Row]:
    sums: dict[int, Row] = defaultdict(dict)
    for place, row, weight in _moves(changed, "status"):
        _add(sums[place], _build_figures(row, weight))
    found = []
    for place in sorted(sums):
        now = dict(await tx.lock(BUILD_PARTIALS, (topic, place)) or _NO_BUILD)
        _add(now, sums[place])
        tx.put(BUILD_PARTIALS, (topic, place), now)
        found.append({"partition": place, **now})
    return found


def _add(to: Row, more: Row) -> None:
    for figure, number in more.items():
        to[figure] = to.get(figure, 0) + number


async def name_partials_of(tx: Transaction, topic: str, partition: int) -> list[Row]:
    rows = tx.scan(NAME_PARTIALS).items()
    return [{"agent": k[0], **row} for k, row in rows if k[1:] == (topic, partition)]


async def build_partials_of(tx: Transaction, topic: str, partition: int) -> list[Row]:
    row = tx.get(BUILD_PARTIALS, (topic, partition))
    return [] if row is None else [dict(row)]


# -- caches --------------------------------------------------------------------------------------


async def lock_names(tx: Transaction, keys: Sequence[int]) -> list[Row]:
    for key in keys:
        await tx.lock("advisory", key)
    return []


async def lock_builds(tx: Transaction) -> list[Row]:
    await tx.lock("advisory", "builds")
    return []


async def drop_agents(tx: Transaction, ids: Sequence[str]) -> list[Row]:
    gone = [id_ for id_ in ids if (row := tx.get(Entity.AGENTS, id_)) and row["deleted"]]
    for id_ in gone:
        if tx.get(NAME_CACHE, id_) is not None and await tx.lock(NAME_CACHE, id_) is not None:
            tx.put(NAME_CACHE, id_, None)
    return []


async def refresh_names(tx: Transaction, names: Sequence[str]) -> list[Row]:
    wanted = set(names)
    agents = tx.scan(Entity.AGENTS)
    rows = [a for a in agents.values() if a["name"] in wanted and not a["deleted"]]
    # All is read before anything is locked: the statement has one snapshot.
    found = {row["id"]: _name_cache(tx, row) for row in sorted(rows, key=lambda row: row["id"])}
    for id_, cache in found.items():
        await tx.lock(NAME_CACHE, id_)
        tx.put(NAME_CACHE, id_, cache)
    return []


def _name_cache(tx: Transaction, agent: Row) -> Row:
    name, sums = agent["name"], dict(_NO_NAME)
    for key, partials in tx.scan(NAME_PARTIALS).items():
        if key[0] == name:
            _add(sums, partials)
    executions = tx.scan(Entity.EXECUTIONS).values()
    times = [x["timestamp"] for x in executions if x["agent"] == name]
    total, completed = sums["total_tasks"], sums["completed_tasks"]
    return {
        "name": name,
        "role": json.loads(agent["doc"]).get("role"),
        "tasks": (total, completed, sums["failed_tasks"]),
        "rate": _rate(completed, total),
        "mean": _mean(sums["duration_sum"], sums["executions"]),
        "last": max(times, default=agent["created_at"]),
        "status": "active" if sums["running_tasks"] > 0 else "idle",
    }


async def refresh_builds(tx: Transaction) -> list[Row]:
    sums = dict(_NO_BUILD)
    for partials in tx.scan(BUILD_PARTIALS).values():
        _add(sums, partials)
    total, completed = sums["total_builds"], sums["completed_builds"]
    builds = tx.scan(Entity.BUILDS).values()
    times = [b["completed_at"] for b in builds if b["completed_at"] is not None]
    cache = {
        "builds": (total, completed, sums["failed_builds"], sums["running_builds"]),
        "rate": _rate(completed, total),
        "mean": _mean(sums["duration_sum_ms"], sums["timed_builds"]),
        "last": max(times, default=None),
    }
    await tx.lock(BUILD_CACHE, "")
    tx.put(BUILD_CACHE, "", cache)
    return []


def _rate(completed: int, total: int) -> float:
    return math.floor(completed / total * 100.0 * 100.0 + 0.5) / 100.0 if total > 0 else 0.0


def _mean(total: Any, count: int) -> float:
    return float(math.floor(float(total) / count + 0.5)) if count > 0 else 0.0


async def insert_letters(tx: Transaction, *columns: Sequence[Any]) -> list[Row]:
    topics, partitions, offsets, generations, *_, reasons, _messages = columns
    for n, topic in enumerate(topics):
        key = (topic, generations[n], partitions[n], offsets[n])
        if await tx.claim(LETTERS, key):
            tx.put(LETTERS, key, {"reason": reasons[n]})
    return []


async def nothing(_tx: Transaction, *_: Any) -> list[Row]:
    return []


HANDLERS: dict[str, tuple[str, Callable[..., Any]]] = {
    **{
        sql.UPSERT[entity]: (f"UPSERT {entity.value}", partial(upsert, entity=entity))
        for entity in Entity
    },
    sql.LOCK_AGENTS: ("LOCK_AGENTS", lock_names),
    sql.LOCK_BUILDS: ("LOCK_BUILDS", lock_builds),
    sql.OPEN_DAYS: ("OPEN_DAYS", nothing),
    sql.DROP_AGENTS_FROM_CACHE: ("DROP_AGENTS_FROM_CACHE", drop_agents),
    sql.REFRESH_AGENTS: ("REFRESH_AGENTS", refresh_names),
    sql.REFRESH_BUILDS: ("REFRESH_BUILDS", refresh_builds),
    sql.AGENT_PARTIALS_OF: ("AGENT_PARTIALS_OF", name_partials_of),
    sql.BUILD_PARTIALS_OF: ("BUILD_PARTIALS_OF", build_partials_of),
    letters_sql.INSERT: ("INSERT LETTERS", insert_letters),
}
