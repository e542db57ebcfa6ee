# mypy: disable-error-code="misc, untyped-decorator"
"""The same figures as an idiomatic Faust app, as its documentation would have it.

Records as models, an agent a topic, tables: the last state of every entity, which keeps the counts
exact under duplicates and old versions, and the counts of every agent. A timer writes the counts
that changed to Postgres each second.

It is given every advantage: tables in memory, one worker (so that counts need no repartitioning
by agent, which would be a second hop for every change), no documents stored.
"""

from __future__ import annotations

import os
from typing import Any

import asyncpg
import faust

MAKE_TABLES = """
CREATE TABLE IF NOT EXISTS faust_agents (
    agent text PRIMARY KEY, total_tasks bigint, completed_tasks bigint, failed_tasks bigint,
    running_tasks bigint, executions bigint, duration_sum numeric, last_active text);
CREATE TABLE IF NOT EXISTS faust_progress (one int PRIMARY KEY, handled bigint);
"""
STORE = """
INSERT INTO faust_agents
SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
    $6::bigint[], $7::numeric[], $8::text[])
ON CONFLICT (agent) DO UPDATE SET total_tasks = excluded.total_tasks,
    completed_tasks = excluded.completed_tasks, failed_tasks = excluded.failed_tasks,
    running_tasks = excluded.running_tasks, executions = excluded.executions,
    duration_sum = excluded.duration_sum, last_active = excluded.last_active"""
STORE_PROGRESS = """
INSERT INTO faust_progress VALUES (1, $1)
ON CONFLICT (one) DO UPDATE SET handled = excluded.handled"""

PREFIX = os.environ["NOVA_TOPIC_PREFIX"]
COUNTED = {"done": "completed_tasks", "failed": "failed_tasks", "running": "running_tasks"}


class Source(faust.Record):
    seq: int
    minor: int = 0


class TaskDocument(faust.Record):
    id: str
    agent: str
    status: str


class TaskChange(faust.Record):
    op: str
    source: Source
    after: TaskDocument


class ExecutionDocument(faust.Record):
    id: str
    agent: str
    duration: float
    timestamp: str


class ExecutionChange(faust.Record):
    op: str
    source: Source
    after: ExecutionDocument


class BuildDocument(faust.Record):
    id: str
    status: str


class BuildChange(faust.Record):
    op: str
    source: Source
    after: BuildDocument


app = faust.App(
    os.environ["NOVA_CONSUMER_GROUP"],
    broker=f"kafka://{os.environ['NOVA_KAFKA_BROKERS']}",
    store="memory://",
    topic_partitions=int(os.environ["NOVA_PARTITIONS"]),
    value_serializer="json",
    web_enabled=False,
    consumer_auto_offset_reset="earliest",
)
tasks = app.topic(f"{PREFIX}.tasks", key_type=str, key_serializer="raw", value_type=TaskChange)
executions = app.topic(
    f"{PREFIX}.executions", key_type=str, key_serializer="raw", value_type=ExecutionChange
)
builds = app.topic(f"{PREFIX}.builds", key_type=str, key_serializer="raw", value_type=BuildChange)

task_states = app.Table("task_states")
execution_states = app.Table("execution_states")
build_states = app.Table("build_states")
agent_stats = app.Table("agent_stats")
build_stats = app.Table("build_stats", default=int)

handled = 0
touched: set[str] = set()


def _stats(agent: str) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("total_tasks", "completed_tasks", "failed_tasks", "running_tasks", "executions"), 0
    )
    return dict(agent_stats.get(agent) or {**empty, "duration_sum": 0, "last_active": ""})


def _count_task(agent: str, status: str, sign: int) -> None:
    stats = _stats(agent)
    stats["total_tasks"] += sign
    if status in COUNTED:
        stats[COUNTED[status]] += sign
    agent_stats[agent] = stats
    touched.add(agent)


def _is_new(known: Any, source: Source) -> bool:
    return known is None or (source.seq, source.minor) > (known["seq"], known["minor"])


@app.agent(tasks)
async def on_task(stream: Any) -> None:
    """Take the task's last state out of the counts, put the new one in."""
    global handled  # noqa: PLW0603 - what the timer reports
    async for change in stream:
        task, source = change.after, change.source
        known = task_states.get(task.id)
        if _is_new(known, source):
            if known is not None:
                _count_task(known["agent"], known["status"], -1)
            _count_task(task.agent, task.status, 1)
            task_states[task.id] = {
                "seq": source.seq,
                "minor": source.minor,
                "agent": task.agent,
                "status": task.status,
            }
        handled += 1


@app.agent(executions)
async def on_execution(stream: Any) -> None:
    """Add the execution's duration, less the one it was counted with before."""
    global handled  # noqa: PLW0603 - what the timer reports
    async for change in stream:
        execution, source = change.after, change.source
        known = execution_states.get(execution.id)
        if _is_new(known, source):
            stats = _stats(execution.agent)
            stats["executions"] += 0 if known else 1
            stats["duration_sum"] += execution.duration - (known["duration"] if known else 0)
            stats["last_active"] = max(stats["last_active"], execution.timestamp)
            agent_stats[execution.agent] = stats
            touched.add(execution.agent)
            execution_states[execution.id] = {
                "seq": source.seq,
                "minor": source.minor,
                "duration": execution.duration,
            }
        handled += 1


@app.agent(builds)
async def on_build(stream: Any) -> None:
    """Count builds by status."""
    global handled  # noqa: PLW0603 - what the timer reports
    async for change in stream:
        build, source = change.after, change.source
        known = build_states.get(build.id)
        if _is_new(known, source):
            if known is not None:
                build_stats[known["status"]] -= 1
            build_stats[build.status] += 1
            build_states[build.id] = {
                "seq": source.seq,
                "minor": source.minor,
                "status": build.status,
            }
        handled += 1


_pool: list[Any] = []


@app.task
async def connect() -> None:
    """Make the pool and its tables."""
    pool = await asyncpg.create_pool(os.environ["NOVA_DATABASE_URL"], min_size=1, max_size=2)
    await pool.execute(MAKE_TABLES)
    _pool.append(pool)


@app.timer(1.0)
async def store() -> None:
    """Write what changed since the last time."""
    if not _pool:
        return
    names, count = sorted(touched), handled
    touched.clear()
    rows = [_stats(name) for name in names]
    columns = [[row[figure] for row in rows] for figure in _stats("")]
    async with _pool[0].acquire() as connection, connection.transaction():
        if names:
            await connection.execute(STORE, names, *columns)
        await connection.execute(STORE_PROGRESS, count)


if __name__ == "__main__":
    app.main()
