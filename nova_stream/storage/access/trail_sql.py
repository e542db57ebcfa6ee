"""Statements of the audit trail, by name."""

from __future__ import annotations

INSERT = """
INSERT INTO audit_trail (at, until, requests, token, address, action, object, outcome, refused)
SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[], $3::bigint[], $4::text[], $5::text[],
    $6::text[], $7::text[], $8::text[], $9::boolean[])
"""
PAGE = """
SELECT id, at, until, requests, token, address, action, object, outcome, refused
FROM audit_trail
WHERE id < $1
    AND ($2::text IS NULL OR token = $2)
    AND ($3::boolean IS NULL OR refused = $3)
ORDER BY id DESC LIMIT $4
"""
