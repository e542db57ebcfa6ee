"""What ``nova-stream doctor`` says of servers that do not serve."""

from __future__ import annotations

import socket

import pytest

from nova_stream.cli import checks
from nova_stream.clock import system_clock
from nova_stream.local.ports import free_port
from nova_stream.settings import load_settings


async def messages(port: int) -> dict[str, str]:
    settings = load_settings(
        kafka_brokers=(f"127.0.0.1:{port}",), database_url=f"postgresql://u:p@127.0.0.1:{port}/d"
    )
    return {found.check: found.message async for found in checks.examine(settings, system_clock)}


async def test_servers_that_say_nothing_do_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_LIMIT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = await messages(server.getsockname()[1])

    assert found["kafka"].endswith(": no Kafka answers there")
    assert "it does not answer" in found["postgres"]


async def test_ports_where_nobody_listens_refuse() -> None:
    found = await messages(free_port())

    assert found["kafka"].endswith(": connections are refused")
    assert "it refuses connections" in found["postgres"]
