"""A Postgres that is gone without a word is noticed, whether we wait for its answer or send."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from nova_stream.local.postgres import LocalPostgres
from nova_stream.settings import Settings, load_settings
from nova_stream.storage import lost_peers
from nova_stream.storage.database import connect, create_pool

pytestmark = pytest.mark.integration

_FIREWALL = os.geteuid() == 0 and shutil.which("iptables") is not None


def is_guarded(connection: Any) -> bool:
    peer = connection._transport.get_extra_info("socket")
    kept = peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    limit = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    idle, again, count = (
        peer.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    return bool(kept) and limit == 30_000 and idle + again * count == 30


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone has it")
async def test_every_connection_is_guarded(nova_settings: Settings) -> None:
    for flush in (False, True):
        connection = await connect(nova_settings, "test", flush=flush)
        assert is_guarded(connection)
        await connection.close()
    pool = await create_pool(nova_settings, "test", 1)
    async with pool.acquire() as connection:
        held: Any = connection
        assert is_guarded(held._con)
    await pool.close()


@contextmanager
def swallowed(port: int) -> Iterator[None]:
    """Every packet of a port is lost, both ways."""
    rules = [["-p", "tcp", f"--{side}port", str(port), "-j", "DROP"] for side in ("s", "d")]
    for rule in rules:
        subprocess.run(["iptables", "-w", "-I", "INPUT", *rule], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-w", "-D", "INPUT", *rule], check=True)


async def outcome(connection: Any, statement: str) -> str:
    try:
        await connection.execute(statement)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return type(error).__name__
    return "it answered"


@pytest.mark.skipif(not _FIREWALL, reason="takes root and iptables")
async def test_a_server_that_is_gone_without_a_word_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("LIMIT_S", 4), ("_IDLE_S", 1), ("_AGAIN_S", 1)):
        monkeypatch.setattr(lost_peers, name, seconds)
    # A server of its own: no other test may lose a packet.
    with LocalPostgres(tmp_path) as postgres:
        await _loses(load_settings(database_url=postgres.url))


async def _loses(settings: Settings) -> None:
    waits, sends = [await connect(settings, "test") for _ in range(2)]
    waiting = asyncio.create_task(outcome(waits, "SELECT pg_sleep(300)"))
    await asyncio.sleep(0.2)  # until it has been sent
    began = time.monotonic()
    with swallowed(settings.database().hosts[0].port or 5432):
        async with asyncio.timeout(30):
            found = await asyncio.gather(waiting, outcome(sends, "SELECT 1"))
    assert "it answered" not in found
    assert time.monotonic() - began > 2, "a moment of silence is no loss"
    waits.terminate()
    sends.terminate()
