"""Counted days of executions by the hour, too, so that series need not be read by rows."""

from __future__ import annotations

from alembic import op

from nova_stream.storage.older_workers import refuse_below

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

HOURS = """
CREATE TABLE execution_hours (
    agent TEXT NOT NULL,
    hour TIMESTAMP WITH TIME ZONE NOT NULL,
    executions BIGINT NOT NULL,
    timed BIGINT NOT NULL,
    duration_sum NUMERIC NOT NULL,
    histogram NUMERIC NOT NULL,
    PRIMARY KEY (agent, hour)
)"""


def upgrade() -> None:
    op.execute(HOURS)
    # The days that are counted have no hours; computeAgentStats counts all of them again.
    op.execute("DELETE FROM execution_days_until")
    # An older worker would count days without their hours.
    for statement in refuse_below(revision):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
