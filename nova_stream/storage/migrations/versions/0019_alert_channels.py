"""Alerts that somebody sees to, and several channels on which they are told."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
ALTER TABLE alerts
    ADD COLUMN acknowledged_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN acknowledged_by TEXT""",
    # A worker of the version before names no channel: all that it tells goes to the webhook.
    "ALTER TABLE alert_deliveries ADD COLUMN channel TEXT DEFAULT 'webhook' NOT NULL",
    "DROP INDEX alert_deliveries_event",
    """
CREATE UNIQUE INDEX alert_deliveries_event ON alert_deliveries (alert_id, event, channel)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
