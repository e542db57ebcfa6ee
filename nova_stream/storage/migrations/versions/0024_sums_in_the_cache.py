"""The agents' cache has the sums that its figures come from, so that a flush adds to them."""

from __future__ import annotations

from alembic import op

from nova_stream.storage.older_workers import refuse_below

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE agent_stats_cache
    ADD COLUMN running_tasks BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN executions BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN duration_sum NUMERIC NOT NULL DEFAULT 0"""

# As 0001 has it, and at its end the new columns.
RECOUNT = """
CREATE OR REPLACE VIEW agent_stats_recount AS
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
    CASE WHEN coalesce(t.running, 0) > 0 THEN 'active' ELSE 'idle' END AS current_status,
    coalesce(t.running, 0) AS running_tasks,
    coalesce(e.executions, 0) AS executions,
    coalesce(e.duration_sum, 0) AS duration_sum
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
WHERE a.deleted_at IS NULL
"""

FILL = """
UPDATE agent_stats_cache c
SET running_tasks = p.running_tasks, executions = p.executions, duration_sum = p.duration_sum
FROM (
    SELECT agent, sum(running_tasks) AS running_tasks, sum(executions) AS executions,
        sum(duration_sum) AS duration_sum
    FROM agent_stats_partials GROUP BY agent
) p
WHERE p.agent = c.agent_name
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(RECOUNT)
    # An older worker would leave the new columns as they are. A flush of one has ended before this
    # began, or is refused with all that it did.
    for statement in refuse_below(revision):
        op.execute(statement)
    op.execute(FILL)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
