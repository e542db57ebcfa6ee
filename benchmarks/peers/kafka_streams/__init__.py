"""Kafka Streams 4.3.1 with exactly-once: ``App.java``, and ``Sink.java`` into Postgres.

Its documentation: KTables, aggregations with adder and subtractor, ``exactly_once_v2``, and Kafka
Connect for what is outside of Kafka. ``Sink`` does what a JDBC sink connector does, in the same
process, so that there is no second one to count.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import parts
from benchmarks.peers.peer import Peer, Start, joined_agents_of, rows_of

_HERE = Path(__file__).resolve().parent
_OPTIONS = ["-Xmx2g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

_TABLES = """
CREATE TABLE streams_agents (id text PRIMARY KEY, seq bigint, doc text, name text);
CREATE TABLE streams_builds (id text PRIMARY KEY, seq bigint, doc text, status text);
CREATE TABLE streams_tasks (id text PRIMARY KEY, seq bigint, doc text, agent text, status text);
CREATE TABLE streams_executions (id text PRIMARY KEY, seq bigint, doc text, agent text,
    duration bigint);
CREATE TABLE streams_task_stats (id text PRIMARY KEY, total bigint, completed bigint,
    failed bigint);
CREATE TABLE streams_execution_stats (id text PRIMARY KEY, executions bigint,
    duration_sum bigint);
CREATE TABLE streams_build_stats (id text PRIMARY KEY, total bigint, completed bigint,
    failed bigint, running bigint)
"""

PEER = Peer(
    name="Kafka Streams",
    made_of="kafka-streams 4.3.1, Postgres' JDBC driver 42.7.11",
    claims="exactly once inside of Kafka; in Postgres right in the end, by upsert",
    prepare=lambda: Start(parts.java(_HERE, "App", options=_OPTIONS)),
    tables=_TABLES,
    rows=rows_of("streams_"),
    agents=joined_agents_of("streams_", id_column="id"),
    builds="SELECT total, completed, failed, running FROM streams_build_stats",
)
