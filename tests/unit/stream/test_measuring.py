"""A lag that cannot be measured is told, unless Kafka is only away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from nova_stream.stream import measuring
from nova_stream.stream.intake import Budget
from nova_stream.stream.metrics import Metrics
from tests.logs import captured


class Consumer:
    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0
        self.enough = asyncio.Event()

    async def lag(self) -> Any:
        self.asked += 1
        if self.asked == 5:
            self.enough.set()
        raise self.error


class App:
    def __init__(self, error: Exception) -> None:
        self.consumer = Consumer(error)


@pytest.mark.parametrize(
    ("error", "told"),
    [(KafkaConnectionError(), 0), (TimeoutError(), 0), (KeyError("topic"), 1), (TypeError(), 1)],
    ids=repr,
)
async def test_it_is_told_once(
    error: Exception, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "_MEASURE_EVERY_S", 0)
    app: Any = App(error)
    log = captured(monkeypatch, measuring)
    task = asyncio.create_task(measuring.measure(app, Budget(1), Metrics()))
    await app.consumer.enough.wait()
    task.cancel()
    assert [line["event"] for line in log] == ["the lag cannot be measured"] * told
