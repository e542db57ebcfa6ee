"""Workers of an older version cannot write any more."""

from __future__ import annotations

from alembic import op

from nova_stream.storage.older_workers import REFUSAL, refuse_below

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(REFUSAL)
    # 0013 keeps when tasks finished, 0015 what cleanup must not take away, 0018 which days of
    # executions are counted: what is older than this one does not know of all three.
    for statement in refuse_below(revision):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
