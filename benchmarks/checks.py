"""Whether what a contender left in its database equals the plain recount of the events."""

from __future__ import annotations

from decimal import Decimal

from asyncpg import Record

from nova_stream.formulas import mean_duration
from nova_stream.storage.audit.audit import audit_on
from nova_stream.storage.audit.sql import AGENT_CACHE_FIGURES, BUILD_CACHE_FIGURES
from nova_stream.storage.database import Connection
from tests.recount import Recount

_BUILD_STATUS = ("completed", "failed", "running")

_LEAN_AGENTS = """
SELECT agent, total_tasks, completed_tasks, failed_tasks, running_tasks,
    coalesce(executions, 0) AS executions, coalesce(duration_sum, 0) AS duration_sum
FROM (SELECT agent, count(*) AS total_tasks,
        count(*) FILTER (WHERE status = 'done') AS completed_tasks,
        count(*) FILTER (WHERE status = 'failed') AS failed_tasks,
        count(*) FILTER (WHERE status = 'running') AS running_tasks
    FROM lean_tasks GROUP BY agent) AS t
LEFT JOIN (SELECT agent, count(*) AS executions, sum(duration::numeric) AS duration_sum
    FROM lean_executions GROUP BY agent) AS e USING (agent)
"""
_LEAN_BUILDS = """
SELECT count(*) AS total_builds, count(*) FILTER (WHERE status = 'completed') AS completed_builds,
    count(*) FILTER (WHERE status = 'failed') AS failed_builds,
    count(*) FILTER (WHERE status = 'running') AS running_builds
FROM lean_builds
"""


async def nova_stream(connection: Connection, figures: Recount) -> list[str]:
    """Both caches, and the audit, or the rows where the schema is an older checkout's."""
    wrong = await _compare(connection, figures, "cache")
    if await connection.fetchval("SELECT to_regclass('execution_hours')") is None:
        wrong += await entity_rows(connection, figures)
    else:
        report = await audit_on(connection)
        wrong += [f"audit: {found.row} {found.figure}" for found in report.differences]
    dead = await connection.fetchval("SELECT count(*) FROM dead_letters")
    return [*wrong, f"{dead} dead letters"] if dead else wrong


async def entity_rows(connection: Connection, figures: Recount) -> list[str]:
    """The rows of the entities: a recount of them in SQL."""
    return await _compare(connection, figures, "recount")


async def faust_app(connection: Connection, figures: Recount) -> list[str]:
    """The Faust app's own table; it has the figures of agents only."""
    return _wrong_agents(await connection.fetch("SELECT * FROM faust_agents"), figures)


async def lean(connection: Connection, figures: Recount) -> list[str]:
    """The lean consumer's rows, counted in SQL."""
    builds = await connection.fetchrow(_LEAN_BUILDS)
    assert builds is not None
    wrong = _wrong_agents(await connection.fetch(_LEAN_AGENTS), figures)
    return wrong + [
        f"builds: {name} {count} is not {getattr(figures.builds, name)}"
        for name, count in builds.items()
        if count != getattr(figures.builds, name)
    ]


def _wrong_agents(found_rows: list[Record], figures: Recount) -> list[str]:
    rows = {row["agent"]: row for row in found_rows}
    wrong = []
    for agent in figures.agents.values():
        row = rows.get(agent.agent_name)
        if row is None:
            wrong += [] if agent.total_tasks == 0 else [f"{agent.agent_name} is missing"]
            continue
        found = (
            row["total_tasks"],
            row["completed_tasks"],
            row["failed_tasks"],
            mean_duration(Decimal(row["duration_sum"]), row["executions"]),
            "active" if row["running_tasks"] else "idle",
        )
        wanted = (
            agent.total_tasks,
            agent.completed_tasks,
            agent.failed_tasks,
            agent.avg_duration,
            agent.current_status,
        )
        if found != wanted:
            wrong.append(f"{agent.agent_name}: {found} is not {wanted}")
    return wrong


async def _compare(connection: Connection, figures: Recount, source: str) -> list[str]:
    """Differences of the relations ``agent_stats_*`` and ``build_stats_*`` from the figures."""
    rows = await connection.fetch(f"SELECT * FROM agent_stats_{source}")
    found = {row["agent_id"]: tuple(row[name] for name in AGENT_CACHE_FIGURES) for row in rows}
    wanted = {
        id_: tuple(getattr(agent, name) for name in AGENT_CACHE_FIGURES)
        for id_, agent in figures.agents.items()
    }
    wrong = [
        f"agent {id_}: {found.get(id_)} is not {wanted.get(id_)}"
        for id_ in found.keys() | wanted.keys()
        if found.get(id_) != wanted.get(id_)
    ]
    row = await connection.fetchrow(f"SELECT * FROM build_stats_{source}")
    assert row is not None
    wrong += [
        f"builds: {name} {row[name]} is not {getattr(figures.builds, name)}"
        for name in BUILD_CACHE_FIGURES
        if row[name] != getattr(figures.builds, name)
    ]
    return wrong
