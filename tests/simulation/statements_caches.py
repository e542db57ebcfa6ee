"""The statements of a flush that write the caches, as Postgres answers them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import combinations
from typing import Any

from nova_stream.events.change import Entity
from nova_stream.storage.apply import figures_sql, sql
from nova_stream.storage.apply.together import joined
from tests.simulation.database import Row, Transaction
from tests.simulation.statements_positions import POSITIONS

NAME_PARTIALS, BUILD_PARTIALS = "agent_stats_partials", "build_stats_partials"
NAME_CACHE, BUILD_CACHE = "agent_stats_cache", "build_stats_cache"

NO_NAME = dict.fromkeys(figures_sql.NAME_FIGURES, 0)
NO_BUILD = dict.fromkeys(figures_sql.BUILD_FIGURES, 0)

#: Rows to be written: table, key and row; None takes it away.
_Writes = list[tuple[str, Any, Row | None]]


def add(to: Row, more: Row) -> None:
    for figure, number in more.items():
        to[figure] = to.get(figure, 0) + number


async def lock_figures(tx: Transaction, keys: Sequence[int]) -> list[Row]:
    for key in keys:
        await tx.lock("advisory", key)
    return []


def _drop_agents(tx: Transaction, ids: Sequence[str]) -> _Writes:
    gone = [id_ for id_ in ids if (row := tx.get(Entity.AGENTS, id_)) and row["deleted"]]
    return [(NAME_CACHE, id_, None) for id_ in gone if tx.get(NAME_CACHE, id_) is not None]


def _refresh_agents(tx: Transaction, names: Sequence[str]) -> _Writes:
    wanted = set(names)
    agents = tx.scan(Entity.AGENTS)
    rows = [a for a in agents.values() if a["name"] in wanted and not a["deleted"]]
    return [
        (NAME_CACHE, row["id"], _name_cache(tx, row))
        for row in sorted(rows, key=lambda row: row["id"])
    ]


def _add_to_agents(tx: Transaction, by_tasks: Sequence[str], *given: Sequence[Any]) -> _Writes:
    """Adds to the sums that the cached rows have."""
    *tasks, by_executions, executions, durations, newest = given
    added: dict[str, Row] = defaultdict(dict)
    for name, *figures in zip(by_tasks, *tasks, strict=True):
        add(added[name], dict(zip(figures_sql.ADDED_BY_TASKS, figures, strict=True)))
    for name, *figures in zip(by_executions, executions, map(Decimal, durations), strict=True):
        add(added[name], dict(zip(figures_sql.ADDED_BY_EXECUTIONS, figures, strict=True)))
    latest: dict[str, Any] = {}
    for name, time in zip(by_executions, map(float, newest), strict=True):
        latest[name] = max(time, latest.get(name, time))
    writes: _Writes = []
    for id_, row in sorted(tx.scan(NAME_CACHE).items()):
        if (name := row["name"]) in added:
            sums = dict(row["sums"])
            add(sums, added[name])
            last = row["last"]
            if name in latest:
                last = latest[name] if latest[name] >= last else _newest(tx, id_, name)
            writes.append((NAME_CACHE, id_, row | _of_sums(sums) | {"last": last}))
    return writes


def _name_cache(tx: Transaction, agent: Row) -> Row:
    name, sums = agent["name"], dict(NO_NAME)
    for key, partials in tx.scan(NAME_PARTIALS).items():
        if key[0] == name:
            add(sums, partials)
    return {
        "name": name,
        "role": json.loads(agent["doc"]).get("role"),
        "last": _newest(tx, agent["id"], name),
        **_of_sums(sums),
    }


def _newest(tx: Transaction, id_: str, name: str) -> Any:
    agent = tx.get(Entity.AGENTS, id_)
    assert agent is not None
    executions = tx.scan(Entity.EXECUTIONS).values()
    times = [x["timestamp"] for x in executions if x["agent"] == name]
    return max(times, default=agent["created_at"])


def _of_sums(sums: Row) -> Row:
    total, completed = sums["total_tasks"], sums["completed_tasks"]
    return {
        "tasks": (total, completed, sums["failed_tasks"]),
        "rate": _rate(completed, total),
        "mean": _mean(sums["duration_sum"], sums["executions"]),
        "status": "active" if sums["running_tasks"] > 0 else "idle",
        "sums": {figure: sums[figure] for figure in figures_sql.ADDED},
    }


def _refresh_builds(tx: Transaction) -> _Writes:
    sums = dict(NO_BUILD)
    for partials in tx.scan(BUILD_PARTIALS).values():
        add(sums, partials)
    total, completed = sums["total_builds"], sums["completed_builds"]
    builds = tx.scan(Entity.BUILDS).values()
    times = [b["completed_at"] for b in builds if b["completed_at"] is not None]
    cache = {
        "builds": (total, completed, sums["failed_builds"], sums["running_builds"]),
        "rate": _rate(completed, total),
        "mean": _mean(sums["duration_sum_ms"], sums["timed_builds"]),
        "last": max(times, default=None),
    }
    return [(BUILD_CACHE, "", cache)]


def _rate(completed: int, total: int) -> float:
    return math.floor(completed / total * 100.0 * 100.0 + 0.5) / 100.0 if total > 0 else 0.0


def _mean(total: Any, count: int) -> float:
    return float(math.floor(float(total) / count + 0.5)) if count > 0 else 0.0


def _open_days(_tx: Transaction, _agents: Sequence[str], _times: Sequence[Any]) -> _Writes:
    return []


def _move_positions(
    tx: Transaction,
    topics: Sequence[str],
    partitions: Sequence[int],
    offsets: Sequence[int],
    _ends: Sequence[int | None],
) -> _Writes:
    writes: _Writes = []
    for topic, partition, offset in zip(topics, partitions, offsets, strict=True):
        row = tx.get(POSITIONS, (topic, partition))
        if row is not None:
            writes.append((POSITIONS, (topic, partition), row | {"next_offset": offset}))
    return writes


#: In the order in which a flush may send them as one: statement, what it writes, its parameters.
_PARTS: tuple[tuple[str, Callable[..., _Writes], int], ...] = (
    (figures_sql.OPEN_DAYS, _open_days, 2),
    (figures_sql.DROP_AGENTS_FROM_CACHE, _drop_agents, 1),
    (figures_sql.REFRESH_AGENTS, _refresh_agents, 1),
    (figures_sql.ADD_TO_AGENTS, _add_to_agents, 9),
    (figures_sql.REFRESH_BUILDS, _refresh_builds, 0),
    (sql.MOVE_POSITIONS, _move_positions, 4),
)


async def write(
    tx: Transaction, *given: Any, parts: Sequence[tuple[str, Callable[..., _Writes], int]]
) -> list[Row]:
    # All is read before anything is locked: the statement has one snapshot.
    writes: _Writes = []
    for _, part, parameters in parts:
        own, given = given[:parameters], given[parameters:]
        writes += part(tx, *own)
    for table, key, row in writes:
        if await tx.lock(table, key) is not None or row is not None:
            tx.put(table, key, row)
    return []


HANDLERS: dict[str, tuple[str, Callable[..., Any]]] = {
    figures_sql.LOCK_FIGURES: ("LOCK_FIGURES", lock_figures),
} | {
    joined(tuple(text for text, *_ in parts)): ("FINISH", partial(write, parts=parts))
    for count in range(1, len(_PARTS) + 1)
    for parts in combinations(_PARTS, count)
}
