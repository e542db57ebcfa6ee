"""Sources of every shape: keys, names, encodings, users that may read only, and what goes wrong."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from nova_stream.cli.main import run
from nova_stream.errors import DatabaseUnavailableError, UsageError
from nova_stream.events.change import Entity
from nova_stream.local.sql import run_sql
from nova_stream.source_audit.interface import digest_of
from nova_stream.source_audit.postgres import PostgresSource
from nova_stream.testing.servers import fresh_database
from tests.integration.source_audit.harness import Source, counts, watched
from tests.integration.stream.harness import Stage

pytestmark = pytest.mark.integration

_AGENTS = "CREATE TABLE agents (id text PRIMARY KEY, name text NOT NULL, created_at timestamptz)"


@pytest.fixture
def database(nova_postgres: str) -> Iterator[str]:
    with fresh_database(nova_postgres) as url:
        yield url


async def test_keys_of_every_type_and_columns_in_camel_case_quoted_or_not_are_compared(
    source: Source,
) -> None:
    await source.sql(
        """
DROP TABLE tasks, users, executions;
CREATE SCHEMA work;
CREATE TABLE work."Items" (
    "id" bigint PRIMARY KEY, "buildId" numeric(20), "agent" text, "status" text NOT NULL,
    "createdAt" timestamptz, "dependencies" jsonb);
CREATE TABLE users (id uuid PRIMARY KEY, userId int, createdAt timestamptz);
CREATE TABLE executions (id numeric(20) PRIMARY KEY, duration numeric, gates_passed boolean);
"""
    )
    await source.sql(watched('work."Items"', Entity.TASKS))
    for table, entity in (("users", Entity.USERS), ("executions", Entity.EXECUTIONS)):
        await source.sql(watched(table, entity))
    await source.sql(
        """
INSERT INTO work."Items" SELECT n, n * 10, 'Ä ' || n % 3, 'done', now(), '["1", "2"]'
    FROM generate_series(-5, 120) n;
