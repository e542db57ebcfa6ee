"""Scopes of their own for metrics, figures and documents, tokens that are replaced with an overlap,
and the audit trail, which only grows.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE api_tokens ADD COLUMN replaced_at TIMESTAMP WITH TIME ZONE",
    "ALTER TABLE api_tokens DROP CONSTRAINT api_tokens_scopes_known",
    # What could read the API's metrics still can: that was one scope with the rest.
    "UPDATE api_tokens SET scopes = scopes || ARRAY['metrics'] WHERE 'read' = ANY (scopes)",
    """
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_scopes_known CHECK (
    scopes <@ ARRAY['metrics', 'stats', 'documents', 'publish', 'admin', 'read']
    AND cardinality(scopes) > 0)""",
    "DROP INDEX api_tokens_name",
    """
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name)
    WHERE revoked_at IS NULL AND replaced_at IS NULL""",
    """
CREATE TABLE audit_trail (
    id BIGSERIAL NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    requests BIGINT NOT NULL,
    token TEXT,
    address TEXT,
    action TEXT NOT NULL,
    object TEXT,
    outcome TEXT NOT NULL,
    refused BOOLEAN NOT NULL,
    PRIMARY KEY (id)
)""",
    # For its owner, too, and for replicas' sessions: whoever wants to change the past has to take
    # these triggers away first. Lines of more than a year may go.
    """
CREATE FUNCTION audit_trail_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.until < now() - INTERVAL '365 days' THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'audit_trail only grows: no line changes, none goes before it is a year old'
        USING ERRCODE = 'insufficient_privilege';
END
$$""",
    """
CREATE TRIGGER audit_trail_rows BEFORE UPDATE OR DELETE ON audit_trail
    FOR EACH ROW EXECUTE FUNCTION audit_trail_only_grows()""",
    """
CREATE TRIGGER audit_trail_truncate BEFORE TRUNCATE ON audit_trail
    FOR EACH STATEMENT EXECUTE FUNCTION audit_trail_only_grows()""",
    "ALTER TABLE audit_trail ENABLE ALWAYS TRIGGER audit_trail_rows",
    "ALTER TABLE audit_trail ENABLE ALWAYS TRIGGER audit_trail_truncate",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: going back would lose data")
