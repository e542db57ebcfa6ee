"""A worker whose Kafka goes away while it starts is built anew, and waits then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError

from nova_stream.settings import load_settings
from nova_stream.stream import worker
from nova_stream.stream.metrics import Metrics
from tests.logs import captured


class Parts:
    """What a worker starts: an app that cannot, and parts that wait."""

    client_id = "nova-stream-worker-1"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def start(self) -> None:
        raise self.error

    async def wait(self, *_: Any) -> None:
        await asyncio.Event().wait()

    watch = run = failed = wait


def starting(error: Exception, monkeypatch: pytest.MonkeyPatch) -> worker.Worker:
    parts: Any = Parts(error)
    made = worker.Worker(load_settings(), Metrics())

    async def prepare() -> Any:
        return {}, parts

    async def shut_down(_: Any, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    monkeypatch.setattr(made, "_prepare", prepare)
    monkeypatch.setattr(made, "_build", lambda *_: (parts, parts, parts))
    monkeypatch.setattr(made, "_shut_down", shut_down)
    for watcher in ("_watch_topics", "_watch_positions"):
        monkeypatch.setattr(made, watcher, parts.wait)
    monkeypatch.setattr(worker, "measure", parts.wait)
    return made


@pytest.mark.parametrize("error", [KafkaConnectionError("no"), NodeNotReadyError(), OSError("no")])
async def test_kafka_that_goes_away_while_it_starts_is_waited_for(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = captured(monkeypatch, worker)
    assert await starting(error, monkeypatch).run() is worker.Outcome.REBUILD
    assert [line["event"] for line in log] == ["Kafka is away"]


async def test_an_error_of_ours_while_it_starts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        await starting(KeyError("ours"), monkeypatch).run()
