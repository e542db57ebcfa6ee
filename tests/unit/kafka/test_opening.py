"""Clients that are cut off while they open, or closed while they connect, leave nothing open."""

from __future__ import annotations

import asyncio
from unittest import mock

import aiokafka.client
import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from nova_stream.kafka.opening import Client, opened


async def _cut_off(connection: AIOKafkaConnection) -> None:
    await asyncio.sleep(3600)


async def test_a_connection_of_the_cut_off_frame_is_closed() -> None:
    connection = mock.create_autospec(AIOKafkaConnection, instance=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await opened(_cut_off(connection))
    connection.close.assert_called_once_with()


async def test_its_error_is_passed_on() -> None:
    async def start() -> None:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await opened(start())


async def test_a_connection_made_while_the_client_closes_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, made = asyncio.Event(), asyncio.Event()
    connection = mock.create_autospec(AIOKafkaConnection, instance=True)

    async def create_conn(*_args: object, **_options: object) -> AIOKafkaConnection:
        asked.set()
        await made.wait()
        return connection

    monkeypatch.setattr(aiokafka.client, "create_conn", create_conn)
    client = Client()
    monkeypatch.setattr(client.cluster, "broker_metadata", mock.Mock())
    connecting = asyncio.create_task(client.ready(1))
    await asked.wait()
    await client.close()
    made.set()
    with pytest.raises(KafkaConnectionError):
        await connecting
    connection.close.assert_called_once()
    with pytest.raises(KafkaConnectionError):
        await client.ready(1)


async def test_whatever_went_wrong_with_metadata_they_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = mock.AsyncMock(side_effect=[RuntimeError("unforeseen"), ValueError("too"), True])
    client = Client(retry_backoff_ms=1)
    monkeypatch.setattr(client, "_metadata_update", answers)
    client._sync_task = asyncio.create_task(client._md_synchronizer())
    assert await asyncio.wait_for(client.force_metadata_update(), 10)
    assert answers.await_count == 3
    await client.close()
