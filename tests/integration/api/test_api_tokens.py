"""Stored tokens: made, used, listed and revoked by command, known to the API within seconds."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.api.auth import stored_tokens
from nova_stream.api.server import serve
from nova_stream.cli.main import run
from nova_stream.clock import system_clock
from nova_stream.errors import SettingsError, UsageError
from nova_stream.scopes import SCOPES
from nova_stream.settings import Settings
from nova_stream.storage.access import tokens as token_store
from nova_stream.storage.database import connect

from .conftest import connected
from .streams import LIMIT, listening, postgres_for, stream

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]
Command = Callable[..., Awaitable[int]]

OVERVIEW = "/api/v1/overview"


@pytest.fixture
def command(nova_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs ``nova-stream tokens …`` on the test's database."""
    monkeypatch.setenv("NOVA_DATABASE_URL", nova_settings.database_url.get_secret_value())

    async def tokens(*words: str) -> int:
        return await asyncio.to_thread(run, ["tokens", *words])

    return tokens


@pytest.fixture
async def api(nova_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(nova_settings)
    async with app.router.lifespan_context(app), connected(app) as client:
        yield client


async def secret(command: Command, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Make a token and give its secret."""
    assert await command("create", *words) == 0
    return capsys.readouterr().out.splitlines()[-1]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def until_status(client: httpx.AsyncClient, token: str, status: int) -> float:
    """Seconds until a read with this token is answered so."""
    started = time.monotonic()
    while (await client.get(OVERVIEW, headers=bearer(token))).status_code != status:
        await asyncio.sleep(0.1)
        assert time.monotonic() - started < LIMIT
    return time.monotonic() - started


async def test_a_token_works_until_it_is_revoked(
    api: httpx.AsyncClient, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await api.get(OVERVIEW)).status_code == 200  # open: there is no token
    token = await secret(command, capsys, "grafana", "--scope", "read")
    assert re.fullmatch(r"nova_[A-Za-z0-9_-]{43,}", token)
    assert await until_status(api, "", 401) < 5
    assert (await api.get(OVERVIEW, headers=bearer(token))).status_code == 200
    assert (await api.post("/api/v1/events", headers=bearer(token), json=[])).status_code == 403
    assert (await api.get(OVERVIEW, headers=bearer(token[:-1]))).status_code == 401
    assert await command("revoke", "grafana") == 0
    assert await until_status(api, token, 401) < 5
    assert (await api.get(OVERVIEW)).status_code == 401  # the last one is gone, and it is not open


async def test_only_a_digest_is_stored(
    nova_settings: Settings, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    token = await secret(command, capsys, "a", "--scope", "read")
    connection = await connect(nova_settings, "test")
    try:
        row = await connection.fetchval("SELECT t::text FROM api_tokens t")
    finally:
        await connection.close()
    assert token not in row
    assert token.removeprefix("nova_") not in row


async def test_scopes_and_their_end(
    api: httpx.AsyncClient,
    nova_settings: Settings,
    command: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = await secret(
        command, capsys, "app", "--scope", "read", "--scope", "publish", "--expires", "30"
    )
    old = token_store.new_secret()
    now = system_clock()
    connection = await connect(nova_settings, "test")
    try:
        await token_store.create(
            connection, "old", old, ["read"], now, now + timedelta(seconds=0.5)
        )
    finally:
        await connection.close()
    assert (await api.get(OVERVIEW, headers=bearer(both))).status_code == 200
    published = await api.post("/api/v1/events", headers=bearer(both), json=[{"entity": "no"}])
    assert published.status_code == 422
    assert await until_status(api, old, 401) < 5
    assert await command("list", "--json") == 0
    items = {item["name"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    assert items["app"]["scopes"] == ["publish", "read"]
    assert items["app"]["state"] == "valid"
    assert items["old"]["state"] == "expired"


async def test_a_rotated_token_works_on_until_the_overlap_is_over(
    api: httpx.AsyncClient,
    nova_settings: Settings,
    command: Command,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old = await secret(command, capsys, "a", "--scope", "stats")
    assert await command("rotate", "a", "--overlap", "1", "--expires", "never") == 0
    new = capsys.readouterr().out.splitlines()[-1]
    for token in (old, new):
        await until_status(api, token, 200)
        assert (await api.get("/api/v1/builds", headers=bearer(token))).status_code == 403
    assert await command("list", "--json") == 0
    items = json.loads(capsys.readouterr().out)["items"]
    assert [item["state"] for item in items] == ["replaced", "valid"]
    assert items[1]["expiresAt"] is None
    connection = await connect(nova_settings, "test")
    try:
        await connection.execute(
            "UPDATE api_tokens SET expires_at = now() - INTERVAL '1 s' WHERE replaced_at < now()"
        )
    finally:
        await connection.close()
    await until_status(api, old, 401)
    await until_status(api, new, 200)
    assert await command("rotate", "a", "--overlap", "0") == 0
    newest = capsys.readouterr().out.splitlines()[-1]
    await until_status(api, new, 401)
    await until_status(api, newest, 200)
    assert await command("rotate", "a") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert await command("revoke", "a") == 0
    for token in (newest, last):
        await until_status(api, token, 401)
    assert await command("rotate", "a") == 1
    assert "create" in capsys.readouterr().err


async def test_rotation_never_makes_a_token_live_longer(
    nova_settings: Settings, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    await secret(command, capsys, "a", "--scope", "stats", "--expires", "1")
    assert await command("rotate", "a", "--overlap", "720") == 0
    capsys.readouterr()
    assert await command("list", "--json") == 0
    old, new = json.loads(capsys.readouterr().out)["items"]
    assert old["expiresAt"][:10] == (system_clock() + timedelta(days=1)).isoformat()[:10]
    assert new["expiresAt"][:10] == (system_clock() + timedelta(days=90)).isoformat()[:10]


async def test_a_token_tells_what_it_may(
    api: httpx.AsyncClient, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = {"name": None, "scopes": list(SCOPES), "expiresAt": None}
    assert (await api.get("/api/v1/token")).json() == everything
    token = await secret(command, capsys, "a", "--scope", "read", "--scope", "metrics")
    await until_status(api, "", 401)
    rights = (await api.get("/api/v1/token", headers=bearer(token))).json()
    assert rights["name"] == "a"
    assert rights["scopes"] == ["metrics", "stats", "documents"]
    assert rights["expiresAt"][:10] == (system_clock() + timedelta(days=90)).isoformat()[:10]


async def test_the_last_use_is_noted(
    api: httpx.AsyncClient, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    token = await secret(command, capsys, "a", "--scope", "read")
    used = None
    async with asyncio.timeout(LIMIT):
        while used is None:
            await until_status(api, token, 200)
            assert await command("list", "--json") == 0
            used = json.loads(capsys.readouterr().out)["items"][0]["lastUsedAt"]
    for _ in range(5):
        assert (await api.get(OVERVIEW, headers=bearer(token))).status_code == 200
    assert await command("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["lastUsedAt"] == used


async def test_tables_for_people_show_no_secret(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await command("list") == 0
    assert "no tokens" in capsys.readouterr().out
    token = await secret(command, capsys, "grafana", "--scope", "admin")
    assert await command("list") == 0
    out = capsys.readouterr().out
    assert "grafana" in out
    assert "admin" in out
    assert token[5:] not in out


async def test_names_are_taken_once(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert await command("create", "a", "--scope", "read") == 0
    assert await command("create", "a", "--scope", "read") == 1
    assert "nova-stream tokens rotate" in capsys.readouterr().err
    assert await command("revoke", "a") == 0
    assert await command("revoke", "a") == 1
    assert await command("create", "a", "--scope", "read", "--json") == 0
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert made["secret"].startswith("nova_")


async def test_configured_tokens_count_beside_stored_ones(
    nova_settings: Settings, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    token = await secret(command, capsys, "a", "--scope", "read")
    settings = nova_settings.model_copy(update={"api_token": _secret_str("configured")})
    app = create_app(settings)
    async with app.router.lifespan_context(app), connected(app) as client:
        assert (await client.get(OVERVIEW, headers=bearer("configured"))).status_code == 200
        assert (await client.get(OVERVIEW, headers=bearer(token))).status_code == 200


def _secret_str(value: str) -> Any:
    from pydantic import SecretStr

    return SecretStr(value)


async def test_a_revoked_token_ends_its_streams(
    nova_settings: Settings, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    token = await secret(command, capsys, "a", "--scope", "read")
    app = create_app(nova_settings)
    async with listening(app, **bearer(token)) as client, stream(client) as events:
        await events.picture()
        assert await command("revoke", "a") == 0
        with pytest.raises(StopAsyncIteration):
            await events.until("never")


async def test_while_postgres_is_away_the_last_list_counts_for_a_while(
    nova_settings: Settings,
    command: Command,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = await secret(command, capsys, "a", "--scope", "read", "--scope", "metrics")
    app = create_app(nova_settings)
    async with (
        app.router.lifespan_context(app),
        connected(app) as client,
        postgres_for(nova_settings) as allow,
    ):
        assert (await client.get("/metrics", headers=bearer(token))).status_code == 200
        await allow(False)
        monkeypatch.setattr(stored_tokens, "_FRESH_S", 0)
        assert (await client.get("/metrics", headers=bearer(token))).status_code == 200
        unknown = token_store.new_secret()
        assert (await client.get("/metrics", headers=bearer(unknown))).status_code == 401
        assert (await client.get("/metrics")).status_code == 401
        monkeypatch.setattr(stored_tokens, "_KEEP_S", 0)
        refused = await client.get("/metrics", headers=bearer(token))
        assert refused.status_code == 503
        assert (await client.get("/metrics", headers=bearer("other"))).status_code == 401
        await allow(True)
        assert await until_status(client, token, 503) < LIMIT
        monkeypatch.setattr(stored_tokens, "_KEEP_S", 60)
        monkeypatch.setattr(stored_tokens, "_FRESH_S", 2)
        assert await until_status(client, token, 200) < LIMIT


async def test_no_secret_in_logs_or_metrics(
    nova_settings: Settings,
    command: Command,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = await secret(command, capsys, "a", "--scope", "read", "--scope", "metrics")
    other = token_store.new_secret()
    async with listening(create_app(nova_settings)) as client:
        for one in (token, other):
            await client.get(OVERVIEW, headers=bearer(one))
            answer = await client.post("/api/v1/events", headers=bearer(one), json=[])
            assert one not in answer.text
        text = (await client.get("/metrics", headers=bearer(token))).text
    assert token not in text
    shown = caplog.text + "".join(capsys.readouterr())
    assert token not in shown
    assert other not in shown


async def test_with_a_stored_token_other_addresses_are_served(
    nova_settings: Settings, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(host: str) -> None:
        await asyncio.to_thread(serve, nova_settings, host, 0)

    monkeypatch.setattr("nova_stream.api.server.Server.run", lambda *_args, **_more: None)
    with pytest.raises(SettingsError, match="nova-stream tokens create"):
        await start("0.0.0.0")
    await start("127.0.0.1")
    assert await command("create", "a", "--scope", "read") == 0
    await start("0.0.0.0")
    with pytest.raises(UsageError):
        await start("nowhere.invalid")