INSERT INTO users SELECT lpad(n::text, 32, '0')::uuid, n, now() FROM generate_series(1, 50) n;
INSERT INTO executions SELECT n * 3, n, true FROM generate_series(1, 50) n
"""
    )
    tables = {Entity.TASKS: 'work."Items"'}
    assert counts(await source.audit(tables=tables)) == (0, 0, 0)
    assert counts(await source.audit(tables={Entity.TASKS: "work.Items"})) == (0, 0, 0)

    await source.emptied()
    user = "00000000-0000-0000-0000-000000000031"
    source.lost = {"7", "-3", "12", user}
    await source.sql("""UPDATE work."Items" SET "buildId" = 5 WHERE id = 7""")
    await source.sql("""DELETE FROM work."Items" WHERE id = -3""")
    await source.sql("UPDATE executions SET gates_passed = false WHERE id = 12")
    await source.sql("UPDATE users SET createdAt = '2025-01-01' WHERE userId = 31")
    await source.emptied()
    source.lost = set()
    report = await source.audit(tables=tables, repair=True)
    assert {d.id: (d.kind, d.fields) for d in report.differences} == {
        "7": ("different", ["buildId"]),
        "-3": ("surplus", []),
        "12": ("different", ["gatesPassed"]),
        user: ("different", ["createdAt"]),
    }
    assert report.good
    assert counts(await source.audit(tables=tables)) == (0, 0, 0)


@contextmanager
def _encoded(server: str, encoding: str) -> Iterator[str]:
    name = f"nova_test_{uuid.uuid4().hex[:16]}"
    run_sql(
        server,
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 "
        "LOCALE_PROVIDER libc LOCALE 'C'",
    )
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "EUC_JP"])
async def test_rows_come_in_the_order_of_code_points_with_digests_of_their_texts(
    nova_postgres: str, encoding: str
) -> None:
    texts = ["a", "Z", "10", "9", "", " x", "0:;", "ab;1:", "z" * 300]
    texts += {"UTF8": ["é", "日", "\U0001f600", "\uffee"], "LATIN1": ["é", "ÿ"]}.get(
        encoding, ["日", "ｱ", "本", "é"]
    )
    with _encoded(nova_postgres, encoding) as url:
        connection = await asyncpg.connect(url)
        await connection.execute(
            "CREATE TABLE agents (id text PRIMARY KEY, name text, role char(9), gates json)"
        )
        rows = [(text, text, text[:9], json.dumps({"b": [1], "a": text})) for text in texts]
        await connection.executemany("INSERT INTO agents VALUES ($1, $2, $3, $4)", rows)
        await connection.close()
        async with PostgresSource(url) as source:
            (table,) = await source.tables([Entity.AGENTS])
            async with source.snapshot() as snapshot:
                found = [row async for batch in snapshot.rows(table) for row in batch]
                values = await snapshot.values(table, [*texts, "other"])
    assert [row.id for row in found] == sorted(texts)
    assert {row.id: row[:3] for row in found} == {
        id_: digest_of(table, texts)[:3] for id_, texts in values.items()
    }


async def test_a_table_that_is_not_there_is_told(idle_stage: Stage, database: str) -> None:
    run_sql(database, _AGENTS)
    source, told = Source(database, idle_stage), _lines()
    report = await source.audit(told=told)
    assert report.not_compared == [e for e in Entity if e is not Entity.AGENTS]
    assert any("tasks: not compared, the source has no table tasks" in line for line in told)
    assert any("not compared: role, domain, model, systemPrompt, gates" in line for line in told)
    with pytest.raises(UsageError, match="no table for: tasks"):
        await source.audit(Entity.AGENTS, Entity.TASKS)
    with pytest.raises(UsageError, match=r"--table tasks=nowhere\.at_all: the source has no table"):
        await source.audit(tables={Entity.TASKS: "nowhere.at_all"})
    with pytest.raises(UsageError, match=r"public\.agents has no column status"):
        await source.audit(tables={Entity.TASKS: "agents"})
    run_sql(
        database,
        "ALTER TABLE agents DROP CONSTRAINT agents_pkey",
        "ALTER TABLE agents ALTER id DROP NOT NULL",
        "INSERT INTO agents VALUES (NULL, 'A')",
    )
    with pytest.raises(UsageError, match=r"public\.agents has rows whose id is null"):
        await source.audit()
    run_sql(database, "DELETE FROM agents", "INSERT INTO agents VALUES ('a', 'A'), ('a', 'B')")
    with pytest.raises(UsageError, match=r"public\.agents has the id 'a' twice"):
        await source.audit()
    run_sql(database, "DROP TABLE agents")
    with pytest.raises(UsageError, match="no table for: agents, builds"):
        await source.audit()


async def test_the_right_to_read_is_enough_and_what_hides_rows_is_told(
    idle_stage: Stage, database: str
) -> None:
    reader = f"reader_{uuid.uuid4().hex[:8]}"
    run_sql(
        database,
        _AGENTS,
        "INSERT INTO agents VALUES ('a', 'A', now())",
        f"CREATE ROLE {reader} LOGIN PASSWORD 'pass-word'",
        f"ALTER ROLE {reader} SET default_transaction_read_only = on",
        f"ALTER ROLE {reader} SET extra_float_digits = 0",
    )
    parts = urlsplit(database)
    address = f"{reader}:pass-word@{parts.hostname}:{parts.port}"
    source, url = Source(database, idle_stage), urlunsplit(parts._replace(netloc=address))
    try:
        with pytest.raises(UsageError, match=r"may not read public\.agents; .*GRANT SELECT"):
            await source.audit(url=url)
        run_sql(database, f"GRANT SELECT ON agents TO {reader}")
        report = await source.audit(url=url, settle=0.1)
        assert counts(report) == (1, 0, 0)
        run_sql(database, "ALTER TABLE agents ENABLE ROW LEVEL SECURITY")
        with pytest.raises(DatabaseUnavailableError, match="row-level security"):
            await source.audit(url=url)
    finally:
        run_sql(database, f"DROP OWNED BY {reader}", f"DROP ROLE {reader}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:se-cret@127.0.0.1:1/db", "the source at 127.0.0.1:1/db cannot be read"),
        ("postgresql://u:se-cret@host:port/db", "--source: "),
        ("postgresql://u:se-cret@h/db?ssmode=1", "ssmode"),
        ("mysql://u:se-cret@h/db", "--source: postgresql://"),
        ("se-cret", "--source: postgresql://"),
        ("http://[se-cret", "--source: postgresql://"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line_without_secrets(
    idle_stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    url: str,
    message: str,
) -> None:
    _environment(idle_stage, monkeypatch)
    assert run(["audit", "--source", url]) in {1, 2}
    error = capfd.readouterr().err
    assert message in error
    assert "se-cret" not in error
    assert error.count("\n") == 1


def test_the_command_prints_one_line_of_json_and_a_status(
    idle_stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    database: str,
) -> None:
    _environment(idle_stage, monkeypatch)
    run_sql(database, _AGENTS)
    command = ["audit", "--source", database, "--entity", "agents", "--settle", "0.1"]
    assert run(command) == 0
    assert json.loads(capfd.readouterr().out) == {
        "compared": 0,
        "missing": 0,
        "surplus": 0,
        "different": 0,
        "differences": [],
    }
    run_sql(database, "INSERT INTO agents SELECT 'a' || n, n FROM generate_series(1, 150) n")
    assert run(command) == 1
    report = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert (report["compared"], report["missing"], len(report["differences"])) == (150, 150, 100)
    assert report["differences"][0] == {
        "entity": "agents",
        "id": "a1",
        "kind": "missing",
        "fields": [],
    }
    for wrong in (["--repair"], ["--entity", "tasks"], ["--table", "tasks=x"]):
        assert run(["audit", *wrong]) == 2
    assert run([*command, "--entity", "task"]) == 2
    assert run([*command, "--table", "tasks"]) == 2


async def test_records_that_nobody_applies_are_told(
    idle_stage: Stage, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nova_stream.source_audit.stream._PATIENCE_S", 0.5)
    run_sql(database, _AGENTS)
    idle_stage.publish(Entity.AGENTS, b'{"op": "c", "after": {"id": "a", "name": "A"}}')
    source, told = Source(database, idle_stage), _lines()
    report = await source.audit(settle=0.1, told=told)
    assert (report.behind, report.good) == (1, False)
    assert any("is a worker running" in line.lower() for line in told)


def _lines() -> list[str]:
    return []


def _environment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = stage.settings
    monkeypatch.setenv("NOVA_KAFKA_BROKERS", ",".join(settings.kafka_brokers))
    monkeypatch.setenv("NOVA_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("NOVA_TOPIC_PREFIX", settings.topic_prefix)
