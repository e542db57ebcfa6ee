"""The source: a Postgres with ``wal_level=logical``, and the main app's tables as people make them.

The six tables have ordinary column types, a different one for each key, and besides the columns
that nova-stream knows some that it does not: large ones of every kind, which Postgres moves out of
the row (TOAST) and Debezium leaves out of an update that does not change them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from nova_stream.local.postgres import LocalPostgres
from nova_stream.local.sql import run_sql

SIGNALS = "debezium_signal"

_DROP_LIMIT_S = 30.0
_NOT_YET = (
    OSError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.CannotConnectNowError,
    asyncpg.ObjectInUseError,
)

TABLES = ("agents", "builds", "tasks", "executions", "activities", "users")

_TYPES = """
CREATE TYPE build_status AS ENUM ('pending', 'running', 'completed', 'failed');
CREATE TYPE task_status AS ENUM ('pending', 'ready', 'running', 'done', 'failed', 'blocked');
"""

#: ``SET STORAGE EXTERNAL`` keeps Postgres from compressing: a value of some 3 kB is out of the row.
_TABLES = """
CREATE TABLE agents (
    id uuid PRIMARY KEY, name text NOT NULL, role varchar(40), domain text, model text,
    system_prompt text, gates jsonb, created_at timestamptz NOT NULL,
    hourly_rate numeric(10, 2), tags text[]);
CREATE TABLE builds (
    id bigint PRIMARY KEY, prd_id uuid, prd_name varchar(200), status build_status NOT NULL,
    started_at timestamp(3), completed_at timestamp, error text, due date, window_start time);
CREATE TABLE tasks (
    id numeric(20, 0) PRIMARY KEY, build_id bigint, task_id text, title text, agent text,
    status task_status NOT NULL, dependencies uuid[], phase smallint, attempts numeric(6, 0),
    created_at timestamptz(3), output text, error text,
    watchers text[], ticket_numbers bigint[], counts integer[], codes varchar(9)[],
    checksums bytea, notes json, plan jsonb);
CREATE TABLE executions (
    id numeric PRIMARY KEY, task_id numeric(20, 0), agent text, model text, prompt text,
    response text, gates_passed boolean, duration interval, timestamp timestamptz, error text,
    cost numeric(12, 6));
CREATE TABLE activities (
    id text PRIMARY KEY, user_id bigint, agent_name text, event_type text,
    task_id numeric(20, 0), details text, timestamp date);
CREATE TABLE users (
    id integer PRIMARY KEY, user_id uuid, email text, tier char(4), global_wisdom_opt_in boolean,
    created_at date, last_active_at timestamp);
"""
#: Columns with large values, by table.
LARGE = {
    "agents": {"system_prompt", "gates", "tags"},
    "tasks": {
        "output",
        "dependencies",
        "watchers",
        "ticket_numbers",
        "counts",
        "codes",
        "checksums",
        "notes",
        "plan",
    },
    "executions": {"prompt", "response"},
    "activities": {"details"},
}


class SourceServer:
    """A Postgres of its own that Debezium can read; ``url_of`` gives a database's address."""

    def __init__(self, folder: Path) -> None:
        self._server = LocalPostgres(folder, fsync=False)

    def start(self) -> None:
        """Start it, twice the first time: ``wal_level`` wants a server that begins with it."""
        self._server.start()
        settings = {"wal_level": "logical", "max_replication_slots": "64", "max_wal_senders": "64"}
        run_sql(
            self._server.url,
            *(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in settings.items()),
        )
        self._server.stop()
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Address of a new database with the six tables; dropped at the end with its slots.

        Whatever reads it must have stopped before.
        """
        run_sql(self._server.url, f'CREATE DATABASE "{name}"')
        url = self._server.url_of(name)
        try:
            run_sql(url, *_statements())
            yield url
        finally:
            self._drop(name)

    def _drop(self, name: str) -> None:
        """Drop a database with its slots; once more when the server goes back to its start, or
        when a reader that is on its way out still holds a slot.
        """
        deadline = time.monotonic() + _DROP_LIMIT_S
        while True:
            try:
                run_sql(
                    self._server.url,
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                    f"WHERE database = '{name}'",
                    f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)',
                )
            except _NOT_YET:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def _statements() -> list[str]:
    made = [text.strip() for text in (_TYPES + _TABLES).split(";") if text.strip()]
    stored = [
        f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL"
        for table, columns in LARGE.items()
        for column in columns
    ]
    return made + stored


def make_signals(url: str, table: str = SIGNALS) -> None:
    """The table through which a connector takes signals."""
    run_sql(
        url,
        f"CREATE TABLE {table} (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, "
        "data varchar(2048))",
    )
