"""How many partitions a topic has, and whether it got more while its versions are offsets."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
ALTER TABLE stream_topics
    ADD COLUMN partitions INTEGER,
    ADD COLUMN enlarged_at TIMESTAMP WITH TIME ZONE"""
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
