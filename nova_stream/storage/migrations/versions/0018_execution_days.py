"""Days of executions that are counted already."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
CREATE TABLE execution_days (
    agent TEXT NOT NULL,
    day TIMESTAMP WITH TIME ZONE NOT NULL,
    executions BIGINT NOT NULL,
    timed BIGINT NOT NULL,
    duration_sum NUMERIC NOT NULL,
    histogram NUMERIC NOT NULL,
    PRIMARY KEY (agent, day)
)""",
    """
CREATE TABLE execution_days_until (
    agent TEXT NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (agent)
) WITH (fillfactor = 50)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
