"""When tasks were finished, and views of what was done when."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE tasks
    ADD COLUMN done_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN failed_at TIMESTAMP WITH TIME ZONE
"""
# What is known of tasks that have finished: the time of their last change. Columns that Postgres
# fills itself would write the table anew, which a snapshot taken before then finds empty.
FINISHED = """
UPDATE tasks SET done_at = CASE WHEN status = 'done' THEN changed_at END,
    failed_at = CASE WHEN status = 'failed' THEN changed_at END
WHERE status IN ('done', 'failed')
"""
INDEXES = (
    "CREATE INDEX tasks_done ON tasks (agent, done_at) WHERE done_at IS NOT NULL",
    "CREATE INDEX tasks_failed ON tasks (agent, failed_at) WHERE failed_at IS NOT NULL",
)

FINISHED_TASKS = """
CREATE VIEW finished_tasks AS
SELECT id, build_id, agent AS agent_name, 'done'::text AS status, done_at AS finished_at
FROM tasks WHERE done_at IS NOT NULL
UNION ALL
SELECT id, build_id, agent, 'failed'::text, failed_at FROM tasks WHERE failed_at IS NOT NULL
"""
FINISHED_BUILDS = """
CREATE VIEW finished_builds AS
SELECT id, status, completed_at AS finished_at,
    CASE WHEN status = 'completed'
        THEN extract(epoch FROM completed_at - started_at) * 1000 END AS duration_ms
FROM builds WHERE status IN ('completed', 'failed') AND completed_at IS NOT NULL
"""
TIMED_EXECUTIONS = """
CREATE VIEW timed_executions AS
SELECT id, agent AS agent_name, timestamp AS executed_at, duration
FROM executions WHERE agent IS NOT NULL AND timestamp IS NOT NULL
"""
_RATE = """
    CASE WHEN completed + failed > 0
        THEN floor(completed::float8 / (completed + failed)::float8 * 100::float8 * 100::float8
            + 0.5::float8) / 100::float8 END AS success_rate"""
_PERCENTILES = "percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY {0})"
AGENT_STATS_HOURLY = f"""
CREATE VIEW agent_stats_hourly AS
SELECT agent_name, hour, completed AS completed_tasks, failed AS failed_tasks, {_RATE}, executions,
    CASE WHEN duration_sum > 0.1 -- below, the mean rounds to 0, and may be no double
        THEN floor(duration_sum::float8 / timed::float8 + 0.5::float8)
        WHEN timed > 0 THEN 0 END AS avg_duration,
    percentiles[1] AS p50_duration, percentiles[2] AS p95_duration, percentiles[3] AS p99_duration
FROM (
    SELECT agent_name, hour, coalesce(completed, 0) AS completed, coalesce(failed, 0) AS failed,
        coalesce(executions, 0) AS executions, timed, duration_sum, percentiles
    FROM (
        SELECT agent_name, date_trunc('hour', finished_at, 'UTC') AS hour,
            count(*) FILTER (WHERE status = 'done') AS completed,
            count(*) FILTER (WHERE status = 'failed') AS failed
        FROM finished_tasks GROUP BY 1, 2
    ) t FULL JOIN (
        SELECT agent_name, date_trunc('hour', executed_at, 'UTC') AS hour, count(*) AS executions,
            count(duration) AS timed, sum(duration) AS duration_sum,
            {_PERCENTILES.format("duration")} AS percentiles
        FROM timed_executions GROUP BY 1, 2
    ) e USING (agent_name, hour)
) h
"""  # noqa: S608 - made from our own constants
BUILD_STATS_HOURLY = f"""
CREATE VIEW build_stats_hourly AS
SELECT hour, completed AS completed_builds, failed AS failed_builds, {_RATE},
    CASE WHEN timed > 0
        THEN floor(duration_sum_ms::float8 / timed::float8 + 0.5::float8) END AS avg_duration_ms,
    percentiles[1] AS p50_duration_ms, percentiles[2] AS p95_duration_ms,
    percentiles[3] AS p99_duration_ms
FROM (
    SELECT date_trunc('hour', finished_at, 'UTC') AS hour,
        count(*) FILTER (WHERE status = 'completed') AS completed,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(duration_ms) AS timed, sum(duration_ms) AS duration_sum_ms,
        {_PERCENTILES.format("duration_ms")} AS percentiles
    FROM finished_builds GROUP BY 1
) h
"""  # noqa: S608 - made from our own constants


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(FINISHED)
    for statement in (
        *INDEXES,
        FINISHED_TASKS,
        FINISHED_BUILDS,
        TIMED_EXECUTIONS,
        AGENT_STATS_HOURLY,
        BUILD_STATS_HOURLY,
    ):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
