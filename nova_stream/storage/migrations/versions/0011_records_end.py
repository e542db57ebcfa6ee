"""Where the last applied record of a partition ends: its position steps over what is no record."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE stream_positions ADD COLUMN records_end BIGINT")
    op.execute("UPDATE stream_positions SET records_end = next_offset WHERE next_offset > 0")


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
