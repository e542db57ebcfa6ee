"""Which document of an execution was put back from the archive: its version alone does not say."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE archive_restores ADD COLUMN version_generation INTEGER",
    "ALTER TABLE archive_restores ADD COLUMN src_offset BIGINT",
    """
UPDATE archive_restores r SET version_generation = e.version_generation, src_offset = e.src_offset
FROM executions e
WHERE e.id = r.id AND (e.version, e.version_minor) = (r.version, r.version_minor)""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
