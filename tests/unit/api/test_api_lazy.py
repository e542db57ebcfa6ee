"""What is opened at its first use."""

from __future__ import annotations

import asyncio

import pytest

from nova_stream.api import lazy
from nova_stream.api.lazy import Lazy


class Opening:
    def __init__(self) -> None:
        self.calls = 0
        self.closed: list[int] = []
        self.failure: Exception | None = None

    async def open(self) -> int:
        self.calls += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.calls

    async def close(self, value: int) -> None:
        self.closed.append(value)


async def test_many_at_once_open_it_once() -> None:
    opening = Opening()
    value = Lazy(opening.open, opening.close)
    assert await asyncio.gather(*(value.get() for _ in range(5))) == [1] * 5
    await value.close()
    await value.close()
    assert (opening.calls, opening.closed) == (1, [1])


async def test_a_failure_is_told_to_all_and_then_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opening = Opening()
    opening.failure = OSError("away")
    value = Lazy(opening.open, opening.close)
    found = await asyncio.gather(*(value.get() for _ in range(5)), return_exceptions=True)
    assert [str(error) for error in found] == ["away"] * 5
    assert opening.calls == 1

    opening.failure = None
    with pytest.raises(OSError, match="away"):
        await value.get()
    monkeypatch.setattr(lazy, "_PAUSE_S", 0)
    assert await value.get() == 2
