"""``serve``: addresses, and an end within seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from nova_stream.api.app import create_app
from nova_stream.api.server import serve
from nova_stream.errors import NovaStreamError, SettingsError, UsageError
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import Connection, connect

from .conftest import connected

pytestmark = pytest.mark.integration

SERVE = """
import sys
from nova_stream.api.server import serve
from nova_stream.settings import load_settings
serve(load_settings(), "127.0.0.1", int(sys.argv[1]))
"""
#: Where nothing listens.
NOWHERE = "postgresql://nova:nova@127.0.0.1:1/nova"
TOKEN = "4f1c9be07a3d5528"


@contextmanager
def serving(
    database_url: str, folder: Path, token: str = ""
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A serving process and its address."""
    environment = {**os.environ, "NOVA_DATABASE_URL": database_url, "NOVA_API_TOKEN": token}
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, "0"],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http://"))
        yield process, address
    finally:
        process.kill()
        process.communicate(timeout=10)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)


async def until_it_waits_for_a_lock(connection: Connection) -> None:
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
    while await connection.fetchval(waiting) is None:  # noqa: ASYNC110 - SQL tells
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_starts_without_postgres_and_ends_well(tmp_path: Path, number: signal.Signals) -> None:
    with serving(NOWHERE, tmp_path) as (process, address):
        assert status(f"{address}/health/live") == 200
        assert status(f"{address}/api/v1/overview") == 503
        started = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - started < 5
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_one_that_waits_for_a_token_does_not_hold_up_the_end(
    nova_settings: Settings, tmp_path: Path
) -> None:
    url = nova_settings.database_url.get_secret_value()
    with serving(url, tmp_path) as (process, address):
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=10) as waiting:
            token = "AXsibm92YS50YXNrcyI6eyIwIjo5fX0"  # nova.tasks, partition 0, offset 9
            path = f"/api/v1/overview?after={token}&timeout=60"
            waiting.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            time.sleep(1)
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert waiting.recv(4096).startswith(b"HTTP/1.1 503 ")
            assert process.wait(timeout=10) == 0
            assert time.monotonic() - started < 5


async def test_what_postgres_has_not_answered_at_the_end_is_told_so_without_a_traceback(
    nova_settings: Settings, tmp_path: Path
) -> None:
    with serving(nova_settings.database_url.get_secret_value(), tmp_path) as (process, address):
        held = await connect(nova_settings, "test")
        await held.execute("BEGIN; LOCK TABLE agent_stats_cache")
        host, _, port = address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/v1/agents/stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await until_it_waits_for_a_lock(held)
        process.send_signal(signal.SIGTERM)
        answer = await reader.read()
        writer.close()
        code = await asyncio.to_thread(process.wait, 10)
        assert process.stderr is not None
        said = process.stderr.read()
        await held.close()
    assert code == 0
    assert "Traceback" not in said
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"urn:nova-stream:stopping" in answer


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(NovaStreamError, match=rf"port {port} .* is taken .* --port"):
            serve(load_settings(database_url=NOWHERE), "127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_without_a_token_only_this_machine(host: str) -> None:
    with pytest.raises(SettingsError, match="NOVA_API_TOKEN"):
        serve(load_settings(database_url=NOWHERE), host, 0)


@pytest.mark.parametrize("secret", ["q", "changeme", "123456789abcdef", "a" * 40, "abcab" * 8])
def test_a_token_that_is_easily_guessed_is_not_for_others(secret: str) -> None:
    for given in ({"api_token": secret}, {"api_tokens": f"strong:read:{TOKEN},weak:read:{secret}"}):
        with pytest.raises(SettingsError, match=r"guess.*(NOVA_API_TOKEN|weak).*openssl") as told:
            serve(load_settings(database_url=NOWHERE, **given), "0.0.0.0", 0)
        assert secret not in str(told.value)
        assert "strong" not in str(told.value)


def test_a_token_that_is_easily_guessed_is_warned_of_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nova_stream.api.server.Server.run", lambda *_args, **_more: None)
    for secret, warned in (("x", True), (TOKEN, False)):
        with capture_logs() as logged:
            serve(load_settings(database_url=NOWHERE, api_token=secret), "127.0.0.1", 0)
        assert ("a token is easily guessed" in [line["event"] for line in logged]) is warned


def test_an_address_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"--host nowhere\.invalid"):
        serve(load_settings(database_url=NOWHERE, api_token=TOKEN), "nowhere.invalid", 0)
    with pytest.raises(UsageError, match=r"192\.0\.2\.1"):
        serve(load_settings(database_url=NOWHERE, api_token=TOKEN), "192.0.2.1", 0)


async def test_a_database_that_is_not_migrated(nova_database: str) -> None:
    app = create_app(load_settings(database_url=nova_database, kafka_brokers="127.0.0.1:1"))
    async with app.router.lifespan_context(app), connected(app) as client:
        response = await client.get("/api/v1/overview")
        assert response.status_code == 503
        assert response.json()["type"] == "urn:nova-stream:schema-version"
        assert "nova-stream migrate" in response.json()["detail"]
        checks = (await client.get("/health/ready")).json()["checks"]
        assert checks["database"] == "ok"
        assert "nova-stream migrate" in checks["schema"]


async def test_connections_that_are_cut_are_made_again(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    assert (await client.get("/api/v1/overview")).status_code == 200
    other = await connect(nova_settings, "test")
    try:
        cut = await other.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'nova-stream api' AND datname = current_database()"
        )
    finally:
        await other.close()
    assert cut >= 1
    await asyncio.sleep(0.2)
    assert (await client.get("/api/v1/overview")).status_code == 200
