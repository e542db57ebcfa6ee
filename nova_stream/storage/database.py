"""Connections to Postgres, and what is checked before one is used."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
from asyncpg.connect_utils import SessionAttribute
from asyncpg.pool import PoolConnectionProxy
from asyncpg.transaction import Transaction

from nova_stream.clock import to_millis
from nova_stream.database_url import DatabaseUrl, Host
from nova_stream.errors import DatabaseUnavailableError, SchemaVersionError
from nova_stream.settings import Settings
from nova_stream.storage.faults import DATABASE_ERRORS, state_of
from nova_stream.storage.lost_peers import notice_loss
from nova_stream.storage.older_workers import SETTING
from nova_stream.storage.schema import newest_revision

#: A connection of one's own, or one that a pool has lent.
Connection: TypeAlias = "asyncpg.Connection[Any] | PoolConnectionProxy[Any]"

#: PostgreSQL 18: ``RETURNING old.*`` and virtual generated columns.
MINIMUM_VERSION = 18

#: No session of ours may hold the stream's locks for long: one that is stopped inside a
#: transaction would stop every worker. Milliseconds.
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
#: one made while a table was empty would scan it when it is large. Made once: planning anew for
#: each flush's arrays would take a fifth of the time of a small one.
_FLUSH = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "default_statistics_target": "10",
}

#: For statements that must follow an index, however small the table is at the moment.
INDEXES_ONLY = "SET enable_seqscan = off"
#: For what the next run does again when the server's last moments before a crash are lost.
LASTING_LATER = "SET LOCAL synchronous_commit = off"
#: For one long transaction that sorts much and locks none of the stream's rows.
UNHURRIED = "SET transaction_timeout = 0; SET work_mem = '64MB'"
#: For what reads much: one core is enough, the stream has the others.
POLITE = "SET max_parallel_workers_per_gather = 0"

#: Of one host of several: these send a connection to the next one.
_NEXT_HOST = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TargetServerAttributeNotMatched,
)

_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_POSTGRES_EPOCH_MS = to_millis(_POSTGRES_EPOCH)

#: What a pooler takes away that is not told to keep it, or refuses.
_AT_THE_START = (
    "the settings with which connections to Postgres start, time limits and the schema's version "
    "among them. Name Postgres itself in NOVA_DATABASE_URL, not the pooler"
)

_LIMIT_S = 10.0
#: Seconds for a farewell.
_FAREWELL_S = 2.0


def describe(settings: Settings) -> str:
    """``host:port/database`` of the configured database, without its user and password."""
    return str(settings.database())


async def open_connection(
    url: DatabaseUrl,
    server_settings: Mapping[str, str],
    *,
    timeout: float | None = None,
    command_timeout: float | None = None,
) -> asyncpg.Connection[Any]:
    """A connection to the first host that lets us in and is what the URL asks for.

    ``server_settings`` win over the URL's own. All hosts together have ``timeout`` seconds, the
    URL's connect_timeout each, or 10. Raises what asyncpg raises for the last host.
    """
    hosts = url.in_order()
    wanted = [url.target_session_attrs]
    if wanted == ["prefer-standby"]:
        wanted = ["standby", "any"]
    tries = [(host, attributes) for attributes in wanted for host in hosts]
    limit = url.connect_timeout or (timeout or _LIMIT_S) / len(tries)

    async def attempt(host: Host, attributes: str) -> asyncpg.Connection[Any]:
        connection = await asyncpg.connect(
            url.address(),
            host=host.name,
            port=host.port,
            user=url.user,
            password=url.password,
            passfile=url.passfile,
            database=url.database,
            target_session_attrs=SessionAttribute(attributes),
            server_settings={**url.server_settings, **server_settings},
            timeout=limit,
            command_timeout=command_timeout,
        )
        notice_loss(connection)
        return connection

    async with asyncio.timeout(timeout or limit * len(tries)):
        for host, attributes in tries[:-1]:
            with contextlib.suppress(*_NEXT_HOST):
                return await attempt(host, attributes)
        return await attempt(*tries[-1])


async def connect(
    settings: Settings, application: str, *, flush: bool = False, timeout: float | None = None
) -> Connection:
    """Open one connection, named ``application`` in pg_stat_activity.

    To the statements of a ``flush`` a time is an instant or a number of milliseconds since 1970.

    Raises DatabaseUnavailableError when nothing answers within ``timeout`` seconds (see
    ``open_connection``), the name or password is wrong, or the server is older than
    MINIMUM_VERSION.
    """
    url = settings.database()
    guards = _guards(application)
    if flush:
        guards |= _FLUSH
    try:
        connection = await open_connection(url, guards, timeout=timeout)
    except (*DATABASE_ERRORS, ValueError) as error:
        raise _unavailable(url, error) from None
    if connection.get_server_version().major < MINIMUM_VERSION:
        found = connection.get_server_version()
        await connection.close()
        raise _too_old(url, f"version {found.major}.{found.micro}")
    if flush:
        await connection.set_type_codec(
            "timestamptz",
            schema="pg_catalog",
            encoder=_to_postgres_time,
            decoder=_from_postgres_time,
            format="tuple",
        )
    return connection


def _guards(application: str) -> dict[str, str]:
    return {
        **_GUARDS,
        SETTING: newest_revision(),
        "application_name": f"nova-stream {application}",
    }


def _to_postgres_time(value: datetime | int) -> tuple[int]:
    """A timestamptz, in microseconds since 2000, of an instant or of milliseconds since 1970.

    asyncpg's own way takes four times as long, and makes the first instant of the year 1 infinite.
    """
    if isinstance(value, int):
        return ((value - _POSTGRES_EPOCH_MS) * 1000,)
    return ((value - _POSTGRES_EPOCH) // _MICROSECOND,)


def _from_postgres_time(value: tuple[int]) -> datetime:
    try:
        return _POSTGRES_EPOCH + timedelta(microseconds=value[0])
    except OverflowError:  # an infinite one, as asyncpg wrote the first instant of the year 1
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        return first if value[0] < 0 else last


def _unavailable(url: DatabaseUrl, error: BaseException) -> DatabaseUnavailableError:
    # Only a server without this one is too old; another setting is one of the URL's options.
    if isinstance(error, asyncpg.UndefinedObjectError) and '"transaction_timeout"' in str(error):
        return _too_old(url, "one without transaction_timeout")
    if "startup parameter" in str(error):
        return DatabaseUnavailableError(f"the pooler at {url} refuses {_AT_THE_START}")
    if state_of(error) == "silent":
        what = "it does not answer"
    elif isinstance(error, ConnectionRefusedError):
        what = "it refuses connections"
    else:
        what = str(error) or type(error).__name__
    return DatabaseUnavailableError(
        f"Postgres at {url} cannot be used: {what.splitlines()[0]}. "
        "Check NOVA_DATABASE_URL, or start everything here with: nova-stream dev"
    )


def _too_old(url: DatabaseUrl, found: str) -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        f"PostgreSQL {MINIMUM_VERSION} or newer is needed, {url} is {found}"
    )


async def create_pool(settings: Settings, application: str, size: int) -> asyncpg.Pool[Any]:
    """A pool of up to ``size`` connections, whose users leave no setting, lock or cursor behind;
    raises as ``connect`` does.
    """
    first = await connect(settings, application)
    await first.close()
    guards = _guards(application)

    async def opened(*_args: Any, **_given: Any) -> asyncpg.Connection[Any]:
        return await open_connection(settings.database(), guards, command_timeout=60)

    return await asyncpg.create_pool(
        connect=opened,
        min_size=0,
        max_size=size,
        reset=_as_it_is,
    )


async def _as_it_is(_connection: Any) -> None:
    """Instead of a statement after each use that would undo what nobody does."""


@asynccontextmanager
async def open_session(
    settings: Settings, application: str, *, timeout: float | None = None
) -> AsyncIterator[Connection]:
    """A connection to a database of this version's schema, closed at the end.

    Raises DatabaseUnavailableError, SchemaVersionError.
    """
    connection = await connect(settings, application, timeout=timeout)
    try:
        await check_schema(connection)
        yield connection
    except BaseException:
        connection.terminate()  # a farewell could hold us, and hide what went wrong
        raise
    try:
        await connection.close(timeout=_FAREWELL_S)
    except DATABASE_ERRORS:
        connection.terminate()


@asynccontextmanager
async def snapshot(connection: Connection) -> AsyncIterator[None]:
    """A transaction that only reads, all of whose statements see the same moment."""
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    async with _ended(transaction, keep=True):
        yield


@asynccontextmanager
async def read_committed(connection: Connection, *, keep: bool = True) -> AsyncIterator[None]:
    """A transaction in which every statement sees what was committed before it.

    Rolled back when its body raises, and at its end unless it is to ``keep`` what was done.
    """
    async with _ended(connection.transaction(isolation="read_committed"), keep=keep):
        yield


@asynccontextmanager
async def _ended(transaction: Transaction, *, keep: bool) -> AsyncIterator[None]:
    """As asyncpg's own; but that would raise anew on a connection that broke, and a cancellation
    would be lost.
    """
    await transaction.start()
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            await transaction.rollback()
        raise
    await (transaction.commit() if keep else transaction.rollback())


async def check_schema(connection: Connection) -> None:
    """Raise SchemaVersionError unless the database has our schema and knows that we are for it."""
    newest = newest_revision()
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        found = "an empty database"
    else:
        version = await connection.fetchval("SELECT version_num FROM alembic_version")
        found = f"schema {version}"
    if found != f"schema {newest}":
        raise SchemaVersionError(
            f"the database has {found}, this version needs schema {newest}. "
            "Run: nova-stream migrate"
        )
    if await connection.fetchval("SELECT current_setting($1, true)", SETTING) != newest:
        raise SchemaVersionError(f"a pooler drops {_AT_THE_START}")
