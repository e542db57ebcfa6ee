"""The largest that each route of the API takes, and the rows that make its answers so large."""

from __future__ import annotations

import json
from typing import Any

from nova_stream.api.budget.budget import MB

#: Of each request so many at a time.
TOGETHER = 8
#: The token that routes are asked with.
TOKEN = "largest"
AGENTS = 30_000

#: All that a stream of changes carries.
FILL_AGENTS = [
    f"""
INSERT INTO agents (id, name, version, version_minor, changed_at, src_partition, src_offset, doc)
SELECT 'a' || n, 'AGENT-' || n, 1, 0, now(), 0, n, jsonb_build_object('role', repeat('r', 100))
FROM generate_series(1, {AGENTS}) n""",
    f"""
INSERT INTO agent_stats_cache (agent_id, agent_name, role, total_tasks, completed_tasks,
    failed_tasks, success_rate, avg_duration, last_active, current_status, cached_at)
SELECT 'a' || n, 'AGENT-' || n, repeat('r', 100), 1, 1, 0, 100, 1,
    now() - n * interval '1 second', 'idle', now()
FROM generate_series(1, {AGENTS}) n""",
]
FILL_REST = [
    f"""
INSERT INTO agent_stats_partials (agent, topic, partition)
SELECT 'AGENT-' || n, 't', 0 FROM generate_series(1, {AGENTS}) n""",
    f"""
INSERT INTO execution_days (agent, day, executions, timed, duration_sum, histogram)
SELECT 'AGENT-' || n, '2026-01-02', 2, 2, 2e12, 1e6300::numeric + 1e15714::numeric
FROM generate_series(1, {AGENTS}) n""",
    """
INSERT INTO execution_hours (agent, hour, executions, timed, duration_sum, histogram)
SELECT 'AGENT-' || n % 3, '2026-01-01Z'::timestamptz + n / 3 * interval '1 hour', 2, 2, 2e12,
    1e6300::numeric + 1e15714::numeric
FROM generate_series(0, 8999) n""",
    f"""
INSERT INTO execution_days_until (agent, until)
SELECT 'AGENT-' || n, CASE WHEN n < 3 THEN '2026-06-01' ELSE '2026-01-03' END::timestamptz
FROM generate_series(1, {AGENTS}) n""",
    """
INSERT INTO builds (id, status, started_at, version, version_minor, changed_at, src_partition,
    src_offset, doc)
SELECT 'b' || n, 'running', now() - n * interval '1 second', 1, 0, now(), 0, n,
    jsonb_build_object('prdId', 'p', 'status', 'running', 'error', repeat('e', 100000))
FROM generate_series(1, 500) n""",
    """
INSERT INTO tasks (id, build_id, agent, status, version, version_minor, changed_at, src_partition,
    src_offset, created_at, doc)
SELECT 't' || n, 'b1', 'AGENT-1', 'failed', 1, 0, now(), 0, n, now(),
    jsonb_build_object('buildId', 'b1', 'status', 'failed', 'agent', 'AGENT-1', 'phase', n % 9,
        'output', repeat('o', 5000))
FROM generate_series(1, 20000) n""",
    """
INSERT INTO executions (id, task_id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'e' || n, 't1', 'AGENT-1', 1, now() - n * interval '1 second', 1, 0, now(), 0, n,
    jsonb_build_object('agent', 'AGENT-1', 'prompt', repeat('p', 100000),
        'response', repeat('r', 100000))
FROM generate_series(1, 2000) n""",
    # Each of the tasks has failed, and only an execution says why.
    """
INSERT INTO executions (id, task_id, agent, duration, timestamp, version, version_minor, changed_at,
    src_partition, src_offset, doc)
SELECT 'f' || n, 't' || n, 'AGENT-1', 1, '2020-01-01', 1, 0, now(), 0, n,
    jsonb_build_object('agent', 'AGENT-1', 'error', repeat('e', 100000))
FROM generate_series(1, 20000) n""",
    """
INSERT INTO agent_activity_feed (id, timestamp, version, version_minor, changed_at, src_partition,
    src_offset, doc)
SELECT 'v' || n, now() - n * interval '1 second', 1, 0, now(), 0, n,
    jsonb_build_object('userId', 'system', 'agentName', 'AGENT-1', 'eventType', 'playbook_updated',
        'prdId', 'p', 'details', repeat('d', 50000))
FROM generate_series(1, 2000) n""",
    """
INSERT INTO dead_letters (topic, partition, "offset", headers, reason, message, state, value)
SELECT 't', 0, n, '[]', 'r', 'm', 'open', convert_to(repeat(E'\\x01', 8000000), 'UTF8')
FROM generate_series(1, 3) n""",
    """
INSERT INTO job_runs (job, kind, scheduled_at, started_at, ended_at, outcome, result)
SELECT 'healthCheck', 'manual', now() - n * interval '1 second', now(), now(), 'manual', '{}'
FROM generate_series(1, 2000) n""",
]


