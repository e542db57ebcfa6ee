"""aiokafka lives in the worker's loop: no second thread takes turns with it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from unittest import mock

import pytest
import structlog
from aiokafka.errors import ConsumerStoppedError, GroupAuthorizationFailedError, KafkaError
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
async def service() -> Any:
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
    return app.consumer._thread


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
    service: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def on_start() -> None:
        raise OSError("no broker")

    monkeypatch.setattr(service, "on_start", on_start)
    with pytest.raises(OSError, match="no broker"):
        await service.start()
    await asyncio.wait_for(service.stop(), 10)
    assert service._serving.done()
    # Whoever started it tells it; nobody else does.
    assert capsys.readouterr().err == ""
    assert caplog.records == []


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


#: Where aiokafka keeps its tasks: those that go on until it is stopped, and those that come and go.
ENDLESS = {
    "_client._sync_task": "metadata",
    "_coordinator._coordination_task": "group",
    "_fetcher._fetch_task": "fetching",
}
PASSING = {
    "_coordinator._heartbeat_task": "heartbeat",
    "_coordinator._commit_refresh_task": "commits",
}


@pytest.mark.parametrize(("place", "part"), ENDLESS.items())
async def test_a_part_that_ended_is_told(service: Any, place: str, part: str) -> None:
    assert service.ended_part() is None  # before it starts
    going = asyncio.create_task(asyncio.sleep(60))
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    service._consumer = mock.Mock(**dict.fromkeys(ENDLESS | PASSING, going))
    assert service.ended_part() is None
    service._consumer.configure_mock(**{place: ended})
    assert service.ended_part() == part
    service._stopped.set()
    assert service.ended_part() is None
    going.cancel()


async def ends(error: BaseException | None) -> None:
    if error:
        raise error


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (None, False),
        (asyncio.CancelledError(), False),
        (GroupAuthorizationFailedError("g"), False),
        (KafkaError("unforeseen"), True),
    ],
)
@pytest.mark.parametrize(("place", "part"), PASSING.items())
async def test_a_part_that_comes_and_goes_is_told_only_of_an_error(
    service: Any, place: str, part: str, error: BaseException | None, is_told: bool
) -> None:
    going = asyncio.create_task(asyncio.sleep(60))
    ended = asyncio.create_task(ends(error))
    await asyncio.wait({ended})
    service._consumer = mock.Mock(**dict.fromkeys(ENDLESS | PASSING, going) | {place: ended})
    assert service.ended_part() == (part if is_told else None)
    going.cancel()


async def test_where_a_stop_is_cut_off_connections_are_closed_and_nobody_waits(
    service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As aiokafka does where a broker is away: it cancels a fetch and gets its CancelledError."""
    monkeypatch.setattr(service, "on_start", nothing)
    stop = mock.AsyncMock(side_effect=asyncio.CancelledError)
    client = mock.AsyncMock()
    await service.start()
    service._consumer = mock.Mock(stop=stop, _client=client)
    await asyncio.wait_for(service.stop(), 10)
    stop.assert_awaited()
    client.close.assert_awaited_once()
    assert service._serving.done()
    assert service._shutdown.is_set()


async def test_of_a_part_that_ended_the_worker_is_built_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "_WATCH_PARTS_EVERY_S", 0)
    watched = worker.Worker(load_settings(), Metrics())
    app = mock.Mock()
    app.consumer.ended_part.side_effect = [None, "group"]
    with structlog.testing.capture_logs() as lines:
        await asyncio.wait_for(watched._watch_parts(app), 10)
    assert watched._rebuild.is_set()
    assert [(line["event"], line["part"]) for line in lines] == [
        ("a part of aiokafka ended", "group")
    ]
