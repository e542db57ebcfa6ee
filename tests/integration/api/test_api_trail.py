"""The audit trail: who did what, and what was refused, in a table that only grows."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from nova_stream.api.app import create_app
from nova_stream.cli.main import run
from nova_stream.scopes import SCOPES
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import connect

from .conftest import as_api, connected
from .test_api_scopes import ROUTES, documented

pytestmark = pytest.mark.integration

TOKENS = ",".join(f"{scope}-token:{scope}:{scope}-secret" for scope in SCOPES)
LOOK = "GET /api/v1/trail"
ADMIN = {"Authorization": "Bearer admin-secret"}


@pytest.fixture
async def app(nova_settings: Settings) -> AsyncIterator[FastAPI]:
    settings = load_settings(
        database_url=as_api(nova_settings).database_url,
        api_tokens=TOKENS,
        kafka_brokers="127.0.0.1:1",
        api_rate=0,
    )
    found = create_app(settings)
    async with found.router.lifespan_context(found):
        yield found


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with connected(app) as found:
        yield found


async def lines(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    """The trail without the lines about looking at it."""
    response = await client.get(f"/api/v1/trail?limit=500{query}", headers=ADMIN)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return [line for line in items if line["refused"] or line["action"] != LOOK]


async def test_an_action_is_there_once_it_is_answered(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    paused = await client.post("/api/v1/jobs/healthCheck/pause", headers=ADMIN)
    assert paused.status_code == 200
    connection = await connect(nova_settings, "test")
    try:
        rows = await connection.fetch("SELECT * FROM audit_trail ORDER BY id")
    finally:
        await connection.close()
    assert [{n: row[n] for n in dict(row).keys() - {"id", "at", "until"}} for row in rows] == [
        {
            "requests": 1,
            "token": "admin-token",
            "address": "127.0.0.1",
            "action": "POST /api/v1/jobs/{name}/pause",
            "object": "healthCheck",
            "outcome": outcome,
            "refused": False,
        }
        for outcome in ("begun", "done")
    ]


async def test_a_compressed_action_is_told_as_any_other(client: httpx.AsyncClient) -> None:
    headers = {**ADMIN, "Content-Encoding": "gzip"}
    path = "/api/v1/jobs/healthCheck/pause"
    assert (await client.post(path, content=gzip.compress(b""), headers=headers)).status_code == 200
    found = [(line["action"], line["object"], line["outcome"]) for line in await lines(client)]
    action = "POST /api/v1/jobs/{name}/pause"
    assert found == [(action, "healthCheck", "done"), (action, "healthCheck", "begun")]
    metrics = await client.get("/metrics", headers={"Authorization": "Bearer metrics-secret"})
    counted = 'method="POST",route="/api/v1/jobs/{name}/pause",status="200"'
    assert counted in metrics.text


async def test_every_route_tells_what_was_refused_and_by_whom(client: httpx.AsyncClient) -> None:
    scopes = documented()
    expected: set[tuple[str, str | None, str]] = set()
    for asked in ROUTES:
        action = f"{asked.method} {asked.path.replace(':path}', '}')}"
        needed = scopes[asked.method, asked.path.replace(":path}", "}")]
        await client.request(**asked.request(None))
        outcome = "token-unknown" if "{token}" in asked.path else "token-missing"
        expected.add((action, None, outcome))
        for scope in sorted(set(SCOPES) - needed)[:1]:
            await client.request(**asked.request(f"{scope}-secret"))
            expected.add((action, f"{scope}-token", "scope-missing"))
    found = await lines(client, "&refused=true")
    told = {(line["action"], line["token"], line["outcome"]) for line in found}
    known = {one for one in expected if one[1] is not None}
    assert known <= told
    # Without a token the first twenty kinds are named, and the rest is counted.
    named = {one for one in told if one[1] is None and one[0] != "(several)"}
    assert len(named) == 20
    assert named < expected
    strangers = sum(line["requests"] for line in found if line["token"] is None)
    assert strangers == len([one for one in expected if one[1] is None])
    assert not any("secret" in json.dumps(line) for line in found)


async def test_every_route_of_those_who_act_is_told(client: httpx.AsyncClient) -> None:
    scopes = documented()
    acting = [
        (asked, f"{asked.method} {asked.path}", needed)
        for asked in ROUTES
        for needed in [scopes[asked.method, asked.path.replace(":path}", "}")]]
        if needed in ({"admin"}, {"publish"}) and asked.path != "/api/v1/trail"
    ]
    assert len(acting) > 10
    for asked, _, needed in acting:
        await client.request(**asked.request(f"{next(iter(needed))}-secret"))
    found = {line["action"]: line for line in await lines(client)}
    for _, action, needed in acting:
        line = found[action.replace(":path}", "}")]
        assert line["token"] == f"{next(iter(needed))}-token"
        assert not line["refused"]
        assert "secret" not in json.dumps(line)


async def test_reading_is_not_told(client: httpx.AsyncClient) -> None:
    for secret, path in (("stats", "/api/v1/overview"), ("documents", "/api/v1/builds")):
        headers = {"Authorization": f"Bearer {secret}-secret"}
        assert (await client.get(path, headers=headers)).status_code == 200
        assert (await client.get("/api/v1/token", headers=headers)).status_code == 200
    assert await lines(client) == []


async def test_the_trail_has_pages_and_filters(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.post("/api/v1/jobs/healthCheck/pause", headers=ADMIN)
    await client.get("/api/v1/overview")
    assert len(await lines(client, "&refused=true")) == 1
    assert len(await lines(client, "&token=admin-token&refused=false")) == 6
    assert await lines(client, "&token=nobody") == []
    first = (await client.get("/api/v1/trail?limit=2", headers=ADMIN)).json()
    assert len(first["items"]) == 2
    rest = await client.get("/api/v1/trail", params={"cursor": first["nextCursor"]}, headers=ADMIN)
    ids = [line["id"] for line in first["items"] + rest.json()["items"]]
    assert ids == sorted(set(ids), reverse=True)


async def test_a_flood_of_refused_requests_is_a_few_lines(client: httpx.AsyncClient) -> None:
    for number in range(300):
        headers = {"Authorization": f"Bearer {number}"}
        await client.get(f"/api/v1/agents/{number}/stats", headers=headers)
    found = await lines(client, "&refused=true")
    assert len(found) == 1
    await client.get("/api/v1/overview")
    assert len(await lines(client, "&refused=true")) == 2


WRITES = (
    "UPDATE audit_trail SET token = 'somebody else'",
    "DELETE FROM audit_trail",
    "TRUNCATE audit_trail",
    "INSERT INTO audit_trail SELECT * FROM audit_trail "
    "ON CONFLICT (id) DO UPDATE SET token = 'somebody else'",
    "MERGE INTO audit_trail t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "WITH gone AS (DELETE FROM audit_trail RETURNING 1) SELECT count(*) FROM gone",
)


@pytest.mark.parametrize("role", ["origin", "replica"])
@pytest.mark.parametrize("statement", WRITES)
async def test_the_table_only_grows_for_its_owner_too(
    client: httpx.AsyncClient, nova_settings: Settings, statement: str, role: str
) -> None:
    await client.post("/api/v1/jobs/healthCheck/pause", headers=ADMIN)
    connection = await connect(nova_settings, "test")
    try:
        before = await connection.fetch("SELECT * FROM audit_trail")
        await connection.execute(f"SET session_replication_role = {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only grows"):
            await connection.execute(statement)
        assert await connection.fetch("SELECT * FROM audit_trail") == before
    finally:
        await connection.close()


async def test_what_is_older_than_a_year_may_go(nova_settings: Settings) -> None:
    connection = await connect(nova_settings, "test")
    try:
        for age in (364, 366):
            await connection.execute(
                "INSERT INTO audit_trail (at, until, requests, action, outcome, refused) "
                "SELECT t, t, 1, 'x', 'done', false FROM (SELECT now() - $1 * INTERVAL '1 day' t)",
                age,
            )
        await connection.execute("DELETE FROM audit_trail WHERE until < now() - INTERVAL '1 year'")
        assert await connection.fetchval("SELECT count(*) FROM audit_trail") == 1
    finally:
        await connection.close()


async def test_commands_leave_their_lines_and_show_the_trail(
    nova_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOVA_DATABASE_URL", nova_settings.database_url.get_secret_value())

    async def command(*words: str) -> int:
        return await asyncio.to_thread(run, list(words))

    assert await command("trail") == 0
    assert "nothing yet" in capsys.readouterr().out
    assert await command("tokens", "create", "a", "--scope", "stats") == 0
    assert await command("tokens", "rotate", "a") == 0
    assert await command("tokens", "rotate", "b") == 1
    assert await command("tokens", "revoke", "a") == 0
    assert await command("jobs", "pause", "healthCheck") == 0
    assert await command("jobs", "resume", "healthCheck") == 0
    assert await command("jobs", "run", "healthCheck", "--dry-run") == 0
    assert await command("dead-letters", "discard", "1") == 2
    secrets = [word for word in capsys.readouterr().out.split() if word.startswith("nova_")]
    assert len(secrets) == 2
    assert await command("trail", "--json") == 0
    shown = capsys.readouterr().out
    assert not any(secret in shown for secret in secrets)
    found = [(n["action"], n["object"], n["outcome"]) for n in json.loads(shown)["items"]]
    assert [one for one in reversed(found) if one[2] != "begun"] == [
        ("nova-stream tokens create", "a", "done"),
        ("nova-stream tokens rotate", "a", "done"),
        ("nova-stream tokens rotate", "b", "failed"),
        ("nova-stream tokens revoke", "a", "done"),
        ("nova-stream jobs pause", "healthCheck", "done"),
        ("nova-stream jobs resume", "healthCheck", "done"),
        ("nova-stream jobs run", "healthCheck, dry run", "done"),
        ("nova-stream dead-letters discard", "1", "failed"),
    ]
    assert await command("trail", "--limit", "1") == 0
    table = capsys.readouterr().out
    assert "dead-letters discard" in table
    assert "tokens create" not in table
    assert await command("trail", "--refused") == 0
    assert "no such line" in capsys.readouterr().out
