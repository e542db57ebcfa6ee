"""The spine: entities, partials, caches, positions, dead letters, and the recount as views."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE agent_activity_feed (
    id TEXT NOT NULL,
    timestamp TIMESTAMP WITH TIME ZONE,
    user_id TEXT GENERATED ALWAYS AS (doc ->> 'userId') VIRTUAL,
    agent_name TEXT GENERATED ALWAYS AS (doc ->> 'agentName') VIRTUAL,
    event_type TEXT GENERATED ALWAYS AS (doc ->> 'eventType') VIRTUAL,
    task_id TEXT GENERATED ALWAYS AS (doc ->> 'taskId') VIRTUAL,
    details TEXT GENERATED ALWAYS AS (doc ->> 'details') VIRTUAL,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    src_partition INTEGER NOT NULL,
    src_offset BIGINT NOT NULL,
    doc JSONB,
    PRIMARY KEY (id)
);
CREATE INDEX agent_activity_feed_timestamp ON agent_activity_feed (timestamp, id);
CREATE TABLE agent_stats_cache (
    agent_id TEXT NOT NULL,
    agent_name TEXT NOT NULL,
    role TEXT,
    total_tasks BIGINT NOT NULL,
    completed_tasks BIGINT NOT NULL,
    failed_tasks BIGINT NOT NULL,
    success_rate DOUBLE PRECISION NOT NULL,
    avg_duration DOUBLE PRECISION NOT NULL,
    last_active TIMESTAMP WITH TIME ZONE,
    current_status TEXT NOT NULL,
    cached_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (agent_id)
) WITH (fillfactor = 50);
CREATE INDEX agent_stats_cache_agent_name ON agent_stats_cache (agent_name);
CREATE TABLE agent_stats_partials (
    agent TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    total_tasks BIGINT DEFAULT 0 NOT NULL,
    completed_tasks BIGINT DEFAULT 0 NOT NULL,
    failed_tasks BIGINT DEFAULT 0 NOT NULL,
    running_tasks BIGINT DEFAULT 0 NOT NULL,
    active_tasks BIGINT DEFAULT 0 NOT NULL,
    executions BIGINT DEFAULT 0 NOT NULL,
    duration_sum NUMERIC DEFAULT 0 NOT NULL,
    PRIMARY KEY (agent, topic, partition)
) WITH (fillfactor = 50);
CREATE INDEX agent_stats_partials_position ON agent_stats_partials (topic, partition);
CREATE TABLE agents (
    id TEXT NOT NULL,
    name TEXT,
    created_at TIMESTAMP WITH TIME ZONE,
    role TEXT GENERATED ALWAYS AS (doc ->> 'role') VIRTUAL,
    domain TEXT GENERATED ALWAYS AS (doc ->> 'domain') VIRTUAL,
    model TEXT GENERATED ALWAYS AS (doc ->> 'model') VIRTUAL,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    src_partition INTEGER NOT NULL,
    src_offset BIGINT NOT NULL,
    doc JSONB,
    PRIMARY KEY (id)
);
CREATE INDEX agents_name ON agents (name);
CREATE TABLE build_stats_cache (
    id INTEGER NOT NULL,
    total_builds BIGINT NOT NULL,
    completed_builds BIGINT NOT NULL,
    failed_builds BIGINT NOT NULL,
    running_builds BIGINT NOT NULL,
    success_rate DOUBLE PRECISION NOT NULL,
    avg_duration_ms DOUBLE PRECISION NOT NULL,
    last_build_time TIMESTAMP WITH TIME ZONE,
    cached_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT build_stats_cache_one_row CHECK (id = 1)
) WITH (fillfactor = 50);
CREATE TABLE build_stats_partials (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    total_builds BIGINT DEFAULT 0 NOT NULL,
    completed_builds BIGINT DEFAULT 0 NOT NULL,
    failed_builds BIGINT DEFAULT 0 NOT NULL,
    running_builds BIGINT DEFAULT 0 NOT NULL,
    timed_builds BIGINT DEFAULT 0 NOT NULL,
    duration_sum_ms NUMERIC DEFAULT 0 NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
CREATE TABLE builds (
    id TEXT NOT NULL,
    status TEXT,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    prd_id TEXT GENERATED ALWAYS AS (doc ->> 'prdId') VIRTUAL,
    prd_name TEXT GENERATED ALWAYS AS (doc ->> 'prdName') VIRTUAL,
    error TEXT GENERATED ALWAYS AS (doc ->> 'error') VIRTUAL,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    src_partition INTEGER NOT NULL,
    src_offset BIGINT NOT NULL,
    doc JSONB,
    PRIMARY KEY (id)
);
CREATE INDEX builds_completed_at ON builds (completed_at);
CREATE INDEX builds_started_at ON builds (started_at, id);
CREATE INDEX builds_status_started_at ON builds (status, started_at);
CREATE TABLE dead_letters (
    id BIGSERIAL NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    generation INTEGER DEFAULT 0 NOT NULL,
    key BYTEA,
    value BYTEA,
    headers JSONB NOT NULL,
    record_time TIMESTAMP WITH TIME ZONE,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    failed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    attempts INTEGER DEFAULT 1 NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT dead_letters_state_known CHECK (state in ('open', 'retried', 'discarded'))
);
CREATE UNIQUE INDEX dead_letters_record ON dead_letters (topic, generation, partition, "offset");
CREATE INDEX dead_letters_state ON dead_letters (state, id);
CREATE TABLE executions (
    id TEXT NOT NULL,
    task_id TEXT,
    agent TEXT,
    duration NUMERIC,
    timestamp TIMESTAMP WITH TIME ZONE,
    model TEXT GENERATED ALWAYS AS (doc ->> 'model') VIRTUAL,
    prompt TEXT GENERATED ALWAYS AS (doc ->> 'prompt') VIRTUAL,
    response TEXT GENERATED ALWAYS AS (doc ->> 'response') VIRTUAL,
    gates_passed BOOLEAN GENERATED ALWAYS AS ((doc ->> 'gatesPassed')::boolean) VIRTUAL,
    error TEXT GENERATED ALWAYS AS (doc ->> 'error') VIRTUAL,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    src_partition INTEGER NOT NULL,
    src_offset BIGINT NOT NULL,
    doc JSONB,
    PRIMARY KEY (id)
);
CREATE INDEX executions_agent_timestamp ON executions (agent, timestamp);
CREATE INDEX executions_task_id ON executions (task_id);
CREATE TABLE stream_positions (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    generation INTEGER DEFAULT 0 NOT NULL,
    next_offset BIGINT DEFAULT 0 NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);
CREATE TABLE stream_topics (
    topic TEXT NOT NULL,
    topic_id TEXT,
    generation INTEGER DEFAULT 0 NOT NULL,
    version_kind TEXT,
    PRIMARY KEY (topic)
);
CREATE TABLE tasks (
    id TEXT NOT NULL,
    build_id TEXT,
    agent TEXT,
    status TEXT,
    created_at TIMESTAMP WITH TIME ZONE,
    task_id TEXT GENERATED ALWAYS AS (doc ->> 'taskId') VIRTUAL,
    title TEXT GENERATED ALWAYS AS (doc ->> 'title') VIRTUAL,
    dependencies JSONB GENERATED ALWAYS AS (doc -> 'dependencies') VIRTUAL,
    phase NUMERIC GENERATED ALWAYS AS ((doc ->> 'phase')::numeric) VIRTUAL,
    attempts NUMERIC GENERATED ALWAYS AS ((doc ->> 'attempts')::numeric) VIRTUAL,
    output TEXT GENERATED ALWAYS AS (doc ->> 'output') VIRTUAL,
    error TEXT GENERATED ALWAYS AS (doc ->> 'error') VIRTUAL,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    src_partition INTEGER NOT NULL,
    src_offset BIGINT NOT NULL,
    doc JSONB,
    PRIMARY KEY (id)
) WITH (fillfactor = 80);
CREATE INDEX tasks_build_id ON tasks (build_id);
CREATE TABLE user_profiles (
    id TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE,
    last_active_at TIMESTAMP WITH TIME ZONE,
    user_id TEXT GENERATED ALWAYS AS (doc ->> 'userId') VIRTUAL,
    email TEXT GENERATED ALWAYS AS (doc ->> 'email') VIRTUAL,
    tier TEXT GENERATED ALWAYS AS (doc ->> 'tier') VIRTUAL,
    global_wisdom_opt_in BOOLEAN
        GENERATED ALWAYS AS ((doc ->> 'globalWisdomOptIn')::boolean) VIRTUAL,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    src_partition INTEGER NOT NULL,
    src_offset BIGINT NOT NULL,
    doc JSONB,
    PRIMARY KEY (id)
);
CREATE INDEX user_profiles_last_active_at ON user_profiles (last_active_at, id);
"""

