"""A connection that breaks is told as one that broke, and one that is closed ends, whatever loop it
lives in.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from collections.abc import Callable, Iterator
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
@pytest.mark.parametrize("factory", LOOPS, ids=["asyncio", "uvloop"])
def test_what_is_written_to_a_broken_connection(
    broker: socket.socket,
    factory: Callable[[], asyncio.AbstractEventLoop],
    way: Callable[[Any], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "_do_version_lookup", nothing)
    monkeypatch.setattr(AIOKafkaConnection, "_versions", {}, raising=False)
    with asyncio.Runner(loop_factory=factory) as runner:
        found = runner.run(errors_of(BrokerConnection, broker, way))
    assert found
    assert {type(error) for error in found} == {KafkaConnectionError}


async def closed_with_much_unsent(broker: socket.socket) -> None:
    connection = BrokerConnection("127.0.0.1", broker.getsockname()[1])
    await connection.connect()
    other, _ = broker.accept()  # takes nothing, as a broker that hangs
    with other:
        connection._writer.write(bytes(16 * 1024 * 1024))
        await asyncio.wait_for(connection.close(), 10)


@pytest.mark.parametrize("factory", LOOPS, ids=["asyncio", "uvloop"])
def test_one_that_is_closed_ends_though_the_broker_takes_nothing_more(
    broker: socket.socket,
    factory: Callable[[], asyncio.AbstractEventLoop],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "_do_version_lookup", nothing)
    monkeypatch.setattr(connections, "_CLOSE_LIMIT_S", 0.1)
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(closed_with_much_unsent(broker))


def test_an_error_of_kafka_keeps_its_cause() -> None:
    async def send() -> None:
        connection = BrokerConnection("127.0.0.1", 1)
        connection._reader, connection._versions = mock.Mock(), {}
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
