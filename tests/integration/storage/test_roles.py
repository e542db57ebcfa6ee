"""The database's roles: each may do what its program does, and nothing else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nova_stream.errors import DatabasePrivilegeError
from nova_stream.local.sql import run_sql
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.access.grants import FUNCTIONS, RELATIONS, SERVICES, Role
from nova_stream.storage.database import Connection
from nova_stream.storage.migrate import migrate
from nova_stream.testing.servers import postgres_server


def as_user(url: str, user: str, password: str) -> str:
    """The same database for somebody else."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}"))


@pytest.fixture
async def session(nova_database: str) -> AsyncIterator[Connection]:
    """A superuser's session at a database with the roles."""
    await migrate(load_settings(database_url=nova_database), with_roles=True)
    connection = await asyncpg.connect(nova_database)
    try:
        yield connection
    finally:
        await connection.close()


async def rights(session: Connection) -> list[tuple[Any, ...]]:
    """Everything that is granted in this database, and to whom everything belongs."""
    return [
        tuple(row)
        for row in await session.fetch(
            "SELECT 'relation', relname::text, relowner::regrole::text, relacl::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace UNION ALL"
            " SELECT 'column', attrelid::regclass::text, attname::text, attacl::text"
            " FROM pg_attribute WHERE attacl IS NOT NULL UNION ALL"
            " SELECT 'default', defaclrole::regrole::text, defaclobjtype::text, defaclacl::text"
            " FROM pg_default_acl UNION ALL"
            " SELECT 'member', roleid::regrole::text, member::regrole::text, set_option::text"
            " FROM pg_auth_members ORDER BY 1, 2, 3"
        )
    ]


async def test_everything_that_migrations_make_is_named_and_belongs_to_nova_migrate(
    session: Connection,
) -> None:
    relations = await session.fetch(
        "SELECT relname, relowner::regrole::text AS owner FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i', 'S')"
    )
    functions = await session.fetch(
        "SELECT proname, proowner::regrole::text AS owner FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
    )
    assert {row["relname"] for row in relations} == set(RELATIONS)
    assert {row["proname"] for row in functions} == set(FUNCTIONS)
    assert {row["owner"] for row in (*relations, *functions)} == {str(Role.MIGRATE)}


async def test_the_roles_are_no_superusers_and_own_nothing(
    session: Connection,
) -> None:
    for role in SERVICES:
        row = await session.fetchrow("SELECT * FROM pg_roles WHERE rolname = $1", str(role))
        assert row is not None
        for might in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolbypassrls"):
            assert not row[might]
    owners = await session.fetch(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace"
    )
    assert [row[0] for row in owners] == [str(Role.MIGRATE)]


async def test_made_again_they_are_as_before(session: Connection, nova_database: str) -> None:
    before = await rights(session)
    await session.execute("GRANT ALL ON api_tokens, executions TO nova_bi, PUBLIC")
    await session.execute("REVOKE ALL ON tasks FROM nova_worker")
    await session.execute("ALTER TABLE tasks OWNER TO CURRENT_USER")
    for with_roles in (True, False):
        await migrate(load_settings(database_url=nova_database), with_roles=with_roles)
        assert await rights(session) == before


async def test_a_database_that_one_role_made_is_handed_over(nova_database: str) -> None:
    settings = load_settings(database_url=nova_database)
    await migrate(settings)
    await migrate(settings, with_roles=True)
    connection = await asyncpg.connect(nova_database)
    try:
        owners = await connection.fetch(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace"
        )
        assert [row[0] for row in owners] == [str(Role.MIGRATE)]
    finally:
        await connection.close()


async def test_without_roles_nothing_is_granted(nova_database: str) -> None:
    await migrate(load_settings(database_url=nova_database))
    connection = await asyncpg.connect(nova_database)
    try:
        assert not await connection.fetch(
            "SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relacl IS NOT NULL"
        )
    finally:
        await connection.close()


async def test_migrations_meet_without_harm(nova_database: str) -> None:
    given = {f"role_password_{name}": "one-for-all" for name in ("migrate", "worker", "api", "bi")}
    settings = load_settings(database_url=nova_database, **given)
    await asyncio.gather(*(migrate(settings, with_roles=True) for _ in range(6)))


async def test_tables_of_later_migrations_are_the_workers_and_not_for_bi(
    session: Connection,
) -> None:
    await session.execute("SET ROLE nova_migrate")
    await session.execute("CREATE TABLE later (id BIGSERIAL, figure BIGINT)")
    await session.execute("SET ROLE nova_worker")
    await session.execute("INSERT INTO later (figure) VALUES (1)")
    await session.execute("SET ROLE nova_api")
    assert await session.fetchval("SELECT figure FROM later") == 1
    await session.execute("SET ROLE nova_bi")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.fetch("SELECT FROM later")


