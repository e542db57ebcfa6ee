"""Postgres over TLS: what the address asks for is held.

The server of the tests cannot speak TLS, so that a relay before it does: it answers the request for
TLS as a server does, and passes everything else on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nova_stream.errors import DatabaseUnavailableError
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.database import connect
from tests.certificates import make_certificate

pytestmark = pytest.mark.integration

_ASKS_FOR_TLS = bytes.fromhex("0000000804d2162f")


class Relay:
    """A server that speaks TLS and has the real one behind it."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext) -> None:
        self._place = (host, port)
        self._context = context
        self.secured = self.plain = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            first = await reader.readexactly(8)
            if first == _ASKS_FOR_TLS:
                writer.write(b"S")
                await writer.start_tls(self._context)
                self.secured += 1
                first = b""
            else:
                self.plain += 1
            behind = await asyncio.open_connection(*self._place)
            behind[1].write(first)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, behind[1]))
                group.create_task(_pass_on(behind[0], writer))
        writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def relay(nova_settings: Settings, tmp_path: Path) -> AsyncIterator[tuple[Relay, str]]:
    """A relay, and the address of the test's database behind it, without parameters."""
    address = urlsplit(nova_settings.database_url.get_secret_value())
    chain, key = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    found = Relay(address.hostname or "", address.port or 5432, context)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    place = address._replace(
        netloc=f"{address.username}:{address.password}@127.0.0.1:{port}", query=""
    )
    yield found, place.geturl()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_it_is_spoken_and_checked(
    relay: tuple[Relay, str], tmp_path: Path, mode: str
) -> None:
    found, url = relay
    settings = load_settings(database_url=f"{url}?sslmode={mode}&sslrootcert={tmp_path}/ca.pem")
    assert (await audit(settings)).differences == []
    assert (found.secured, found.plain) == (1, 0)


async def test_a_certificate_of_another_authority_is_refused(
    relay: tuple[Relay, str], tmp_path: Path
) -> None:
    found, url = relay
    (tmp_path / "other").mkdir()
    other, _ = make_certificate(tmp_path / "other")
    settings = load_settings(database_url=f"{url}?sslmode=verify-full&sslrootcert={other}")
    with pytest.raises(DatabaseUnavailableError, match="certificate"):
        await connect(settings, "test")
    assert found.plain == 0


async def test_a_server_without_tls_is_refused_where_it_is_asked_for(
    nova_settings: Settings,
) -> None:
    url = nova_settings.database_url.get_secret_value().partition("?")[0]
    with pytest.raises(DatabaseUnavailableError, match="SSL"):
        await connect(load_settings(database_url=f"{url}?sslmode=require"), "test")
