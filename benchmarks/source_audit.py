"""Comparing a source of many rows with nova-stream's: time and peak memory, and what it finds.

Half are tasks and half executions, with documents of some hundred bytes; a few rows of each kind
of difference are among them and must be the ones that are found.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.common import WORKER, Stack, environment, make_topics, process, stack
from nova_stream.local import processes
from nova_stream.local.sql import run_sql

ROWS = 1_000_000
#: Changes of tasks a second, beside which the comparison runs, too.
CHANGES = 500
#: What the product's acceptance asks for.
TARGET_SECONDS, TARGET_MB = 60, 300

_SOURCE = """
CREATE TABLE tasks (
    id text PRIMARY KEY, build_id text, task_id text, title text, agent text, status text NOT NULL,
    dependencies jsonb, phase int, attempts int, created_at timestamptz, output text, error text);
CREATE TABLE executions (
    id bigint PRIMARY KEY, task_id text, agent text, model text, prompt text, response text,
    gates_passed bool, duration numeric, "timestamp" timestamp, error text)
"""
_FILL_SOURCE = (
    """
INSERT INTO tasks SELECT 'task-' || n, 'build-' || n % 1000, 'work-' || n, 'Title of ' || n,
    'Agent ' || n % 50, (ARRAY['pending', 'running', 'done', 'failed'])[n % 4 + 1],
    '["task-1", "task-2"]', n % 7, n % 3, '2026-02-20T12:00:00Z'::timestamptz + n * interval '1 s',
    repeat('output ', 20), NULL
FROM generate_series(1, {half}) n
""",
    """
INSERT INTO executions SELECT n, 'task-' || n, 'Agent ' || n % 50, 'model', repeat('prompt ', 20),
    repeat('response ', 30), n % 2 = 0, n * 1.250,
    '2026-02-20T12:00:00'::timestamp + n * interval '1 s', NULL
FROM generate_series(1, {half}) n
""",
)
_TIME = """to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
_FILL_NOVA = (
    f"""
INSERT INTO tasks (id, build_id, agent, status, created_at, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT id, build_id, agent, status, created_at, n, 0, now(), 0, n, jsonb_build_object('id', id,
    'buildId', build_id, 'taskId', 'work-' || n, 'title', 'Title of ' || n, 'agent', agent,
    'status', status, 'dependencies', '["task-1", "task-2"]'::jsonb, 'phase', n % 7,
    'attempts', n % 3, 'createdAt', {_TIME.format("created_at")},
    'output', repeat('output ', 20), 'error', null)
FROM (SELECT n, 'task-' || n AS id, 'build-' || n % 1000 AS build_id, 'Agent ' || n % 50 AS agent,
    (ARRAY['pending', 'running', 'done', 'failed'])[n % 4 + 1] AS status,
    '2026-02-20T12:00:00Z'::timestamptz + n * interval '1 s' AS created_at
    FROM generate_series(1, {{half}}) n) AS made
""",
    f"""
INSERT INTO executions (id, task_id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT n::text, task_id, agent, duration, timestamp, n, 0, now(), 0, n, jsonb_build_object('id',
    n::text, 'taskId', task_id, 'agent', agent, 'model', 'model', 'prompt', repeat('prompt ', 20),
    'response', repeat('response ', 30), 'gatesPassed', n % 2 = 0, 'duration', duration,
    'timestamp', {_TIME.format("timestamp")}, 'error', null)
FROM (SELECT n, 'task-' || n AS task_id, 'Agent ' || n % 50 AS agent, n * 1.250 AS duration,
    '2026-02-20T12:00:00Z'::timestamptz + n * interval '1 s' AS timestamp
    FROM generate_series(1, {{half}}) n) AS made
""",
)
_BREAK = (
    "DELETE FROM tasks WHERE id IN ('task-7', 'task-8')",
    "UPDATE executions SET duration = 5 WHERE id = '9'",
)
_UNBREAK = "DELETE FROM executions WHERE id = 10"
_WANTED = {"missing": 2, "surplus": 1, "different": 1}


def measure(say: Callable[[str], None], *, rows: int = ROWS) -> dict[str, Any]:
    """Fill both sides, compare them three times: as they are, beside a stream of changes, and with
    differences.
    """
    half = rows // 2
    with stack() as servers, servers.database() as nova, servers.database() as source:
        url = servers.postgres.url_of(source)
        say(f"filling a source and nova-stream's tables with {rows:,} rows each")
        run_sql(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", limit=60)
        made = [statement.format(half=half) for statement in _FILL_SOURCE]
        run_sql(url, *_SOURCE.split(";"), *made, "VACUUM ANALYZE", limit=900)
        ours = servers.postgres.url_of(nova)
        made = [statement.format(half=half) for statement in _FILL_NOVA]
        run_sql(ours, *made, "VACUUM ANALYZE", limit=900)
        say("comparing")
        equal = _compare(servers, nova, url)
        say(f"comparing beside {CHANGES:,} changes a second")
        beside = _compare_beside_changes(servers, nova, url, half)
        run_sql(ours, *_BREAK, limit=60)
        run_sql(url, _UNBREAK, limit=60)
        broken = _compare(servers, nova, url)
    none = not any([*equal["found"].values(), *beside["found"].values(), beside["unsettled"]])
    exact = none and broken["found"] == _WANTED
    return {"rows": rows, "equal": equal, "beside": beside, "broken": broken, "exact": exact}


def _compare_beside_changes(servers: Stack, database: str, url: str, tasks: int) -> dict[str, Any]:
    """Compare while tasks change at the source, are published, and applied by a worker."""
    settings = servers.settings(database, prefix="nova")
    asyncio.run(make_topics(settings))
    # The rows were filled in by hand: their figures first.
    processes.run(
        (*WORKER[:-1], "jobs", "run", "computeAgentStats"),
        cwd=servers.folder,
        env=environment(settings),
    )
    ours = servers.postgres.url_of(database)
    writer = (sys.executable, "-m", "benchmarks.source_writer", url, str(tasks), str(CHANGES))
    with process(servers, "worker", WORKER, settings) as worker:
        with process(servers, "writer", writer, settings) as writing:
            before = _applied(ours)
            found = _compare(servers, database, url)
            changes = _applied(ours) - before
            writing.check()
        worker.check()
    return found | {"changes": changes}


def _compare(stack: Stack, database: str, url: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "nova_stream.cli.main",
        "audit",
        "--source",
        url,
        "--settle",
        "5",
    ]
    begin = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=stack.folder,
        env=environment(stack.settings(database, prefix="nova")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        answer = process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    report = msgspec.json.decode(answer.splitlines()[-1])
    return {
        "seconds": round(time.monotonic() - begin, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "compared": report["compared"],
        "found": {name: report[name] for name in _WANTED},
        "unsettled": report.get("unsettled", 0),
    }


def _applied(url: str) -> int:
    ((records,),) = run_sql(url, "SELECT coalesce(sum(next_offset), 0) FROM stream_positions")
    return int(records)
