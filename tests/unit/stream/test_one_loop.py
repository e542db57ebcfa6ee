"""aiokafka lives in the worker's loop: no second thread takes turns with it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from unittest import mock

import pytest
import structlog
from aiokafka.errors import ConsumerStoppedError
from faust.types import TP

from nova_stream.settings import load_settings
from nova_stream.stream import app as wiring
from nova_stream.stream import worker
from nova_stream.stream.intake import Budget
from nova_stream.stream.metrics import Metrics
from nova_stream.stream.seeking import Source


async def nothing(*_: Any) -> Any:
    return None


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> Any:
    app = wiring.build_app(load_settings())
    source = Source(
        entities={},
        budget=Budget(1),
        read_positions=nothing,
        restart_topic=nothing,
        wake_wanted=lambda *_: False,
        forget=lambda: None,
        chunks=True,
    )
    wiring.add_transport(app, source)
    made = app.consumer._thread
    monkeypatch.setattr(made, "on_thread_stop", nothing)
    return made


async def test_it_runs_where_it_is_started(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []

    async def on_start() -> None:
        found.extend((asyncio.get_running_loop(), threading.current_thread()))

    monkeypatch.setattr(service, "on_start", on_start)
    await service.start()
    assert found == [asyncio.get_running_loop(), threading.current_thread()]
    await asyncio.wait_for(service.stop(), 10)
    assert service._serving.done()


async def test_what_fails_at_its_start_is_raised_and_does_not_keep_it_from_ending(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def on_start() -> None:
        raise OSError("no broker")

    monkeypatch.setattr(service, "on_start", on_start)
    with pytest.raises(OSError, match="no broker"):
        await service.start()
    await asyncio.wait_for(service.stop(), 10)
    assert service._serving.done()


async def test_its_end_leaves_other_tasks_alone(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "on_start", nothing)
    other = asyncio.create_task(asyncio.sleep(60))
    await service.start()
    await asyncio.wait_for(service.stop(), 10)
    assert not other.cancelled()
    other.cancel()


async def test_after_a_crash_nobody_waits_for_an_answer(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "on_start", nothing)
    await service.start()
    # As a crash of the app does it; Faust commits once more while the consumer stops.
    service._crash(RuntimeError("of an agent"))
    await asyncio.wait_for(service._serving, 10)
    assert not await asyncio.wait_for(service.commit({TP("nova.tasks", 0): 1}), 10)
    with pytest.raises(ConsumerStoppedError):
        await asyncio.wait_for(service.call_thread(nothing), 10)
    await asyncio.wait_for(service.stop(), 10)


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("metadata", "_client._sync_task"),
        ("group", "_coordinator._coordination_task"),
        ("fetching", "_fetcher._fetch_task"),
    ],
)
async def test_a_part_that_ended_is_told(service: Any, part: str, place: str) -> None:
    assert service.ended_part() is None  # before it starts
    going = asyncio.create_task(asyncio.sleep(60))
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    names = ("_client._sync_task", "_coordinator._coordination_task", "_fetcher._fetch_task")
    service._consumer = mock.Mock(**dict.fromkeys(names, going))
    assert service.ended_part() is None
    service._consumer.configure_mock(**{place: ended})
    assert service.ended_part() == part
    service._stopped.set()
    assert service.ended_part() is None
    going.cancel()


async def test_of_a_part_that_ended_the_worker_is_built_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_WATCH_RIGHTS_EVERY_S", 0)
    watched = worker.Worker(load_settings(), Metrics())
    app = mock.Mock()
    app.consumer.ended_part.side_effect = [None, "group"]
    app.consumer.watch_rights = mock.AsyncMock()
    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(watched._watch_rights(app), 10)
    assert watched._rebuild.is_set()
    assert [(line["event"], line["part"]) for line in lines] == [
        ("a part of aiokafka ended", "group")
    ]
