"""What the jobs work on: archives, lists, history, and the indexes that they walk."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = (
    """
CREATE TABLE activity_archive (
    id TEXT NOT NULL,
    run_id BIGINT NOT NULL,
    archived_at TIMESTAMP WITH TIME ZONE NOT NULL,
    restored_at TIMESTAMP WITH TIME ZONE,
    kept_until TIMESTAMP WITH TIME ZONE,
    timestamp TIMESTAMP WITH TIME ZONE,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    src_partition INTEGER NOT NULL,
    src_offset BIGINT NOT NULL,
    doc JSONB,
    PRIMARY KEY (run_id, id)
)""",
    "CREATE INDEX activity_archive_kept ON activity_archive (id) WHERE kept_until IS NOT NULL",
    """
CREATE TABLE inactive_users (
    id TEXT NOT NULL,
    user_id TEXT,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    marked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id BIGINT NOT NULL,
    PRIMARY KEY (id)
)""",
    """
CREATE TABLE inactivity_events (
    id BIGSERIAL NOT NULL,
    ce_id TEXT NOT NULL,
    event TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    user_id TEXT,
    last_active_at TIMESTAMP WITH TIME ZONE NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    run_id BIGINT NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT inactivity_events_event_known CHECK (event in ('inactive', 'active'))
)""",
    "CREATE UNIQUE INDEX inactivity_events_ce_id ON inactivity_events (ce_id)",
    "CREATE INDEX inactivity_events_open ON inactivity_events (id) WHERE sent_at IS NULL",
    """
CREATE TABLE build_stats_history (
    taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
    total_builds BIGINT NOT NULL,
    completed_builds BIGINT NOT NULL,
    failed_builds BIGINT NOT NULL,
    running_builds BIGINT NOT NULL,
    success_rate DOUBLE PRECISION NOT NULL,
    avg_duration_ms DOUBLE PRECISION NOT NULL,
    drift INTEGER NOT NULL,
    run_id BIGINT NOT NULL,
    PRIMARY KEY (taken_at)
)""",
    """
CREATE TABLE archive_objects (
    id BIGSERIAL NOT NULL,
    name TEXT NOT NULL,
    day DATE NOT NULL,
    run_id BIGINT NOT NULL,
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    rows BIGINT,
    bytes BIGINT,
    sha256 TEXT,
    first_id TEXT,
    last_id TEXT,
    PRIMARY KEY (id),
    CONSTRAINT archive_objects_state_known CHECK (
        state in ('writing', 'written', 'done', 'expired', 'deleted'))
)""",
    "CREATE UNIQUE INDEX archive_objects_name ON archive_objects (name)",
    "CREATE INDEX archive_objects_day ON archive_objects (day, id)",
    """
CREATE TABLE archive_restores (
    id TEXT NOT NULL,
    object_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    version_minor INTEGER NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id)
)""",
    "CREATE INDEX archive_restores_until ON archive_restores (until, id)",
    "ALTER TABLE executions ADD COLUMN archived_at TIMESTAMP WITH TIME ZONE",
    "ALTER TABLE executions ADD COLUMN archive_object BIGINT",
)

# The first gives a recount without the documents. An execution leaves the second when its document
# is archived, so it holds what is hot. The others hold tombstones only: live rows are counted as
# all rows (any index) without those.
INDEXES = (
    "DROP INDEX executions_agent_timestamp",
    "CREATE INDEX executions_agent_timestamp ON executions (agent, timestamp) INCLUDE (duration)",
    "CREATE INDEX executions_to_compact ON executions (timestamp, id) WHERE doc IS NOT NULL",
    *(
        f"CREATE INDEX {table}_tombstones ON {table} (id) WHERE deleted_at IS NOT NULL"
        for table in ("builds", "tasks", "executions", "agent_activity_feed", "user_profiles")
    ),
)


def upgrade() -> None:
    for statement in (*TABLES, *INDEXES):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
