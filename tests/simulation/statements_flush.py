"""The statements of a flush, as Postgres answers them.

Rows have the columns that figures and versions need. Left out: when a task finished (``since`` and
``steps``), counted days of executions, versions by lsn, truncations, fields that are unavailable.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import asyncpg

from nova_stream.events.change import COLUMNS, Entity
from nova_stream.events.versions import GENERATION_BITS
from nova_stream.storage.apply import figures_sql, mixed_offsets, upserts_sql
from nova_stream.storage.dead_letters import sql as letters_sql
from tests.simulation import statements_caches
from tests.simulation.database import Row, Transaction
from tests.simulation.statements_caches import (
    BUILD_PARTIALS,
    NAME_PARTIALS,
    NO_BUILD,
    NO_NAME,
    add,
)

LETTERS = "dead_letters"
#: What no column can hold: a document with this in it is refused.
UNSTORABLE = '"unstorable"'

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


async def elsewhere(tx: Transaction, *columns: Any, entity: Entity) -> list[Row]:
    """Of ids, partitions, versions and offsets."""
    found = False
    for id_, partition, version, place in zip(*map(_array, columns), strict=True):
        row = tx.get(entity, id_)
        if row is None or row["version"] == 0:
            continue
        if row["partition"] != partition or row["offset"] > place:
            found |= row["version"] >> GENERATION_BITS == version >> GENERATION_BITS
    return [{"exists": found}]


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
    newest: dict[tuple[str, int], int] = {}
    for place, row, weight in _moves(changed, "agent"):
        key = (row["agent"], place)
        add(sums[key], figures(row, weight))
        if entity is Entity.EXECUTIONS:
            touched[key] = min(touched.get(key, row["timestamp"]), row["timestamp"])
            if weight > 0:
                newest[key] = max(newest.get(key, row["timestamp"]), row["timestamp"])
    found = []
    for agent, place in sorted(sums):
        name = (agent, topic, place)
        now = dict(await tx.lock(NAME_PARTIALS, name) or NO_NAME)
        add(now, sums[agent, place])
        tx.put(NAME_PARTIALS, name, now)
        more = {f"added_{figure}": number for figure, number in sums[agent, place].items()}
        if entity is Entity.EXECUTIONS:
            more["added_duration_sum"] = str(more["added_duration_sum"])
            more["touched"] = touched[agent, place]
            more["newest"] = str(newest.get((agent, place), "-infinity"))
        found.append({"partition": place, "agent": agent, **now, **more})
    return found


async def _add_builds(
    tx: Transaction, topic: str, changed: list[tuple[Row | None, Row]]
) -> list[Row]:
    sums: dict[int, Row] = defaultdict(dict)
    for place, row, weight in _moves(changed, "status"):
        add(sums[place], _build_figures(row, weight))
    found = []
    for place in sorted(sums):
        now = dict(await tx.lock(BUILD_PARTIALS, (topic, place)) or NO_BUILD)
        add(now, sums[place])
        tx.put(BUILD_PARTIALS, (topic, place), now)
        found.append({"partition": place, **now})
    return found


async def name_partials_of(tx: Transaction, topic: str, partition: int) -> list[Row]:
    rows = tx.scan(NAME_PARTIALS).items()
    return [{"agent": k[0], **row} for k, row in rows if k[1:] == (topic, partition)]


async def build_partials_of(tx: Transaction, topic: str, partition: int) -> list[Row]:
    row = tx.get(BUILD_PARTIALS, (topic, partition))
    return [] if row is None else [dict(row)]


async def insert_letters(tx: Transaction, *columns: Sequence[Any]) -> list[Row]:
    topics, partitions, offsets, generations, *_, reasons, _messages = columns
    for n, topic in enumerate(topics):
        key = (topic, generations[n], partitions[n], offsets[n])
        if await tx.claim(LETTERS, key):
            tx.put(LETTERS, key, {"reason": reasons[n]})
    return []


HANDLERS: dict[str, tuple[str, Callable[..., Any]]] = {
    **statements_caches.HANDLERS,
    **{
        upserts_sql.UPSERT[entity]: (f"UPSERT {entity.value}", partial(upsert, entity=entity))
        for entity in Entity
    },
    **{
        mixed_offsets.ELSEWHERE[entity]: (
            f"ELSEWHERE {entity.value}",
            partial(elsewhere, entity=entity),
        )
        for entity in Entity
    },
    figures_sql.AGENT_PARTIALS_OF: ("AGENT_PARTIALS_OF", name_partials_of),
    figures_sql.BUILD_PARTIALS_OF: ("BUILD_PARTIALS_OF", build_partials_of),
    letters_sql.INSERT: ("INSERT LETTERS", insert_letters),
}
