"""Tokens of the API that are made by command: their digests, never the secrets."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
CREATE TABLE api_tokens (
    id BIGSERIAL NOT NULL,
    name TEXT NOT NULL,
    digest BYTEA NOT NULL,
    scopes TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT api_tokens_scopes_known CHECK (
        scopes <@ ARRAY['read', 'publish', 'admin'] AND cardinality(scopes) > 0)
)""",
    "CREATE UNIQUE INDEX api_tokens_digest ON api_tokens (digest)",
    "CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
