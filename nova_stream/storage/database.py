"""Connections to Postgres, and what is checked before one is used."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from nova_stream.errors import DatabaseUnavailableError, SchemaVersionError
from nova_stream.settings import Settings
from nova_stream.storage import sql

#: PostgreSQL 18: ``RETURNING old.*`` and virtual generated columns.
MINIMUM_VERSION = 18

#: No session of ours may hold the stream's locks for long: one that is stopped inside a
#: transaction would stop every worker (design 2.9). Milliseconds.
_GUARDS = {
    "idle_in_transaction_session_timeout": "5000",
    "transaction_timeout": "60000",
    "lock_timeout": "15000",
    "client_connection_check_interval": "2000",
    "tcp_user_timeout": "10000",
    "timezone": "UTC",
    "jit": "off",
}

#: The flush's statements must walk indexes from the first row on: their plans are cached, and
#: one made while a table was empty would scan it when it is large.
_FLUSH = {"enable_seqscan": "off", "enable_bitmapscan": "off", "default_statistics_target": "10"}

#: What asyncpg raises when the server is away or going away.
UNAVAILABLE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection whose end has been announced and not come
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    TimeoutError,
)


def describe(url: str) -> str:
    """``host:port/database`` of a database address, without its user and password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path or '/'}"


async def connect(
    settings: Settings, application: str, *, flush: bool = False, timeout: float = 10.0
) -> asyncpg.Connection[Any]:
    """Open one connection, named ``application`` in pg_stat_activity.

    Raises DatabaseUnavailableError when nothing answers within ``timeout`` seconds, the name or
    password is wrong, or the server is older than MINIMUM_VERSION.
    """
    url = settings.database_url.get_secret_value()
    guards = {**_GUARDS, "application_name": f"nova-stream {application}"}
    if flush:
        guards |= _FLUSH
    try:
        async with asyncio.timeout(timeout):
            connection = await asyncpg.connect(url, timeout=timeout, server_settings=guards)
    except (*UNAVAILABLE, asyncpg.PostgresError, ValueError) as error:
        raise _unavailable(url, error) from None
    if connection.get_server_version().major < MINIMUM_VERSION:
        found = connection.get_server_version()
        await connection.close()
        raise _too_old(url, f"version {found.major}.{found.micro}")
    return connection


def _unavailable(url: str, error: BaseException) -> DatabaseUnavailableError:
    if isinstance(error, asyncpg.UndefinedObjectError) or "transaction_timeout" in str(error):
        return _too_old(url, "one without transaction_timeout")
    what = str(error) or type(error).__name__
    return DatabaseUnavailableError(
        f"Postgres at {describe(url)} cannot be used: {what.splitlines()[0]}. "
        "Check NOVA_DATABASE_URL, or start everything here with: nova-stream dev"
    )


def _too_old(url: str, found: str) -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        f"PostgreSQL {MINIMUM_VERSION} or newer is needed, {describe(url)} is {found}"
    )


async def create_pool(settings: Settings, application: str, size: int) -> asyncpg.Pool[Any]:
    """A pool of up to ``size`` connections, whose users leave no setting, lock or cursor behind;
    raises as ``connect`` does.
    """
    first = await connect(settings, application)
    await first.close()
    return await asyncpg.create_pool(
        settings.database_url.get_secret_value(),
        min_size=0,
        max_size=size,
        server_settings={**_GUARDS, "application_name": f"nova-stream {application}"},
        command_timeout=60,
        reset=_as_it_is,
    )


async def _as_it_is(_connection: Any) -> None:
    """Instead of a statement after each use that would undo what nobody does."""


async def check_schema(connection: asyncpg.Connection[Any], newest: str) -> None:
    """Raise SchemaVersionError unless the database is at the migration ``newest``."""
    if await connection.fetchval(sql.SCHEMA_TABLE) is None:
        found = "an empty database"
    else:
        found = f"schema {await connection.fetchval(sql.SCHEMA_VERSION)}"
    if found != f"schema {newest}":
        raise SchemaVersionError(
            f"the database has {found}, this version needs schema {newest}. "
            "Run: nova-stream migrate"
        )
