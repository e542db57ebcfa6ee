"""Pathway 0.33.0 with its Postgres snapshots: ``app.py``, in an environment of its own."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import parts
from benchmarks.peers.peer import Peer, Start, joined_agents_of, rows_of

_HERE = Path(__file__).resolve().parent

_TABLES = """
CREATE TABLE pathway_agents (document_id text PRIMARY KEY, seq bigint, doc jsonb, name text);
CREATE TABLE pathway_builds (document_id text PRIMARY KEY, seq bigint, doc jsonb, status text);
CREATE TABLE pathway_tasks (document_id text PRIMARY KEY, seq bigint, doc jsonb, agent text,
    status text);
CREATE TABLE pathway_executions (document_id text PRIMARY KEY, seq bigint, doc jsonb, agent text,
    duration bigint);
CREATE TABLE pathway_task_stats (agent text PRIMARY KEY, total bigint, completed bigint,
    failed bigint);
CREATE TABLE pathway_execution_stats (agent text PRIMARY KEY, executions bigint,
    duration_sum bigint);
CREATE TABLE pathway_build_stats (one bigint PRIMARY KEY, total bigint, completed bigint,
    failed bigint, running bigint)
"""

PEER = Peer(
    name="Pathway",
    made_of="pathway 0.33.0",
    claims="at least once in its free edition; each table of Postgres a minibatch at a time",
    prepare=lambda: Start(parts.python(_HERE)),
    tables=_TABLES,
    rows=rows_of("pathway_", id_column="document_id"),
    agents=joined_agents_of("pathway_", id_column="agent"),
    builds="SELECT total, completed, failed, running FROM pathway_build_stats",
)
