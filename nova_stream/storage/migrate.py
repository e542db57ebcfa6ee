"""Bringing the database to the newest schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from nova_stream.errors import DatabasePrivilegeError
from nova_stream.settings import Settings
from nova_stream.storage import locks
from nova_stream.storage.access import roles, trail
from nova_stream.storage.access.grants import Role
from nova_stream.storage.access.trail import Line
from nova_stream.storage.database import connect, open_connection
from nova_stream.storage.older_workers import SETTING
from nova_stream.storage.schema import newest_revision


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def migrate(
    settings: Settings, *, with_roles: bool = False, told: Line | None = None
) -> tuple[str | None, str]:
    """Bring the database to the newest schema; gives the revisions before and after.

    ``with_roles`` makes the roles of ``storage.grants`` and hands everything over to them; from
    then on every migration runs as ``nova_migrate`` and gives the others their rights. ``told``
    goes into the audit trail. All of that is one transaction: it is done, or nothing is.

    Safe to repeat and to run from several machines at once. Raises DatabaseUnavailableError,
    DatabasePrivilegeError.
    """
    probe = await connect(settings, "migrate")
    try:
        with _told_what_is_missing(settings):
            passwords = _passwords(settings) if with_roles else None
            return await _upgraded(settings, passwords, told)
    finally:
        await probe.close()


async def _upgraded(
    settings: Settings, passwords: Mapping[Role, str] | None, told: Line | None
) -> tuple[str | None, str]:
    engine = _engine(settings)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade, passwords, told)
    finally:
        await engine.dispose()


def _passwords(settings: Settings) -> dict[Role, str]:
    given = {
        Role.MIGRATE: settings.role_password_migrate,
        Role.WORKER: settings.role_password_worker,
        Role.API: settings.role_password_api,
        Role.BI: settings.role_password_bi,
    }
    return {role: value.get_secret_value() for role, value in given.items() if value is not None}


@contextmanager
def _told_what_is_missing(settings: Settings) -> Iterator[None]:
    """A privilege that the caller lacks, in one line."""
    try:
        yield
    except (asyncpg.InsufficientPrivilegeError, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlstate", None) != asyncpg.InsufficientPrivilegeError.sqlstate:
            raise
        what = str(cause).rpartition(">: ")[2].splitlines()[0]
        raise DatabasePrivilegeError(
            f"Postgres at {settings.database()} refuses: {what}. Migrations run as the tables' "
            "owner or a member of it; --roles as the owner of database and tables, with CREATEROLE"
        ) from None


def _engine(settings: Settings) -> AsyncEngine:
    async def creator() -> asyncpg.Connection[Any]:
        named = {"application_name": "nova-stream migrate", SETTING: newest_revision()}
        return await open_connection(settings.database(), named)

    return create_async_engine("postgresql+asyncpg://", async_creator=creator, poolclass=NullPool)


def _upgrade(
    connection: Connection, passwords: Mapping[Role, str] | None, told: Line | None
) -> tuple[str | None, str]:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": locks.MIGRATION})
    before = MigrationContext.configure(connection).get_current_revision()
    if passwords is not None:
        roles.make_roles(connection, passwords)
        roles.hand_over(connection)
    owned = passwords is not None or roles.are_used(connection)
    if owned:
        roles.become_owner(connection)
    if before not in {None, newest_revision()}:
        # A flush locks it first: the migrations wait for flushes here, not amid their tables.
        connection.execute(text("LOCK TABLE stream_positions"))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if owned:
        roles.grant(connection)
    after = newest_revision()
    if told is not None and (passwords is not None or before != after):
        _tell(connection, told._replace(object=f"schema {before or 'none'} -> {after}"))
    return before, after


def _tell(connection: Connection, line: Line) -> None:
    connection.exec_driver_sql(trail.INSERT, tuple(trail.columns_of([line])))
