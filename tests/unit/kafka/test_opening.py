"""Clients are opened to the end, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from nova_stream.kafka import opening
from nova_stream.kafka.opening import opened


class Client:
    """One whose opening asks a question and notes how that ended."""

    def __init__(self, answer: asyncio.Event) -> None:
        self.ended = "not at all"
        self._answer = answer

    async def start(self) -> None:
        try:
            await self._answer.wait()
            self.ended = "answered"
        except asyncio.CancelledError:
            self.ended = "cut off"
            raise


async def test_an_opening_that_nobody_waits_for_gets_its_answer() -> None:
    answer = asyncio.Event()
    client = Client(answer)
    waiting = asyncio.create_task(opened(client.start()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert client.ended == "answered"


async def test_one_without_an_answer_is_cut_off_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_LIMIT_S", 0.01)
    client = Client(asyncio.Event())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await opened(client.start())
    assert client.ended == "cut off"


async def test_its_error_is_passed_on() -> None:
    async def start() -> None:
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await opened(start())
