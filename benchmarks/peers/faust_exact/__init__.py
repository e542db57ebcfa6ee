"""Faust as people would have to use it to be exact in Postgres: ``app.py``."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.peer import Peer, Start, rows_of

_APP = str(Path(__file__).with_name("app.py"))

_TABLES = """
CREATE TABLE faust_agents (id text PRIMARY KEY, seq bigint, doc text, name text);
CREATE TABLE faust_builds (id text PRIMARY KEY, seq bigint, doc text, status text);
CREATE TABLE faust_tasks (id text PRIMARY KEY, seq bigint, doc text, agent text, status text);
CREATE TABLE faust_executions (id text PRIMARY KEY, seq bigint, doc text, agent text,
    duration bigint);
CREATE TABLE faust_agent_stats (agent text PRIMARY KEY, total bigint NOT NULL DEFAULT 0,
    completed bigint NOT NULL DEFAULT 0, failed bigint NOT NULL DEFAULT 0,
    executions bigint NOT NULL DEFAULT 0, duration_sum bigint NOT NULL DEFAULT 0);
CREATE TABLE faust_build_stats (id int PRIMARY KEY, total bigint NOT NULL,
    completed bigint NOT NULL, failed bigint NOT NULL, running bigint NOT NULL)
"""

PEER = Peer(
    name="Faust, exact",
    made_of=f"faust-streaming {version('faust-streaming')}, asyncpg {version('asyncpg')}",
    claims="exact in every snapshot: at least once, into a statement that has its effect once",
    prepare=lambda: Start((sys.executable, _APP, "worker", "--without-web", "-l", "warn")),
    tables=_TABLES,
    rows=rows_of("faust_"),
    agents="""
SELECT agent, total, completed, failed,
    coalesce(floor(duration_sum::float8 / nullif(executions, 0) + 0.5), 0)
FROM faust_agent_stats""",
    builds="SELECT total, completed, failed, running FROM faust_build_stats",
)