def values(size: int, piece: bytes) -> bytes:
    """A list of so many bytes."""
    return b"[" + piece * (size // len(piece)) + b"1]"


def nested(size: int) -> bytes:
    """JSON as deep as it may be, again and again."""
    return values(size, b"[" * 250 + b"]" * 250 + b",")


def events() -> bytes:
    """As many changes as a body takes."""
    line = {"entity": "users", "op": "c", "after": {"id": "u", "tier": "x" * 300}}
    many = [json.dumps(line | {"seq": number}) for number in range(20_000)]
    return f"[{','.join(many)}]".encode()


def call(path: str, **args: Any) -> bytes:
    return json.dumps({"path": path, "args": args}).encode()


CALLS = [
    call("atlas:getAgentExecutions", agent="AGENT-1", limit=16384),
    call("atlas:getBuildStatus", prdId="p"),
    call("atlas:getLearnings", prdId="p"),
    call("dashboard:getAgentStats"),
    call("dashboard:getOverviewStats"),
    call("dashboard:getBuild", buildId="b1"),
    call("dashboard:listBuilds", pageSize=100),
    call("dashboard:listTasks", buildId="b1"),
    call("realtime:subscribeToActivity"),
    call("realtime:subscribeToBuilds"),
    call("realtime:getAgentActivityHistory", agentName="AGENT-1", limit=16384),
    call("realtime:getRecentActivity", limit=16384, hours=1000),
    call("realtime:getBuildActivityTimeline", buildId="b1"),
    call("activity:getAgentActivity", limit=16384),
    call("activity:getAgentActivityByAgent", agentName="AGENT-1", limit=16384),
    call("dashboard:createBuild", prdId="p", prdName="x" * 4_000_000),
    nested(4 * MB - 600),
    values(4 * MB - 10, b"1,"),
    values(390_000, b'{"a":{}},'),
    b'{"path": "dashboard:getBuild", "args": {"x": ' + values(MB, b'{"a":1.5},') + b"}}",
]
#: Days that are counted already.
DAYS = "from=2026-01-01T00:00:00Z&to=2026-01-04T00:00:00Z"
#: As many buckets as a series has at most.
SERIES = "bucket=1m&from=2026-01-01T00:00:00Z&to=2026-01-03T02:00:00Z"
#: The same of hours that are counted already.
HOURS = "bucket=1h&from=2026-01-01T00:00:00Z&to=2026-05-06T00:00:00Z"
#: The largest that each route takes; a path with several is several requests.
LARGEST: dict[str, list[tuple[str, bytes | None]]] = {
    "GET /api/v1/activity": [("/api/v1/activity?limit=500", None)],
    "GET /api/v1/agent/explain": [
        ("/api/v1/agent/explain?name=AGENT-1&figure=totalTasks&limit=500", None)
    ],
    "GET /api/v1/agent/stats": [
        ("/api/v1/agent/stats?name=AGENT-1", None),
        (f"/api/v1/agent/stats?name=AGENT-1&{DAYS}", None),
    ],
    "GET /api/v1/agents/history": [
        (f"/api/v1/agents/history?hours={168 - n}&buckets={200 - n}", None) for n in range(TOGETHER)
    ],
    "GET /api/v1/agents/stats": [
        ("/api/v1/agents/stats?unregistered=true", None),
        ("/api/v1/agents/stats", None),
        (f"/api/v1/agents/stats?{DAYS}", None),
    ],
    "GET /api/v1/agents/{name}/explain": [
        ("/api/v1/agents/AGENT-1/explain?figure=avgDuration&limit=500", None)
    ],
    "GET /api/v1/agents/{name}/stats": [("/api/v1/agents/AGENT-1/stats", None)],
    "GET /api/v1/agent/series": [
        (f"/api/v1/agent/series?name=AGENT-1&{asked}", None) for asked in (SERIES, HOURS)
    ],
    "GET /api/v1/agents/series": [
        (f"/api/v1/agents/series?{asked}", None) for asked in (SERIES, HOURS)
    ],
    "GET /api/v1/agents/comparison": [
        (f"/api/v1/agents/comparison?unregistered=true&{DAYS}", None)
    ],
    "GET /api/v1/agents/{name}/series": [
        (f"/api/v1/agents/AGENT-1/series?{asked}", None) for asked in (SERIES, HOURS)
    ],
    "GET /api/v1/agent/slowest": [(f"/api/v1/agent/slowest?name=AGENT-1&limit=500&{DAYS}", None)],
    "GET /api/v1/agents/{name}/slowest": [
        (f"/api/v1/agents/AGENT-1/slowest?limit=500&{DAYS}", None)
    ],
    "GET /api/v1/alerts": [("/api/v1/alerts?limit=500", None)],
    "GET /api/v1/build": [("/api/v1/build?id=b1", None)],
    "GET /api/v1/builds": [("/api/v1/builds?limit=500", None)],
    "GET /api/v1/builds/history": [("/api/v1/builds/history?days=366", None)],
    "GET /api/v1/builds/series": [(f"/api/v1/builds/series?{SERIES}", None)],
    "GET /api/v1/builds/stats": [("/api/v1/builds/stats", None)],
    "GET /api/v1/builds/{id}": [("/api/v1/builds/b1", None)],
    "GET /api/v1/dead-letters": [("/api/v1/dead-letters?limit=500", None)],
    "GET /api/v1/dead-letters/{id}": [("/api/v1/dead-letters/1", None)],
    "GET /api/v1/engagement": [("/api/v1/engagement", None)],
    "GET /api/v1/execution": [("/api/v1/execution?id=e1", None)],
    "GET /api/v1/executions": [
        ("/api/v1/executions?limit=500", None),
        (f"/api/v1/executions?limit=500&agent=AGENT-1&order=-duration&{DAYS}", None),
    ],
    "GET /api/v1/executions/{id}": [("/api/v1/executions/e1", None)],
    "GET /api/v1/jobs": [("/api/v1/jobs", None)],
    "GET /api/v1/jobs/{name}/runs": [("/api/v1/jobs/healthCheck/runs?limit=500", None)],
    "GET /api/v1/jobs/{name}/runs/{runId}": [("/api/v1/jobs/healthCheck/runs/1", None)],
    "GET /api/v1/overview": [("/api/v1/overview", None)],
    "GET /api/v1/runs": [("/api/v1/runs?limit=500", None)],
    "GET /api/v1/runs/summary": [("/api/v1/runs/summary", None)],
    "GET /api/v1/search": [("/api/v1/search?q=agent&limit=20", None)],
    "GET /api/v1/settings": [("/api/v1/settings", None)],
    "GET /api/v1/stream": [],  # by itself, below
    "GET /api/v1/stream/history": [(f"/api/v1/stream/history?{SERIES}", None)],
    "GET /api/v1/stream/status": [("/api/v1/stream/status", None)],
    "GET /api/v1/task": [("/api/v1/task?id=t1&limit=500", None)],
    "GET /api/v1/tasks": [("/api/v1/tasks?limit=500", None)],
    "GET /api/v1/tasks/{id}": [("/api/v1/tasks/t1?limit=500", None)],
    "GET /api/v1/token": [("/api/v1/token", None)],
    "GET /api/v1/trail": [("/api/v1/trail?limit=500", None)],
    "GET /api/v1/user": [("/api/v1/user?id=u1", None)],
    "GET /api/v1/users": [("/api/v1/users?limit=500", None)],
    "GET /api/v1/users/{id}": [("/api/v1/users/u1", None)],
    "GET /health/live": [("/health/live", None)],
    "GET /health/ready": [("/health/ready", None)],
    "GET /metrics": [("/metrics", None)],
    "POST /api/mutation": [("/api/mutation", body) for body in CALLS],
    "POST /api/query": [("/api/query", body) for body in CALLS],
    "POST /api/v1/alerts/{id}/acknowledge": [("/api/v1/alerts/1/acknowledge", b"")],
    "POST /api/v1/dead-letters/{id}/discard": [("/api/v1/dead-letters/2/discard", b"")],
    "POST /api/v1/dead-letters/{id}/retry": [("/api/v1/dead-letters/3/retry", b"")],
    "POST /api/v1/events": [
        ("/api/v1/events", values(8 * MB, b"1,")),
        ("/api/v1/events", values(390_000, b"1,")),
        ("/api/v1/events", nested(10 * MB - 600)),
        ("/api/v1/events", events()),
        ("/api/v1/events", b" " * (10 * MB)),
    ],
    "POST /api/v1/jobs/{name}/pause": [("/api/v1/jobs/healthCheck/pause", nested(MB - 600))],
    "POST /api/v1/jobs/{name}/resume": [("/api/v1/jobs/healthCheck/resume", b"")],
    "POST /api/v1/jobs/{name}/run": [("/api/v1/jobs/healthCheck/run", nested(MB - 600))],
    "POST /api/v1/jobs/{name}/runs/{runId}/undo": [("/api/v1/jobs/healthCheck/runs/1/undo", b"")],
    "POST /c/{token}/api/mutation": [(f"/c/{TOKEN}/api/mutation", CALLS[0])],
    "POST /c/{token}/api/query": [(f"/c/{TOKEN}/api/query", CALLS[0])],
}
