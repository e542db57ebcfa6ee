"""The standing audit: everything counted anew, compared with partials and caches, and repaired.

Counting takes one snapshot and no locks. Only where something differs are all positions locked,
so that no flush is under way, and partials and caches set right in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from nova_stream.events.times import time_text
from nova_stream.formulas import mean_duration, success_rate
from nova_stream.storage import locks
from nova_stream.storage.apply import figures_sql
from nova_stream.storage.audit import sql as audit_sql
from nova_stream.storage.audit.audit import Difference, day_differences
from nova_stream.storage.database import POLITE, Connection, snapshot

_NO_NAME: dict[str, Any] = dict.fromkeys(figures_sql.NAME_FIGURES, 0) | {"newest": None}


class AgentRecount(msgspec.Struct, frozen=True):
    """``agents`` registered, and every figure that is not as counted: of a cached row, named by
    the agent's id, of the sum over a name's partials (``partials of NAME``), or of a day of
    executions that is counted already.
    """

    agents: int
    differences: list[Difference]


class RepairBatch(NamedTuple):
    """Rows left to flushes that hold them, and the id where to go on, None at the end."""

    skipped: int
    place: str | None


class BuildRecount(msgspec.Struct, frozen=True):
    """The builds' figures as counted, and every figure that is not as counted: of the cache
    (``builds``) or of the sum over the partials (``partials of builds``).
    """

    figures: dict[str, Any]
    differences: list[Difference]


async def recount_agents(connection: Connection) -> AgentRecount:
    """Count tasks and executions in one snapshot and compare; needs a connection that is in no
    transaction, and sets it free of time limits. Raises what asyncpg raises.
    """
    await _prepare(connection)
    async with snapshot(connection):
        names = await _by(connection, audit_sql.RECOUNT_NAMES, "agent")
        sums = await _by(connection, audit_sql.SUM_NAMES, "agent")
        agents = await connection.fetch(audit_sql.AGENTS)
        cache = await _by(connection, audit_sql.AGENT_CACHE, "agent_id")
        days = await day_differences(connection)
    counted = {a["id"]: _agent_figures(a, names.get(a["name"], _NO_NAME)) for a in agents}
    differences = [
        d
        for id_ in sorted(counted.keys() | cache.keys())
        for d in _compare(id_, cache.get(id_), counted.get(id_), audit_sql.AGENT_CACHE_COLUMNS)
    ]
    for name in sorted(names.keys() | sums.keys()):
        found, wanted = sums.get(name, _NO_NAME), names.get(name, _NO_NAME)
        row = f"partials of {name}"
        differences += _compare(row, found, wanted, figures_sql.NAME_FIGURES)
    return AgentRecount(agents=len(agents), differences=differences + days)


async def recount_builds(connection: Connection) -> BuildRecount:
    """Count the builds in one snapshot and compare, as ``recount_agents`` does."""
    await _prepare(connection)
    async with snapshot(connection):
        counted = await connection.fetchrow(audit_sql.RECOUNT_BUILDS)
        sums = await connection.fetchrow(audit_sql.SUM_BUILDS)
        cache = await connection.fetchrow(audit_sql.BUILD_CACHE)
    assert counted is not None
    assert sums is not None
    figures = _build_figures(counted)
    found = None if cache is None else dict(cache)
    differences = _compare("builds", found, figures, audit_sql.BUILD_CACHE_FIGURES)
    differences += _compare("partials of builds", sums, counted, figures_sql.BUILD_FIGURES)
    return BuildRecount(figures=figures, differences=differences)


async def repair_agents(connection: Connection) -> None:
    """Set the partials of all names and the agents' cache right, and open all counted days; to be
    called in a READ COMMITTED transaction, which holds up the stream until it ends.

    The epochs rise, so that workers load the partials anew. Raises what asyncpg raises.
    """
    await connection.execute(audit_sql.LOCK_ALL_POSITIONS)
    # New statements from here on: they see what the flushes before us committed.
    await connection.execute(audit_sql.CORRECT_NAMES)
    await connection.execute(figures_sql.LOCK_FIGURES, list(locks.ALL_NAMES))
    await connection.execute(audit_sql.DROP_STRAY_AGENTS)
    await connection.execute(audit_sql.OPEN_ALL_DAYS)
    names = await connection.fetchval(audit_sql.ALL_NAMES)
    await connection.execute(figures_sql.REFRESH_AGENTS, names or [])
    await connection.execute(audit_sql.RAISE_EPOCHS)


async def repair_builds(connection: Connection) -> None:
    """Set the partials and the cache of the builds right, as ``repair_agents`` does."""
    await connection.execute(audit_sql.LOCK_ALL_POSITIONS)
    await connection.execute(audit_sql.CORRECT_BUILDS)
    await connection.execute(figures_sql.LOCK_FIGURES, [locks.BUILDS])
    await connection.execute(audit_sql.ENSURE_BUILD_CACHE)
    await connection.execute(figures_sql.REFRESH_BUILDS)
    await connection.execute(audit_sql.RAISE_EPOCHS)


async def confirm_agents(
    connection: Connection, as_of: datetime, after: str, rows: int
) -> RepairBatch:
    """Set ``cached_at`` of up to ``rows`` rows behind the id ``after``; in a transaction.

    Rows that a flush is writing at this moment are left to it.
    """
    row = await connection.fetchrow(audit_sql.CONFIRM_AGENTS, as_of, after, rows)
    assert row is not None
    skipped = row["seen"] - row["confirmed"]
    return RepairBatch(skipped, row["last"] if row["seen"] == rows else None)


async def confirm_builds(connection: Connection, as_of: datetime) -> None:
    """Set ``cached_at`` of the builds' row, unless a flush is writing it at this moment."""
    await connection.execute(audit_sql.CONFIRM_BUILDS, as_of)


