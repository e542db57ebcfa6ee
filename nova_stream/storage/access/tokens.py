"""The API's stored tokens. All raise what asyncpg raises."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from nova_stream.storage.database import Connection, read_committed

_FIELDS = "id, name, scopes, created_at, expires_at, replaced_at, revoked_at, last_used_at"
#: Of several tokens of a name the one that no other has replaced.
_CURRENT = "revoked_at IS NULL AND replaced_at IS NULL"

_CREATE = f"""
INSERT INTO api_tokens (name, digest, scopes, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) WHERE {_CURRENT} DO NOTHING
RETURNING {_FIELDS}
"""  # noqa: S608 - our own text
_LIST = f"SELECT {_FIELDS} FROM api_tokens ORDER BY name, id"  # noqa: S608
#: The least of both ends: a token that was to end earlier still does.
_REPLACE = f"""
UPDATE api_tokens SET replaced_at = $2, expires_at = least(expires_at, $3)
WHERE name = $1 AND {_CURRENT} AND (expires_at IS NULL OR expires_at > $2)
RETURNING scopes
"""  # noqa: S608
_REVOKE = (
    "UPDATE api_tokens SET revoked_at = $2 WHERE name = $1 AND revoked_at IS NULL RETURNING id"
)
KNOWN = """
SELECT id, name, digest, scopes, expires_at FROM api_tokens WHERE revoked_at IS NULL
"""
ANY = "SELECT EXISTS (SELECT FROM api_tokens)"
USED = "UPDATE api_tokens SET last_used_at = $2 WHERE id = $1"
#: Those that nothing has replaced and that end between two times.
_ENDING = f"""
SELECT name, expires_at FROM api_tokens
WHERE {_CURRENT} AND expires_at > $1 AND expires_at <= $2
ORDER BY expires_at, name
"""  # noqa: S608


#: What the secret of every stored token begins with.
PREFIX = "nova_"
_BYTES = 32


class StoredToken(msgspec.Struct, frozen=True, rename="camel"):
    """A token as it is shown: everything but its secret, which nobody has kept."""

    id: int
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    replaced_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class KnownToken(NamedTuple):
    """A token that is not revoked, as the API compares it."""

    id: int
    name: str
    digest: bytes
    scopes: frozenset[str]
    expires_at: datetime | None


def new_secret() -> str:
    """A secret of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> bytes:
    """What is stored of a secret: with so many random bits, SHA-256 cannot be turned back."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


async def create(
    connection: Connection,
    name: str,
    secret: str,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime | None,
) -> StoredToken | None:
    """Store a token; None when one of this name is there that is not revoked."""
    row = await connection.fetchrow(_CREATE, name, digest_of(secret), list(scopes), now, expires_at)
    return None if row is None else StoredToken(**dict(row))


async def list_all(connection: Connection) -> list[StoredToken]:
    """All tokens, revoked ones too, by name."""
    return [StoredToken(**dict(row)) for row in await connection.fetch(_LIST)]


async def rotate(
    connection: Connection,
    name: str,
    secret: str,
    now: datetime,
    *,
    expires_at: datetime | None,
    overlap_until: datetime,
) -> StoredToken | None:
    """Store another secret with the scopes of the token of this name, which works until
    ``overlap_until``, or its own end before that; None when there is none that works.
    """
    async with read_committed(connection):
        scopes = await connection.fetchval(_REPLACE, name, now, overlap_until)
        if scopes is None:
            return None
        return await create(connection, name, secret, scopes, now, expires_at)


async def ending(
    connection: Connection, now: datetime, before: datetime
) -> list[tuple[str, datetime]]:
    """Names and ends of the tokens that end by themselves until then, and have no successor."""
    rows = await connection.fetch(_ENDING, now, before)
    return [(row["name"], row["expires_at"]) for row in rows]


async def revoke(connection: Connection, name: str, now: datetime) -> bool:
    """Revoke all tokens of this name, replaced ones too; False when there is none."""
    return await connection.fetchval(_REVOKE, name, now) is not None


async def known(connection: Connection) -> list[KnownToken]:
    """Every token that is not revoked."""
    rows = await connection.fetch(KNOWN)
    return [
        KnownToken(r["id"], r["name"], r["digest"], frozenset(r["scopes"]), r["expires_at"])
        for r in rows
    ]


async def any_stored(connection: Connection) -> bool:
    """Whether a token was ever stored, revoked or not."""
    return bool(await connection.fetchval(ANY))


async def used(connection: Connection, token: int, now: datetime) -> None:
    """Note that a token was used."""
    await connection.execute(USED, token, now)