async def test_bi_reads_the_caches_and_nothing_else(session: Connection) -> None:
    await session.execute("SET ROLE nova_bi")
    for relation in RELATIONS:
        if relation in {"agent_stats_cache", "build_stats_cache"}:
            await session.fetch(f"SELECT * FROM {relation}")
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.fetch(f"SELECT FROM {relation}")
        if relation.endswith("_recount") or relation == "late_jobs":
            continue  # a view, into which nobody can write
        for statement in (f"DELETE FROM {relation}", f"TRUNCATE {relation}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.execute("CREATE TABLE mine (id INTEGER)")


async def test_nobody_but_the_owner_makes_tokens_or_reads_their_digests_and_the_trail_stays(
    session: Connection,
) -> None:
    refused = {
        Role.WORKER: [
            "SELECT digest FROM api_tokens",
            "SELECT FROM audit_trail LIMIT 1 FOR UPDATE",
            "SELECT * FROM audit_trail",
        ],
        Role.API: [
            "DELETE FROM tasks",
            "UPDATE agent_stats_cache SET total_tasks = 0",
            "UPDATE dead_letters SET value = NULL",
            "TRUNCATE dead_letters",
        ],
    }
    await session.execute(
        "INSERT INTO audit_trail (at, until, requests, action, outcome, refused)"
        " VALUES (now(), now(), 1, 'x', 'done', false)"
    )
    for role in (Role.WORKER, Role.API):
        await session.execute(f"SET ROLE {role}")
        for statement in (
            "INSERT INTO api_tokens (name, digest, scopes, created_at)"
            " VALUES ('mine', 'x', '{admin}', now())",
            "UPDATE api_tokens SET scopes = '{admin}'",
            "DELETE FROM api_tokens",
            "UPDATE audit_trail SET outcome = 'done'",
            "DELETE FROM audit_trail",
            "TRUNCATE audit_trail",
            "ALTER TABLE audit_trail DISABLE TRIGGER ALL",
            "DROP TABLE tasks",
            "CREATE TABLE mine (id INTEGER)",
            "UPDATE alembic_version SET version_num = '0001'",
            *refused[role],
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute(statement)


# -- a managed server ------------------------------------------------------------------------------


@pytest.fixture
async def managed() -> AsyncIterator[Settings]:
    """A database of a user who is no superuser, owns it and may make roles: a server of its own,
    since roles that are there already would be somebody else's.
    """
    with postgres_server() as server:
        password = secrets.token_hex(8)
        run_sql(
            server,
            f"CREATE ROLE caretaker LOGIN CREATEROLE CREATEDB PASSWORD '{password}'",
            "CREATE DATABASE theirs OWNER caretaker",
        )
        url = urlsplit(as_user(server, "caretaker", password))._replace(path="/theirs")
        yield load_settings(database_url=urlunsplit(url), **PASSWORDS)


PASSWORDS = {f"role_password_{name}": f"of-{name} %$'" for name in ("migrate", "worker", "api")}


async def test_no_superuser_is_needed(managed: Settings) -> None:
    await migrate(managed)  # as an installation without roles began
    for _ in range(2):
        await migrate(managed, with_roles=True)
    url = managed.database_url.get_secret_value()
    for user, name in (("nova_migrate", "migrate"), ("nova_worker", "worker"), ("nova_api", "api")):
        own = as_user(url, user, f"of-{name}%20%25$%27")
        connection = await asyncpg.connect(own)
        assert await connection.fetchval("SELECT current_user") == user
        await connection.fetch("SELECT FROM agent_stats_cache")
        await connection.close()
        if name == "migrate":
            await migrate(load_settings(database_url=own), with_roles=True)
        else:
            with pytest.raises(DatabasePrivilegeError, match="permission denied"):
                await migrate(load_settings(database_url=own))
    connection = await asyncpg.connect(url)
    assert not await connection.fetchval(
        "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'nova_bi'"
    )
    await connection.close()


async def test_who_may_not_make_roles_is_told(managed: Settings) -> None:
    url = managed.database_url.get_secret_value()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE ROLE nobody LOGIN PASSWORD 'nothing'")
    await connection.close()
    with pytest.raises(DatabasePrivilegeError, match="CREATEROLE"):
        await migrate(
            load_settings(database_url=as_user(url, "nobody", "nothing")), with_roles=True
        )
    with pytest.raises(DatabasePrivilegeError, match="permission denied for schema public"):
        await migrate(load_settings(database_url=as_user(url, "nobody", "nothing")))
