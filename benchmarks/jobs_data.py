"""The rows that the jobs' benchmark works on, and what the guide says about them."""

from __future__ import annotations

#: The guide's own estimates, in milliseconds: from, to.
GUIDE = {
    "cleanupOldActivity": (10, 20),
    "computeAgentStats": (500, 500),
    "checkStalledBuilds": (100, 200),
    "compactOldExecutions": (2000, 5000),
    "markInactiveUsers": (1000, 2000),
    "refreshBuildStats": (100, 200),
    "healthCheck": (50, 100),
}

_MARKERS = "version, version_minor, changed_at, src_partition, src_offset, doc"
_MARKED = "1, 0, timestamptz '2026-01-01', 0, n"

#: A database of the guide's sizes times $scale, with nothing due where its executions are of the
#: last 29 $days.
FILL = f"""
INSERT INTO agents (id, name, created_at, {_MARKERS})
SELECT 'a' || n, 'AGENT-' || n, '2026-01-01', {_MARKED},
    jsonb_build_object('id', 'a' || n, 'name', 'AGENT-' || n)
FROM generate_series(1, 21) n;
INSERT INTO builds (id, status, started_at, completed_at, {_MARKERS})
SELECT 'b' || n,
    CASE WHEN n % 100 < 76 THEN 'completed' WHEN n % 100 < 86 THEN 'failed' ELSE 'running' END,
    t.started, CASE WHEN n % 100 < 86 THEN t.started + interval '45 s' END, {_MARKED},
    jsonb_build_object('id', 'b' || n, 'prdName', 'PRD ' || n)
FROM generate_series(1, 1250 * $scale) n, LATERAL (
    SELECT CASE WHEN n % 100 < 86 THEN timestamptz '2026-02-20 11:00Z' - n * interval '1 minute'
        ELSE timestamptz '2026-02-20 11:45Z' END AS started) t;
INSERT INTO tasks (id, build_id, agent, status, created_at, {_MARKERS})
SELECT 't' || n, 'b' || (1 + n % (1250 * $scale)), 'AGENT-' || (1 + n % 21),
    (ARRAY['done', 'done', 'done', 'failed', 'running', 'ready'])[1 + n % 6], '2026-01-01',
    {_MARKED}, jsonb_build_object('id', 't' || n, 'title', 'A task', 'output', md5(n::text))
FROM generate_series(1, 10000 * $scale) n;
INSERT INTO executions (id, task_id, agent, duration, timestamp, {_MARKERS})
SELECT 'e' || n, 't' || (1 + n % (10000 * $scale)), 'AGENT-' || (1 + n % 21), n % 60000,
    timestamptz '2026-02-20 12:00Z' - n * interval '$days days' / (229333 * $scale), {_MARKED},
    jsonb_build_object('id', 'e' || n, 'model', 'local-7b', 'gatesPassed', true,
        'prompt', repeat(md5(n::text), 12), 'response', repeat(md5((n + 1)::text), 24))
FROM generate_series(1, 229333 * $scale) n;
INSERT INTO agent_activity_feed (id, timestamp, {_MARKERS})
SELECT 'v' || n, timestamptz '2026-02-20 12:00Z' - n * interval '7 days' / (521878 * $scale),
    {_MARKED}, jsonb_build_object('id', 'v' || n, 'userId', 'u' || n % 8942, 'agentName', 'ATLAS',
        'eventType', 'task_completed', 'details', md5(n::text))
FROM generate_series(1, 521877 * $scale) n;
INSERT INTO user_profiles (id, created_at, last_active_at, {_MARKERS})
SELECT 'u' || n, '2025-01-01', timestamptz '2026-02-20 12:00Z'
    - CASE WHEN n % 63 = 0 THEN interval '100 days' ELSE n % 80 * interval '1 day' END,
    {_MARKED}, jsonb_build_object('id', 'u' || n, 'userId', 'user-' || n, 'tier', 'pro')
FROM generate_series(1, 8942 * $scale) n
"""

#: What is due in round $round; ids are new every time.
DUE = f"""
INSERT INTO agent_activity_feed (id, timestamp, {_MARKERS})
SELECT 'r$round-' || n, timestamptz '2026-02-13 12:00Z' - n * interval '2 s', {_MARKED},
    jsonb_build_object('id', 'r$round-' || n, 'details', md5(n::text))
FROM generate_series(1, 1523) n;
INSERT INTO executions (id, task_id, agent, duration, timestamp, {_MARKERS})
SELECT 'r$round-' || n, 't' || n, 'AGENT-' || (1 + n % 21), n % 60000,
    timestamptz '2026-01-20 00:00Z' + n * interval '15 s', {_MARKED},
    jsonb_build_object('id', 'r$round-' || n, 'model', 'local-7b', 'gatesPassed', true,
        'prompt', repeat(md5(n::text), 12), 'response', repeat(md5((n + 1)::text), 24))
FROM generate_series(1, 5234) n;
INSERT INTO builds (id, status, started_at, {_MARKERS})
SELECT 'r$round-' || n, 'running', '2026-02-20 11:00Z', {_MARKED},
    jsonb_build_object('id', 'r$round-' || n, 'prdName', 'PRD', 'status', 'running',
        'startedAt', '2026-02-20T11:00:00.000Z')
FROM generate_series(1, 2) n;
UPDATE user_profiles SET last_active_at = timestamptz '2026-02-20 12:00Z' - interval '91 days'
WHERE id IN (SELECT 'u' || ($round * 63 + n) FROM generate_series(1, 5) n)
"""
