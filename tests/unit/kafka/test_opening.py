"""Clients that are cut off while they open, or closed while they connect, leave nothing open."""

from __future__ import annotations

import asyncio
from unittest import mock

import aiokafka.client
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError

from nova_stream.kafka.opening import Client, adopt, opened, stop


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


async def test_nobody_waits_for_the_age_of_metadata_after_an_update_that_nobody_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def update(*_: object) -> bool:
        if not begun.is_set():
            begun.set()
            await go_on.wait()
            raise RuntimeError("unforeseen")
        return True

    client = Client(retry_backoff_ms=1, metadata_max_age_ms=20)
    monkeypatch.setattr(client, "_metadata_update", update)
    client._sync_task = asyncio.create_task(client._md_synchronizer())
    await begun.wait()  # by its age
    client._metadata_max_age_ms = 3_600_000
    asked = client.force_metadata_update()
    go_on.set()
    assert await asyncio.wait_for(asked, 10)
    await client.close()


async def test_topics_that_are_added_while_an_update_is_on_its_way_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    asked_for: list[set[str]] = []

    async def update(_: object, topics: set[str]) -> bool:
        asked_for.append(set(topics))
        if not begun.is_set():
            begun.set()
            await go_on.wait()
        return True

    client = Client(retry_backoff_ms=1, metadata_max_age_ms=20)
    monkeypatch.setattr(client, "_metadata_update", update)
    client._sync_task = asyncio.create_task(client._md_synchronizer())
    await begun.wait()
    client._metadata_max_age_ms = 3_600_000
    asked = client.set_topics(["new"])
    go_on.set()
    assert await asyncio.wait_for(asked, 10)
    assert asked_for[-1] == {"new"}
    await client.close()


async def test_an_answer_that_is_late_on_a_connection_that_was_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = Client()
    late = mock.Mock()

    async def answer() -> None:
        client._conns.clear()  # by another one, whose answer was late in the same turn
        raise TimeoutError

    late.send.side_effect = lambda *_args, **_options: answer()
    monkeypatch.setattr(client, "ready", mock.AsyncMock(return_value=True))
    client._conns[(1, 0)] = late
    with pytest.raises(RequestTimedOutError):
        await client.send(1, mock.Mock())
    await client.close()


@pytest.mark.parametrize("hangs", [True, False])
async def test_a_consumer_that_is_stopped_is_closed_however_that_went(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        if hangs:
            await asyncio.Event().wait()
        raise asyncio.CancelledError  # as aiokafka's, of a fetch that it cancels

    consumer = AIOKafkaConsumer()
    adopt(consumer)
    monkeypatch.setattr(consumer, "stop", fails)
    await asyncio.wait_for(stop(consumer, 0.05), 10)
    with pytest.raises(KafkaConnectionError):
        await consumer._client.ready(1)
    monkeypatch.undo()
    await consumer.stop()
