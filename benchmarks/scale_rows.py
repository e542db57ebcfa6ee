"""Agents and entities that lie in the tables before the stream begins, with partials and caches.

The rows are made in SQL, which is faster than a COPY of what Python makes, and put in without
indexes, which are built afterwards as they were. Partials are counted of the rows, a row a
partition as the flush leaves them; the caches are made of them by the product's own statements.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.common import connected
from benchmarks.workload import agent_names
from nova_stream.events.change import Entity
from nova_stream.settings import Settings
from nova_stream.storage.apply import figures_sql
from nova_stream.storage.database import Connection

#: Builds have twenty tasks and twenty executions each.
_OF_A_BUILD = 41
_NAMES_AT_ONCE = 5_000

_INDEXES = """
SELECT c.relname AS name, pg_get_indexdef(i.indexrelid) AS made,
    (SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conindid = i.indexrelid
        AND k.contype = 'p') AS key
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = $1::text::regclass ORDER BY 1
"""
_AGENTS = """
INSERT INTO agents (id, name, created_at, version, version_minor, changed_at, src_partition,
    src_offset, doc)
SELECT 'a' || n, name, '2026-01-01', 1, 0, '2026-01-01', n % $2, n,
    jsonb_build_object('id', 'a' || n, 'name', name, 'role', 'worker', 'model', 'opus')
FROM unnest($1::text[]) WITH ORDINALITY AS u (name, n)
"""
#: $1 the first number, $2 the last one, $3 partitions, $4 agents, $5 builds.
_ROWS = {
    "builds": """
