"""Reads that many ask for: asked once, whatever comes of it, and charged to those who share it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from nova_stream.api import coalescing
from nova_stream.api.coalescing import KeptAnswer
from nova_stream.api.stream_watch import StreamWatch
from nova_stream.settings import load_settings


class Source:
    """Gives how often it was asked, or fails."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.asked = 0
        self.trouble = trouble

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await asyncio.sleep(0.01)
        if self.trouble is not None:
            raise self.trouble
        return number


@pytest.fixture
def kept_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "_KEEP_S", 0.2)


@pytest.mark.parametrize("trouble", [None, OSError("away"), ValueError("of another kind")])
async def test_an_answer_is_asked_for_once_and_kept_whatever_it_is(
    kept_for: None, trouble: Exception | None
) -> None:
    source = Source(trouble)
    kept = KeptAnswer(source.ask)
    expected = [1] * 20 if trouble is None else [trouble] * 20
    assert await asyncio.gather(*(kept.get() for _ in range(20)), return_exceptions=True) == (
        expected
    )
    assert await asyncio.gather(*(kept.get() for _ in range(20)), return_exceptions=True) == (
        expected
    )
    assert source.asked == 1
    await asyncio.sleep(0.25)
    await asyncio.gather(kept.get(), return_exceptions=True)
    assert source.asked == 2
    await kept.close()


async def test_those_who_go_take_the_answer_from_nobody() -> None:
    source = Source()
    kept = KeptAnswer(source.ask)
    first = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    first.cancel()
    assert await kept.get() == 1
    await kept.close()


async def test_kafka_is_not_asked_by_each_while_the_database_gives_errors() -> None:
    watch = StreamWatch(load_settings(), None)  # type: ignore[arg-type]
    asked = 0

    async def of_kafka() -> Any:
        nonlocal asked
        asked += 1

    async def of_database() -> Any:
        raise asyncpg.UndefinedColumnError("no such column")

    watch._of_kafka, watch._of_database = of_kafka, of_database  # type: ignore[method-assign]
    for _ in range(20):
        with pytest.raises(asyncpg.UndefinedColumnError):
            await watch.look()
    assert asked <= 1
    await watch.close()
