"""The index by which the main app finds the builds of a PRD."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Of a long one the beginning: an entry of an index has room for no more.
PRD = "CREATE INDEX builds_prd_id ON builds (left(doc ->> 'prdId', 256))"


def upgrade() -> None:
    op.execute(PRD)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
