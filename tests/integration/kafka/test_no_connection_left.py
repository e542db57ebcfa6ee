"""Whenever somebody gives up what he asked of Kafka, no connection stays open behind him."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Awaitable, Callable

import pytest

from nova_stream.errors import NovaStreamError
from nova_stream.kafka.admin import KafkaAdmin
from nova_stream.kafka.markers import count_records
from nova_stream.kafka.producer import Connection
from nova_stream.settings import Settings, load_settings

#: Seconds after which is given up: from before the first packet to after the last answer.
_MOMENTS = [0.0005 * step for step in range(1, 60)]


async def _asks(settings: Settings) -> None:
    async with KafkaAdmin(settings) as admin:
        await admin.topics()


async def _several_ask_and_one_sees_it_fail(settings: Settings) -> None:
    async with KafkaAdmin(settings) as admin:
        asked = [asyncio.ensure_future(admin.topics()) for _ in range(3)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert admin._client is not None
        await admin._drop(admin._client)
        await asyncio.gather(*asked, return_exceptions=True)


async def _counts(settings: Settings) -> None:
    await count_records(settings, {("no-such-topic", 0): (0, 5)}, 0.05)


async def _publishes(settings: Settings) -> None:
    connection = Connection(settings, 5)
    try:
        await connection.start()
    finally:
        await connection.close()


async def _looks_for_topics_while_it_is_closed(settings: Settings) -> None:
    connection = Connection(settings, 5)
    asked = []
    try:
        await connection.start()
        producer = await connection.producer()
        asked = [asyncio.ensure_future(connection.partitions(producer, f"no-{n}")) for n in (1, 2)]
        await asyncio.sleep(0.001)
    finally:
        await connection.close()
        await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.parametrize(
    "way",
    [
        _asks,
        _several_ask_and_one_sees_it_fail,
        _counts,
        _publishes,
        _looks_for_topics_while_it_is_closed,
    ],
)
def test_given_up(nova_kafka: str, way: Callable[[Settings], Awaitable[None]]) -> None:
    settings = load_settings(kafka_brokers=nova_kafka)

    async def give_up() -> None:
        for moment in _MOMENTS:
            with contextlib.suppress(TimeoutError, NovaStreamError):
                await asyncio.wait_for(way(settings), moment)

    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(give_up())
        gc.collect()
    assert [str(one.message) for one in caught if "Unclosed" in str(one.message)] == []
