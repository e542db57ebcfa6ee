"""The database's roles: each may do what its program does, and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nova_stream.clock import system_clock
from nova_stream.errors import DatabasePrivilegeError
from nova_stream.local.sql import run_sql
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.access import roles
from nova_stream.storage.access.grants import FUNCTIONS, RELATIONS, SERVICES, Role
from nova_stream.storage.database import Connection, connect
from nova_stream.storage.migrate import migrate
from nova_stream.storage.stats.status import stream_facts
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


async def _relations(session: Connection) -> list[tuple[str, bytes]]:
    query = "SELECT relname, relkind FROM pg_class WHERE relname = ANY($1::text[])"
    rows = await session.fetch(query, list(RELATIONS))
    assert len(rows) == len(RELATIONS)
    return [(row["relname"], row["relkind"]) for row in rows]


#: What has figures and times alone, no documents; who was active on which day is the userId's.
FIGURES = {
    "agent_stats_cache",
    "build_stats_cache",
    "agent_stats_hourly",
    "build_stats_hourly",
    "finished_tasks",
    "finished_builds",
    "timed_executions",
    "engagement_daily",
    "engagement_retention",
    "engagement_churn",
    "user_activity_daily",
    "stream_history",
}


async def test_bi_reads_figures_and_nothing_else(session: Connection) -> None:
    await session.execute("SET ROLE nova_bi")
    for relation, kind in await _relations(session):
        if relation in FIGURES:
            await session.fetch(f"SELECT * FROM {relation}")
        else:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.fetch(f"SELECT FROM {relation}")
        if kind == b"v":
            continue  # into which nobody can write
        for statement in (f"DELETE FROM {relation}", f"TRUNCATE {relation}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await session.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.execute("CREATE TABLE mine (id INTEGER)")


# -- what the threat model says --------------------------------------------------------------------

PAGE = Path(__file__).parents[3] / "docs" / "threat-model.md"
DEFAULTS = {
    Role.WORKER: "SELECT, INSERT, UPDATE, DELETE",
    Role.API: "SELECT",
    Role.BI: "nothing",
}
KINDS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
WHOLE = ("DELETE", "TRUNCATE", "TRIGGER", "MAINTAIN")
#: Role, kind of right, column; no column for a right on the whole table.
Right = tuple[str, str, str]


def written(columns: dict[str, list[str]]) -> tuple[set[tuple[Role, str]], dict[str, set[Right]]]:
    """What the page says: who may call which function, and every right on every table."""
    rows = re.findall(r"^\| `(nova_\w+)` \| ([^|]+) \| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    calls: set[tuple[Role, str]] = set()
    said = {(role, table): text for role, text in DEFAULTS.items() for table in columns}
    for role, names, text in rows:
        for name in re.findall(r"`([\w()]+)`", names):
            if name.endswith("()"):
                assert text == "EXECUTE"
                calls.add((Role(role), name[:-2]))
            else:
                assert (Role(role), name) in said
                said[Role(role), name] = text
    found: dict[str, set[Right]] = {table: set() for table in columns}
    for (role, table), text in said.items():
        if text == "nothing":
            continue
        for kind, given in re.findall(r"([A-Z]+)(?: \(([^)]+)\))?", text):
            but, named = given.startswith("all but "), given.removeprefix("all but ").split(", ")
            assert not given or set(named) <= set(columns[table]), (table, given)
            chosen = columns[table]
            if given:
                chosen = [one for one in chosen if (one in named) is not but]
            found[table] |= {(role, kind, one) for one in chosen if kind in KINDS}
            found[table] |= {(role, kind, "") for _ in [kind] if kind in WHOLE}
    return calls, found


async def test_the_threat_model_says_exactly_what_each_role_may(session: Connection) -> None:
    rows = await session.fetch(
        "SELECT c.relname, array_agg(a.attname::text) AS columns FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') GROUP BY 1"
    )
    columns = {row["relname"]: row["columns"] for row in rows}
    actual: dict[str, set[Right]] = {table: set() for table in columns}
    for role, table in itertools.product(SERVICES, columns):
        for kind in KINDS:
            granted = await session.fetch(
                "SELECT name FROM unnest($2::text[]) AS name"
                " WHERE has_column_privilege($1, $3, name, $4)",
                *(str(role), columns[table], table, kind),
            )
            actual[table] |= {(role, kind, row["name"]) for row in granted}
        for kind in WHOLE:
            if await session.fetchval("SELECT has_table_privilege($1, $2, $3)", role, table, kind):
                actual[table].add((role, kind, ""))
    calls, expected = written(columns)
    assert actual == expected
    for role in SERVICES:
        definers = await session.fetch(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
            " AND prosecdef AND has_function_privilege($1, oid, 'EXECUTE')",
            str(role),
        )
        assert {(role, row["proname"]) for row in definers} == {c for c in calls if c[0] == role}


async def test_nobody_is_put_back_another_activity_than_was_deleted(session: Connection) -> None:
    await session.execute(
        "INSERT INTO activity_archive (run_id, id, timestamp, version_generation, version,"
        " version_minor, changed_at, src_partition, src_offset, doc, archived_at)"
        " VALUES (1, 'a', now(), 0, 1, 0, now(), 0, 0, '{\"details\": \"true\"}', now())"
    )
    await session.execute("SET ROLE nova_api")
    # Names of one's own, which come before all others, mean nothing to the function.
    await session.execute(
        "CREATE TEMP TABLE activity_archive AS SELECT 1::bigint AS run_id, 'a' AS id,"
        ' \'{"details": "false"}\'::json AS doc, NULL::timestamptz AS restored_at'
    )
    row = await session.fetchrow("SELECT * FROM restore_activities(1, 10, 1)")
    assert row is not None
    assert (row["restored"], row["seen"]) == (1, 1)
    assert await session.fetchval("SELECT doc ->> 'details' FROM agent_activity_feed") == "true"
    for statement in (
        "INSERT INTO agent_activity_feed (id) VALUES ('b')",
        "UPDATE public.activity_archive SET restored_at = NULL",
        "UPDATE agent_activity_feed SET doc = NULL",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.execute(statement)


async def test_an_api_cannot_make_up_an_audit(session: Connection) -> None:
    await session.execute("SET ROLE nova_api")
    await session.execute(
        "INSERT INTO job_runs (job, slot, kind, outcome, scheduled_at, ended_at)"
        " VALUES ('computeAgentStats', now(), 'slot', 'ok', now(), now())"
    )
    facts = await stream_facts(
        session, load_settings(), system_clock(), agents_job="computeAgentStats", builds_job="x"
    )
    assert facts.agents_audit is None
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await session.execute("INSERT INTO job_runs (job, result) VALUES ('x', '{}')")


@pytest.mark.parametrize("role", SERVICES)
async def test_only_the_workers_role_counts_as_a_worker(
    session: Connection, nova_database: str, role: Role
) -> None:
    await session.execute(f"CREATE ROLE anybody LOGIN PASSWORD 'x' IN ROLE {role}")
    try:
        settings = load_settings(database_url=as_user(nova_database, "anybody", "x"))
        named = [await connect(settings, name) for name in ("worker", "flush")]
        facts = await stream_facts(
            session, load_settings(), system_clock(), agents_job="x", builds_job="x"
        )
        assert facts.worker_sessions == (2 if role is Role.WORKER else 0)
        for connection in named:
            await connection.close()
    finally:
        await session.execute("DROP ROLE anybody")


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


async def test_roles_are_made_with_all_that_belongs_to_them_or_not_at_all(
    managed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = managed.database_url.get_secret_value()
    names = [str(role) for role in Role]
    with monkeypatch.context() as broken:
        broken.setattr(roles, "grant", _broken)
        with pytest.raises(ZeroDivisionError):
            await migrate(managed, with_roles=True)
    with monkeypatch.context() as broken:
        broken.setattr(roles, "scram_verifier", lambda *_given: "x' y hidden")
        with pytest.raises(asyncpg.PostgresSyntaxError) as told:
            await migrate(managed, with_roles=True)
        assert "hidden" not in str(told.value)
    connection = await asyncpg.connect(url)
    try:
        assert not await connection.fetch(MADE, names)
        await connection.execute("CREATE DATABASE others")
        other = urlunsplit(urlsplit(url)._replace(path="/others"))
        # Two databases of one server, both of which want them at once.
        await asyncio.gather(
            migrate(managed, with_roles=True),
            migrate(load_settings(database_url=other, **PASSWORDS), with_roles=True),
        )
        assert len(await connection.fetch(MADE, names)) == len(names)
    finally:
        await connection.close()


MADE = "SELECT FROM pg_roles WHERE rolname = ANY($1)"


def _broken(*_given: Any) -> None:
    raise ZeroDivisionError


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