# The figures as docs/reading.md defines them, computed from the rows alone. ``audit``
# compares them with the caches; computeAgentStats repairs with them.
RECOUNT = """
CREATE VIEW agent_stats_recount AS
SELECT
    a.id AS agent_id,
    a.name AS agent_name,
    a.role,
    coalesce(t.total, 0) AS total_tasks,
    coalesce(t.completed, 0) AS completed_tasks,
    coalesce(t.failed, 0) AS failed_tasks,
    CASE WHEN coalesce(t.total, 0) > 0
        THEN floor(t.completed::float8 / t.total::float8 * 100::float8 * 100::float8 + 0.5::float8)
            / 100::float8
        ELSE 0 END AS success_rate,
    CASE WHEN e.duration_sum > 0.1 -- below, the mean rounds to 0, and may be no double
        THEN floor(e.duration_sum::float8 / e.executions::float8 + 0.5::float8)
        ELSE 0 END AS avg_duration,
    coalesce(e.newest, a.created_at) AS last_active,
    CASE WHEN coalesce(t.running, 0) > 0 THEN 'active' ELSE 'idle' END AS current_status
FROM agents a
LEFT JOIN (
    SELECT agent, count(*) AS total,
        count(*) FILTER (WHERE status = 'done') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'running') AS running
    FROM tasks WHERE deleted_at IS NULL GROUP BY agent
) t ON t.agent = a.name
LEFT JOIN (
    SELECT agent, count(duration) AS executions, sum(duration) AS duration_sum,
        max(timestamp) AS newest
    FROM executions WHERE deleted_at IS NULL GROUP BY agent
) e ON e.agent = a.name
WHERE a.deleted_at IS NULL;
CREATE VIEW build_stats_recount AS
SELECT
    total AS total_builds,
    completed AS completed_builds,
    failed AS failed_builds,
    running AS running_builds,
    CASE WHEN total > 0
        THEN floor(completed::float8 / total::float8 * 100::float8 * 100::float8 + 0.5::float8)
            / 100::float8
        ELSE 0 END AS success_rate,
    CASE WHEN timed > 0
        THEN floor(duration_sum_ms::float8 / timed::float8 + 0.5::float8)
        ELSE 0 END AS avg_duration_ms,
    newest AS last_build_time
FROM (
    SELECT count(*) AS total,
        count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status = 'running') AS running,
        count(*) FILTER (
            WHERE status = 'completed' AND started_at IS NOT NULL AND completed_at IS NOT NULL
        ) AS timed,
        sum(extract(epoch FROM completed_at - started_at) * 1000) FILTER (
            WHERE status = 'completed'
        ) AS duration_sum_ms,
        max(completed_at) AS newest
    FROM builds WHERE deleted_at IS NULL
) b
"""

TUNING = """
ALTER TABLE agent_stats_partials SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000);
ALTER TABLE agent_stats_cache SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500);
ALTER TABLE build_stats_cache SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500);
ALTER TABLE build_stats_partials SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500);
ALTER TABLE stream_positions SET (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000)
"""

FIRST_ROW = """
INSERT INTO build_stats_cache
VALUES (1, 0, 0, 0, 0, 0, 0, NULL, date_trunc('milliseconds', now()))
"""


def upgrade() -> None:
    for script in (TABLES, RECOUNT, TUNING, FIRST_ROW):
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
