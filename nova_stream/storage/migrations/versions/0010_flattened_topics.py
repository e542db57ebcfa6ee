"""Topics whose tombstones delete, since their records have no envelope."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE stream_topics ADD COLUMN flattened BOOLEAN NOT NULL DEFAULT false")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
