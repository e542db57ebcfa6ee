"""Making the database's roles, and giving each exactly what ``grants`` says.

Everything may be repeated, and is done without a superuser: by a role that may make roles and
owns the database, as managed servers give one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping

import asyncpg
from sqlalchemy import Connection as Session
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from nova_stream.errors import DatabasePrivilegeError
from nova_stream.storage.access.grants import (
    DEFAULTS,
    DEFINERS,
    FUNCTIONS,
    RELATIONS,
    SERVICES,
    Role,
)

_ITERATIONS = 4096
#: Roles belong to the server: migrations of two of its databases may meet there.
_TRIES = 10
#: A role that is there; one that is being changed, which has no code of its own.
_THERE = (asyncpg.DuplicateObjectError.sqlstate, asyncpg.UniqueViolationError.sqlstate)
_UPDATED = asyncpg.InternalServerError.sqlstate


def scram_verifier(password: str, salt: bytes) -> str:
    """What Postgres stores of a password, made here so that no log of statements ever has it."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{words[0]}${words[1]}:{words[2]}"


def make_roles(session: Session, passwords: Mapping[Role, str]) -> None:
    """Make the four roles where they are missing, and give those with a password the right to log
    in with it. A role without one stays as it is; a new one may not log in.

    All of it is there once the session's transaction is committed, and nothing before. Raises
    DatabasePrivilegeError when one of them is above the others' rights.
    """
    for role in Role:
        if not session.execute(text(f"SELECT to_regrole('{role}') IS NOT NULL")).scalar():
            # Somebody else who migrates may be faster.
            _attempt(session, f"CREATE ROLE {role} NOLOGIN", *_THERE)
        if role in passwords:
            verifier = scram_verifier(passwords[role], os.urandom(16))
            _repeated(session, f"ALTER ROLE {role} LOGIN PASSWORD '{verifier}'")
    if not session.execute(text(f"SELECT pg_has_role('{Role.MIGRATE}', 'SET')")).scalar():
        _repeated(session, f"GRANT {Role.MIGRATE} TO CURRENT_USER WITH SET TRUE")
    _check(session)


def _repeated(session: Session, statement: str) -> None:
    for last in (*[False] * _TRIES, True):
        if _attempt(session, statement, *() if last else (_UPDATED,)):
            return


def _attempt(session: Session, statement: str, *expected: str) -> bool:
    """Run it; False, with nothing done, after an error with one of these SQLSTATEs. Others are
    raised as asyncpg's own, which do not have the statement: a password may be in it.
    """
    try:
        with session.begin_nested():
            session.exec_driver_sql(statement)
    except DBAPIError as error:
        assert error.orig is not None
        if getattr(error.orig, "sqlstate", None) not in expected:
            raise (error.orig.__cause__ or error.orig) from None
        return False
    return True


def _check(session: Session) -> None:
    found = session.execute(
        text(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(:roles)"
            " AND (rolsuper OR rolbypassrls OR rolreplication)"
        ),
        {"roles": [str(role) for role in Role]},
    )
    rows = found.scalars().all()
    if rows:
        names = ", ".join(sorted(rows))
        raise DatabasePrivilegeError(
            f"{names}: a superuser, or with replication or bypassrls, so grants hold nothing back; "
            "take that away, as a superuser: ALTER ROLE … NOSUPERUSER NOREPLICATION NOBYPASSRLS"
        )


def hand_over(session: Session) -> None:
    """Make ``nova_migrate`` the owner of everything that the migrations have made so far.

    The caller owns it, or is a superuser.
    """
    schema = _schema(session)
    session.execute(text(f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {Role.MIGRATE}"))
    for kind, name in _owned_by_others(session):
        session.execute(text(f"ALTER {kind} {name} OWNER TO {Role.MIGRATE}"))
    services = ", ".join(SERVICES)
    session.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {services}"))
    database = session.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    session.execute(text(f"GRANT CONNECT ON DATABASE {database} TO {Role.MIGRATE}, {services}"))


def _owned_by_others(session: Session) -> list[tuple[str, str]]:
    """What we have made and ``nova_migrate`` does not own: ALTER's word for it, and its name."""
    found = session.execute(
        text(
            "SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, oid::regclass::text"
            " FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
            " AND relname = ANY(:relations) AND relowner <> CAST(:owner AS regrole)"
            " UNION ALL SELECT 'FUNCTION', oid::regprocedure::text"
            " FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
            " AND proname = ANY(:functions) AND proowner <> CAST(:owner AS regrole)"
        ),
        {"relations": [*RELATIONS], "functions": [*FUNCTIONS], "owner": Role.MIGRATE.value},
    )
    return [(row[0], row[1]) for row in found]


def are_used(session: Session) -> bool:
    """Whether this database's tables belong to ``nova_migrate``."""
    found = session.execute(
        text(
            "SELECT pg_get_userbyid(relowner) FROM pg_class"
            " WHERE oid = to_regclass('alembic_version')"
        )
    )
    return found.scalar() == Role.MIGRATE


def become_owner(session: Session) -> None:
    """Go on as ``nova_migrate`` until the transaction ends, so that it owns what is made."""
    session.execute(text(f"SET LOCAL ROLE {Role.MIGRATE}"))


def grant(session: Session) -> None:
    """Give each of the services exactly its rights on what is there and what will be made.

    For the owner, at the newest schema.
    """
    services = ", ".join(SERVICES)
    for relation, rights in RELATIONS.items():
        session.execute(text(f"REVOKE ALL ON {relation} FROM PUBLIC, {services}"))
        for role in SERVICES:
            if privileges := rights.of(role):
                session.execute(text(f"GRANT {privileges} ON {relation} TO {role}"))
    for function, callers in DEFINERS.items():
        session.execute(text(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC, {services}"))
        session.execute(text(f"GRANT EXECUTE ON FUNCTION {function} TO {', '.join(callers)}"))
    for sequence, table in _sequences(session):
        inserting = [role for role in SERVICES if "INSERT" in RELATIONS[table].of(role)]
        session.execute(text(f"REVOKE ALL ON SEQUENCE {sequence} FROM PUBLIC, {services}"))
        if inserting:
            session.execute(text(f"GRANT USAGE ON SEQUENCE {sequence} TO {', '.join(inserting)}"))
    later = f"ALTER DEFAULT PRIVILEGES IN SCHEMA {_schema(session)} GRANT"
    session.execute(text(f"{later} {DEFAULTS.worker} ON TABLES TO {Role.WORKER}"))
    session.execute(text(f"{later} {DEFAULTS.api} ON TABLES TO {Role.API}"))
    session.execute(text(f"{later} USAGE ON SEQUENCES TO {Role.WORKER}"))


def _sequences(session: Session) -> list[tuple[str, str]]:
    """The sequences behind our tables' columns, each with its table."""
    found = session.execute(
        text(
            "SELECT s.oid::regclass::text, t.relname FROM pg_depend d"
            " JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
            " JOIN pg_class t ON t.oid = d.refobjid"
            " WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"
            " AND t.relnamespace = current_schema()::regnamespace AND t.relname = ANY(:relations)"
        ),
        {"relations": [*RELATIONS]},
    )
    return [(row[0], row[1]) for row in found]


def _schema(session: Session) -> str:
    name: str = session.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    return name
