"""Statements of the API's tokens, by name."""

from __future__ import annotations

_FIELDS = "id, name, scopes, created_at, expires_at, revoked_at, last_used_at"

CREATE = f"""
INSERT INTO api_tokens (name, digest, scopes, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING
RETURNING {_FIELDS}
"""  # noqa: S608 - our own text
LIST = f"SELECT {_FIELDS} FROM api_tokens ORDER BY name, id"  # noqa: S608
REVOKE = "UPDATE api_tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL RETURNING id"
KNOWN = """
SELECT id, name, digest, scopes, expires_at FROM api_tokens WHERE revoked_at IS NULL
"""
ANY = "SELECT EXISTS (SELECT FROM api_tokens)"
USED = "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1"
