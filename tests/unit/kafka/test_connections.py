"""A connection that breaks is told as one that broke, and one that is closed ends, whatever loop it
lives in.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest import mock

import aiokafka.conn
import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from nova_stream.kafka import connections
from nova_stream.kafka.connections import BrokerConnection, use_own_connections
from tests.certificates import make_certificate

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
#: An RST instead of a FIN, as a broker that was killed answers what is written to it.
RESET = struct.pack("ii", 1, 0)
WAYS: list[Callable[[Any], Any]] = [
    lambda connection: connection.send(ApiVersionRequest()),
    lambda connection: connection._send_sasl_token(b"token"),
]


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


async def nothing(_: object) -> None:
    """Instead of the first question on a connection."""


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def runner(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[asyncio.Runner]:
    monkeypatch.setattr(AIOKafkaConnection, "_do_version_lookup", nothing)
    with asyncio.Runner(loop_factory=request.param) as found:
        yield found


async def broken(made: type[AIOKafkaConnection], broker: socket.socket) -> AIOKafkaConnection:
    """A connection whose other end is gone, which nobody in its loop has seen yet."""
    connection = made("127.0.0.1", broker.getsockname()[1])
    await connection.connect()
    other, _ = broker.accept()
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    other.close()
    ours = connection._writer.get_extra_info("socket")
    assert select.select([ours.fileno()], [], [], 10)[0]  # the loop stands still meanwhile
    return connection


async def errors_of(
    made: type[AIOKafkaConnection], broker: socket.socket, way: Callable[[Any], Any]
) -> list[BaseException]:
    """What is told by everything that is written until its reader has seen the end, and after."""
    connection = await broken(made, broker)
    found: list[BaseException] = []
    for _ in range(4):
        for _ in range(3):
            try:
                answer = asyncio.ensure_future(way(connection))
            except Exception as error:
                found.append(error)
            else:
                answer.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.sleep(0)
    connection.close()
    return found


@pytest.mark.parametrize("way", WAYS, ids=["request", "sasl"])
def test_what_is_written_to_a_broken_connection(
    runner: asyncio.Runner,
    broker: socket.socket,
    way: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "_versions", {}, raising=False)
    found = runner.run(errors_of(BrokerConnection, broker, way))
    assert found
    assert {type(error) for error in found} == {KafkaConnectionError}


@dataclass
class Broker:
    """Takes one connection, over TLS where it has a certificate, and ends it ``how`` it is told."""

    how: str
    certificate: tuple[Path, Path] | None
    ready: Event = field(default_factory=Event)
    told: Event = field(default_factory=Event)

    def serve(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate[1])
            connection = context.wrap_socket(connection, server_side=True)
        with connection:
            self.ready.set()
            self.told.wait(60)
            if self.how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            elif self.how == "farewell" and isinstance(connection, ssl.SSLSocket):
                connection.setblocking(False)
                with contextlib.suppress(OSError):
                    connection.unwrap()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[BrokerConnection]:
        """A connection to it, of which the loop must tell no error."""
        loop, errors = asyncio.get_running_loop(), list[dict[str, Any]]()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        secured: dict[str, Any] = {}
        if self.certificate is not None:
            context = ssl.create_default_context(cafile=self.certificate[0])
            secured = {"security_protocol": "SSL", "ssl_context": context}
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = Thread(target=self.serve, args=(listening,))
            serving.start()
            try:
                connection = BrokerConnection(*listening.getsockname(), **secured)
                await connection.connect()
                assert await asyncio.to_thread(self.ready.wait, 10)
                yield connection
            finally:
                self.told.set()
                await asyncio.to_thread(serving.join)
        assert errors == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=["plain", "TLS"])
def secured(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Any:
    return certificate if request.param == "TLS" else None


@pytest.mark.parametrize("unsent", [0, 40_000, 16 * 1024 * 1024])
def test_one_that_is_closed_ends_although_the_broker_hangs(
    runner: asyncio.Runner, secured: Any, unsent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close() -> None:
        async with Broker("hangs", secured).connected() as connection:
            connection._writer.write(bytes(unsent))
            await asyncio.wait_for(connection.close(), 10)

    monkeypatch.setattr(connections, "_CLOSE_LIMIT_S", 0.1)
    runner.run(close())


@pytest.mark.parametrize("how", ["reset", "end", "farewell"])
@pytest.mark.parametrize("turns", range(6))
def test_one_that_the_broker_has_ended_is_closed_without_an_error(
    runner: asyncio.Runner, secured: Any, how: str, turns: int
) -> None:
    async def close() -> None:
        broker = Broker(how, secured)
        async with broker.connected() as connection:
            ours = connection._writer.get_extra_info("socket")
            broker.told.set()
            assert select.select([ours.fileno()], [], [], 10)[0]  # the loop stands still meanwhile
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.wait_for(connection.close(), 10)

    runner.run(close())


def test_an_error_of_kafka_keeps_its_cause() -> None:
    async def send() -> None:
        connection = BrokerConnection("127.0.0.1", 1)
        connection._reader, connection._versions = mock.Mock(), {}
        connection._closed_fut = mock.Mock()
        connection._read_task = mock.Mock()
        connection._writer = mock.Mock()
        connection._writer.write.side_effect = OSError("of the network")
        connection.send(ApiVersionRequest())

    with pytest.raises(KafkaConnectionError) as told:
        asyncio.run(send())
    assert isinstance(told.value.__cause__, OSError)


def test_another_error_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send() -> None:
        BrokerConnection("127.0.0.1", 1).send(ApiVersionRequest())

    def fails(*_: object) -> None:
        raise RuntimeError("of something else")

    monkeypatch.setattr(AIOKafkaConnection, "send", fails)
    with pytest.raises(RuntimeError, match="of something else"):
        asyncio.run(send())


def test_all_connections_are_made_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiokafka.conn, "AIOKafkaConnection", AIOKafkaConnection)
    use_own_connections()
    assert aiokafka.conn.AIOKafkaConnection is BrokerConnection
