"""What operators read and say: why a job is paused, and the index by which an agent's tasks are
listed.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Of the agent alone: with the id beside it, each new task would go to a page of its own of the
# index, which costs the stream three times as much.
STATEMENTS = (
    "ALTER TABLE job_settings ADD COLUMN paused_reason TEXT",
    "CREATE INDEX tasks_agent ON tasks (agent)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
