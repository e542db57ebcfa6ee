"""Flink SQL 2.0.2 with its Kafka source and JDBC sinks: ``job.sql`` in a local cluster.

Its documentation: deduplication by ROW_NUMBER, upsert sinks by primary key, mini-batches for
aggregations, checkpoints, and after a failure the job from its newest checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import parts
from benchmarks.peers.peer import Peer, Start, rows_of

_HERE = Path(__file__).resolve().parent

_OPENS = ("java.base/java.util", "java.base/java.lang", "java.base/java.time", "java.base/java.net")
_OPTIONS = [
    "-Xmx2g",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    *(f"--add-opens={one}=ALL-UNNAMED" for one in _OPENS),
]

_TABLES = """
CREATE TABLE flink_agents (id text PRIMARY KEY, seq bigint, name text, role text, domain text,
    model text, created_at text);
CREATE TABLE flink_builds (id text PRIMARY KEY, seq bigint, prd_id text, prd_name text,
    status text, started_at text, completed_at text, error text);
CREATE TABLE flink_tasks (id text PRIMARY KEY, seq bigint, build_id text, task_id text,
    title text, agent text, status text, phase int, attempts int, created_at text, output text,
    error text);
CREATE TABLE flink_executions (id text PRIMARY KEY, seq bigint, task_id text, agent text,
    model text, prompt text, response text, gates_passed boolean, duration bigint,
    executed_at text);
CREATE TABLE flink_agent_stats (agent text PRIMARY KEY, total bigint, completed bigint,
    failed bigint, executions bigint, duration_sum bigint);
CREATE TABLE flink_build_stats (id int PRIMARY KEY, total bigint, completed bigint,
    failed bigint, running bigint)
"""


_ROWS = ("agents_out", "builds_out", "tasks_out", "executions_out")


def _prepare(*left_out: str) -> Start:
    command = parts.java(_HERE, "Main", options=_OPTIONS)
    return Start([*command, str(_HERE / "job.sql"), *left_out])


PEER = Peer(
    name="Flink SQL",
    made_of="Flink 2.0.2, connectors kafka 4.0.1-2.0 and jdbc 4.0.0-2.0",
    claims="rows and statistics right in the end: at least once, by upsert",
    prepare=_prepare,
    tables=_TABLES,
    rows=rows_of("flink_"),
    agents="""
SELECT agent, total, completed, failed,
    coalesce(floor(duration_sum::float8 / nullif(executions, 0) + 0.5), 0)
FROM flink_agent_stats""",
    builds="SELECT total, completed, failed, running FROM flink_build_stats",
)

#: The same job without the sinks of rows.
STATISTICS = PEER._replace(
    name="Flink SQL, statistics alone",
    claims="statistics right in the end: at least once, by upsert",
    prepare=lambda: _prepare(*_ROWS),
)
