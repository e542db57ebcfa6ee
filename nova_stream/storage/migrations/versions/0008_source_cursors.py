"""How far captures of other databases have come, and what they have published."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CURSORS = """
CREATE TABLE source_cursors (
    source text PRIMARY KEY,
    address text NOT NULL,
    phase text NOT NULL DEFAULT 'new',
    snapshot bigint,
    snapshot_table text,
    snapshot_page text,
    snapshot_documents bigint NOT NULL DEFAULT 0,
    cursor bigint,
    caught_up_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now(),
    epoch bigint NOT NULL DEFAULT 0,
    holder text,
    lease_until timestamptz,
    CONSTRAINT source_cursors_phase_known
        CHECK (phase in ('new', 'snapshot', 'sweep', 'deltas'))
) WITH (fillfactor = 50)
"""

DOCUMENTS = """
CREATE TABLE source_documents (
    source text NOT NULL,
    entity text NOT NULL,
    id text NOT NULL,
    seen bigint NOT NULL,
    PRIMARY KEY (source, entity, id)
)
"""


def upgrade() -> None:
    op.execute(CURSORS)
    op.execute(DOCUMENTS)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
