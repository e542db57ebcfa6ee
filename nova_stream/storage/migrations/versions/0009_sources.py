"""Sources that move, truncations, and what orders changes of one lsn."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = (
    "agents",
    "builds",
    "tasks",
    "executions",
    "user_profiles",
    "agent_activity_feed",
    "activity_archive",
)


def upgrade() -> None:
    for table in TABLES:  # a constant default: no row is written
        op.execute(f"ALTER TABLE {table} ADD COLUMN version_generation INTEGER NOT NULL DEFAULT 0")
    op.execute(
        """
ALTER TABLE stream_topics
    ADD COLUMN source_generation INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN truncation JSONB"""
    )
    op.execute(
        """
ALTER TABLE stream_positions
    ADD COLUMN source_generation INTEGER NOT NULL DEFAULT 0,
    ADD COLUMN source_offsets BIGINT[] NOT NULL DEFAULT '{}',
    ADD COLUMN lsn_high BIGINT,
    ADD COLUMN truncation JSONB"""
    )
    op.execute(
        """
CREATE INDEX dead_letters_moved ON dead_letters (topic, generation, partition, "offset")
WHERE state = 'open' AND reason = 'source_moved'"""
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
