"""Quix Streams 3.28.1 with its PostgreSQL sink: ``app.py``, in an environment of its own."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import parts
from benchmarks.peers.peer import Peer, Start, joined_agents_of, rows_of

_HERE = Path(__file__).resolve().parent

_TABLES = """
CREATE TABLE quix_agents (id text PRIMARY KEY, seq bigint, doc jsonb, name text);
CREATE TABLE quix_builds (id text PRIMARY KEY, seq bigint, doc jsonb, status text);
CREATE TABLE quix_tasks (id text PRIMARY KEY, seq bigint, doc jsonb, agent text, status text);
CREATE TABLE quix_executions (id text PRIMARY KEY, seq bigint, doc jsonb, agent text,
    duration bigint);
CREATE TABLE quix_task_stats (id text PRIMARY KEY, total bigint, completed bigint, failed bigint);
CREATE TABLE quix_execution_stats (id text PRIMARY KEY, executions bigint, duration_sum bigint);
CREATE TABLE quix_build_stats (id text PRIMARY KEY, total bigint, completed bigint,
    failed bigint, running bigint)
"""

PEER = Peer(
    name="Quix Streams",
    made_of="quixstreams 3.28.1 with psycopg2",
    claims="exactly once inside of Kafka; in Postgres right in the end, by upsert",
    prepare=lambda: Start(parts.python(_HERE)),
    tables=_TABLES,
    rows=rows_of("quix_"),
    agents=joined_agents_of("quix_", id_column="id"),
    builds="SELECT total, completed, failed, running FROM quix_build_stats",
)