INSERT INTO builds (id, status, started_at, completed_at, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'b' || md5(n::text), CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END, at,
    at + interval '45 s', 1, 0, at, n % $3, n, jsonb_build_object('id', 'b' || md5(n::text),
        'prdId', 'p' || n, 'prdName', 'login chart of ' || n, 'status', 'completed')
FROM generate_series($1::int, $2::int) n,
    LATERAL (SELECT timestamptz '2026-02-19' - n * interval '2 s' AS at) t
WHERE $4::int + $5::int > 0
""",
    "tasks": """
INSERT INTO tasks (id, build_id, agent, status, created_at, done_at, failed_at, version,
    version_minor, changed_at, src_partition, src_offset, doc)
SELECT id, build, name, status, at, CASE status WHEN 'done' THEN at END,
    CASE status WHEN 'failed' THEN at END, 1, 0, at, n % $3, n, jsonb_build_object('id', id,
        'buildId', build, 'taskId', 'T-' || n % 20, 'title', 'flow graph of ' || n, 'agent', name,
        'status', status, 'dependencies', '[]'::jsonb, 'phase', 1, 'attempts', 1, 'createdAt',
        to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'output', 'cache page route table')
FROM (SELECT n, 't' || left(md5(n::text), 19) AS id, 'b' || md5((1 + n % $5)::text) AS build,
        CASE WHEN n % 13 = 0 THEN 'failed' ELSE 'done' END AS status,
        timestamptz '2026-02-19' - n * interval '0.1 s' AS at
    FROM generate_series($1::int, $2::int) n) r
JOIN scale_agents a ON a.number = n % $4
""",
    "executions": """
INSERT INTO executions (id, task_id, agent, duration, timestamp, version, version_minor,
    changed_at, src_partition, src_offset, doc)
SELECT id, task, name, 200 + n % 90000, at, 1, 0, at, n % $3, n, jsonb_build_object('id', id,
        'taskId', task, 'agent', name, 'model', 'opus', 'prompt', 'draft event of ' || n,
        'response', 'query order login menu', 'gatesPassed', true, 'duration', 200 + n % 90000,
        'timestamp', to_char(at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
FROM (SELECT n, 'e' || left(md5(n::text), 19) AS id, 't' || left(md5(n::text), 19) AS task,
        timestamptz '2026-02-19' - n * interval '0.1 s' AS at
    FROM generate_series($1::int, $2::int) n) r
JOIN scale_agents a ON a.number = n % $4
WHERE $5::int > 0
""",
}
#: A row an agent, topic and partition; $1 is the topic.
_PARTIALS = (
    (
        Entity.TASKS,
        """
INSERT INTO agent_stats_partials (agent, topic, partition, total_tasks, completed_tasks,
    failed_tasks, running_tasks, active_tasks)
SELECT agent, $1, src_partition, count(*), count(*) FILTER (WHERE status = 'done'),
    count(*) FILTER (WHERE status = 'failed'), 0, 0
FROM tasks GROUP BY agent, src_partition""",
    ),
    (
        Entity.EXECUTIONS,
        """
INSERT INTO agent_stats_partials (agent, topic, partition, executions, duration_sum)
SELECT agent, $1, src_partition, count(duration), sum(duration)
FROM executions GROUP BY agent, src_partition""",
    ),
    (
        Entity.BUILDS,
        """
INSERT INTO build_stats_partials (topic, partition, total_builds, completed_builds, failed_builds,
    timed_builds, duration_sum_ms)
SELECT $1, src_partition, count(*), count(*) FILTER (WHERE status = 'completed'),
    count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'completed'),
    coalesce(sum(extract(epoch FROM completed_at - started_at) * 1000)
        FILTER (WHERE status = 'completed'), 0)
FROM builds GROUP BY src_partition""",
    ),
)


class Rows(NamedTuple):
    """How many rows there are to be; tasks are numbered from 1 on."""

    agents: int
    builds: int
    tasks: int
    executions: int


def rows_of(agents: int, entities: int) -> Rows:
    """As many tasks as executions, and their builds."""
    builds = entities // _OF_A_BUILD
    executions = (entities - builds) // 2
    return Rows(agents, builds, entities - builds - executions, executions)


async def fill(settings: Settings, rows: Rows) -> None:
    """Put ``rows`` into an empty database of the newest schema."""
    async with connected(settings) as connection:
        names = agent_names(rows.agents)
        await connection.execute(_AGENTS, names, settings.partitions)
        await connection.execute("CREATE UNLOGGED TABLE scale_agents (number int, name text)")
        await connection.copy_records_to_table("scale_agents", records=enumerate(names))
        if rows.tasks:
            await asyncio.gather(
                _fill(settings, "tasks", rows.tasks, rows),
                _fill(settings, "executions", rows.executions, rows),
            )
            await _fill(settings, "builds", rows.builds, rows)
        await connection.execute("DROP TABLE scale_agents")
        await connection.execute("VACUUM ANALYZE")
        for entity, partials in _PARTIALS:
            await connection.execute(partials, settings.topic(entity), timeout=600)
        await _cache(connection, names)
        await connection.execute("VACUUM ANALYZE agent_stats_cache, agent_stats_partials")
        await connection.execute("CHECKPOINT")


async def _cache(connection: Connection, names: Sequence[str]) -> None:
    for place in range(0, len(names), _NAMES_AT_ONCE):
        await connection.execute(figures_sql.REFRESH_AGENTS, names[place : place + _NAMES_AT_ONCE])
    await connection.execute(figures_sql.REFRESH_BUILDS)


async def _fill(settings: Settings, table: str, count: int, rows: Rows) -> None:
    """Fill a table without its indexes, and build them again."""
    async with connected(settings) as connection:
        await connection.execute("SET maintenance_work_mem = '256MB'; SET work_mem = '64MB'")
        indexes = await connection.fetch(_INDEXES, table)
        for index in indexes:
            what = f"ALTER TABLE {table} DROP CONSTRAINT" if index["key"] else "DROP INDEX"
            await connection.execute(f"{what} {index['name']}")
        given = (settings.partitions, max(1, rows.agents), max(1, rows.builds))
        await connection.execute(_ROWS[table], 1, count, *given, timeout=1800)
        for index in indexes:
            key = f"ALTER TABLE {table} ADD CONSTRAINT {index['name']} {index['key']}"
            await connection.execute(key if index["key"] else index["made"], timeout=1800)
