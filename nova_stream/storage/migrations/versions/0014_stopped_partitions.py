"""Why a partition stands: most of its records would be dead letters."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE stream_positions"
        " ADD COLUMN stopped_at TIMESTAMP WITH TIME ZONE, ADD COLUMN stopped_why TEXT"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