async def remember_builds(
    connection: Connection,
    as_of: datetime,
    figures: Mapping[str, Any],
    drift: int,
    run_id: int,
) -> None:
    """Append the builds' figures to their history; a repetition for the same time replaces."""
    shown = [figures[name] for name in audit_sql.BUILD_CACHE_FIGURES[:6]]
    await connection.execute(audit_sql.REMEMBER_BUILDS, as_of, *shown, drift, run_id)


async def _prepare(connection: Connection) -> None:
    """A reader's snapshot holds no lock of the stream: it may take its time, on one core."""
    await connection.execute(audit_sql.NO_TIME_LIMIT)
    await connection.execute(POLITE)


async def _by(connection: Connection, statement: str, key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: dict(row) for row in await connection.fetch(statement)}


def _agent_figures(agent: asyncpg.Record, name: Mapping[str, Any]) -> dict[str, Any]:
    newest = name["newest"]
    return {
        "agent_name": agent["name"],
        "role": agent["role"],
        "total_tasks": name["total_tasks"],
        "completed_tasks": name["completed_tasks"],
        "failed_tasks": name["failed_tasks"],
        "success_rate": success_rate(name["completed_tasks"], name["total_tasks"]),
        "avg_duration": mean_duration(name["duration_sum"], name["executions"]),
        "last_active": agent["created_at"] if newest is None else newest,
        "current_status": "active" if name["running_tasks"] > 0 else "idle",
        "running_tasks": name["running_tasks"],
        "executions": name["executions"],
        "duration_sum": name["duration_sum"],
    }


def _build_figures(counted: Mapping[str, Any] | asyncpg.Record) -> dict[str, Any]:
    total, completed = counted["total_builds"], counted["completed_builds"]
    return {
        "total_builds": total,
        "completed_builds": completed,
        "failed_builds": counted["failed_builds"],
        "running_builds": counted["running_builds"],
        "success_rate": success_rate(completed, total),
        "avg_duration_ms": mean_duration(counted["duration_sum_ms"], counted["timed_builds"]),
        "last_build_time": counted["newest"],
    }


def _compare(
    row: str,
    found: Mapping[str, Any] | asyncpg.Record | None,
    counted: Mapping[str, Any] | asyncpg.Record | None,
    figures: tuple[str, ...],
) -> list[Difference]:
    if found is None or counted is None:
        return [Difference(row, "row", _shown_row(found, figures), _shown_row(counted, figures))]
    return [
        Difference(row, figure, _shown(found[figure]), _shown(counted[figure]))
        for figure in figures
        if found[figure] != counted[figure]
    ]


def _shown_row(
    values: Mapping[str, Any] | asyncpg.Record | None, figures: tuple[str, ...]
) -> dict[str, Any] | None:
    return None if values is None else {figure: _shown(values[figure]) for figure in figures}


def _shown(value: Any) -> Any:
    return time_text(value) if isinstance(value, datetime) else value
