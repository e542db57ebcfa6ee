"""Statements of the API's tokens, by name."""

from __future__ import annotations

_FIELDS = "id, name, scopes, created_at, expires_at, replaced_at, revoked_at, last_used_at"
#: Of several tokens of a name the one that no other has replaced.
_CURRENT = "revoked_at IS NULL AND replaced_at IS NULL"

CREATE = f"""
INSERT INTO api_tokens (name, digest, scopes, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) WHERE {_CURRENT} DO NOTHING
RETURNING {_FIELDS}
"""  # noqa: S608 - our own text
LIST = f"SELECT {_FIELDS} FROM api_tokens ORDER BY name, id"  # noqa: S608
#: The least of both ends: a token that was to end earlier still does.
REPLACE = f"""
UPDATE api_tokens SET replaced_at = $2, expires_at = least(expires_at, $3)
WHERE name = $1 AND {_CURRENT} AND (expires_at IS NULL OR expires_at > $2)
RETURNING scopes
"""  # noqa: S608
REVOKE = "UPDATE api_tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL RETURNING id"
KNOWN = """
SELECT id, name, digest, scopes, expires_at FROM api_tokens WHERE revoked_at IS NULL
"""
ANY = "SELECT EXISTS (SELECT FROM api_tokens)"
USED = "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1"
#: Those that nothing has replaced and that end between two times.
ENDING = f"""
SELECT name, expires_at FROM api_tokens
WHERE {_CURRENT} AND expires_at > $1 AND expires_at <= $2
ORDER BY expires_at, name
"""  # noqa: S608
