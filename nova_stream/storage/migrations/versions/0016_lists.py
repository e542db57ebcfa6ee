"""Indexes that the lists of tasks, executions, activities and users follow."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TIMES = {
    "agent_activity_feed": "timestamp",
    "builds": "started_at",
    "executions": "timestamp",
    "tasks": "created_at",
    "user_profiles": "last_active_at",
}


def upgrade() -> None:
    op.execute("CREATE INDEX tasks_created_at ON tasks (created_at, id)")
    # The others' documents are there: they have an index already.
    op.execute(
        "CREATE INDEX executions_archived ON executions (timestamp, id) "
        "WHERE doc IS NULL AND deleted_at IS NULL"
    )
    for table, time in _TIMES.items():
        op.execute(
            f"CREATE INDEX {table}_untimed ON {table} (id) "
            f"WHERE {time} IS NULL AND deleted_at IS NULL"
        )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
