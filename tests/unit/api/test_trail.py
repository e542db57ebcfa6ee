"""What goes into the audit trail, how often, and what happens while it cannot be written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_stream.api.auth import trail as trail_module
from nova_stream.api.auth.trail import Deed, Trail
from nova_stream.api.database import Database
from nova_stream.storage.access.trail import INSERT, Line

START = datetime(2026, 2, 20, tzinfo=UTC)
REFUSED = Deed(None, "10.0.0.1", "GET /api/v1/overview", None, "token-missing", True)
PUBLISHED = Deed("app", "10.0.0.2", "POST /api/v1/events", None, "done", False)


class Store:
    """A Postgres that keeps lines, or is away."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.away = False
        self.stalled: asyncio.Event | None = None
        self.lines: list[Line] = []

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Store]:
        if self.away:
            raise ConnectionRefusedError
        yield self

    async def execute(self, statement: str, *columns: Any) -> None:
        assert statement == INSERT
        if self.stalled is not None:
            await self.stalled.wait()
        self.lines += [Line(*values) for values in zip(*columns, strict=True)]

    def trail(self) -> Trail:
        return Trail(
            cast("Database", self),
            lambda: START + timedelta(seconds=self.seconds),
            lambda: self.seconds,
        )


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written but when a test says so."""
    monkeypatch.setattr(trail_module, "_PAUSE_S", 3600.0)


async def test_an_action_is_written_before_anything_else_happens() -> None:
    store = Store()
    await store.trail().record(PUBLISHED)
    assert [line[3:] for line in store.lines] == [tuple(PUBLISHED)]


async def test_what_repeats_is_one_line_with_a_count() -> None:
    store = Store()
    trail = store.trail()
    trail.note(PUBLISHED)
    await trail.flush()
    for _ in range(1000):
        store.seconds += 0.1
        trail.note(PUBLISHED)
    await trail.flush()
    assert len(store.lines) == 1  # the first at once, the rest later
    await trail.close()
    assert [line.requests for line in store.lines] == [1, 1000]
    first, last = store.lines[1].at, store.lines[1].until
    assert (last - first).total_seconds() == pytest.approx(99.9)


async def test_what_was_changed_is_summed_up_by_kind() -> None:
    store = Store()
    trail = store.trail()
    published = PUBLISHED._replace(object="changes")
    for count in range(3):
        trail.note(published, {"tasks": count, "agents": 1})
    trail.note(published)
    await trail.close()
    assert [line.object for line in store.lines] == ["changes: agents 3, tasks 3"]


async def test_who_is_cancelled_while_a_line_is_written_takes_none_away() -> None:
    store = Store()
    trail = store.trail()
    store.stalled = asyncio.Event()
    trail.note(PUBLISHED, {"tasks": 1})
    for looks in (trail.flush(), trail.record(REFUSED)):
        task = asyncio.create_task(looks)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    trail.note(PUBLISHED, {"tasks": 1})
    store.stalled = None
    await trail.close()
    assert {(line.action, line.object, line.requests) for line in store.lines} == {
        (PUBLISHED.action, "tasks 2", 2),
        (REFUSED.action, None, 1),
    }


async def test_closing_while_a_line_is_written_loses_none_and_tells_none_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trail_module, "_PAUSE_S", 0.0)
    store = Store()
    trail = store.trail()
    store.stalled = asyncio.Event()
    trail.note(PUBLISHED)
    for _ in range(10):  # until it is being written
        await asyncio.sleep(0)
    closing = asyncio.create_task(trail.close())
    await asyncio.sleep(0)
    store.stalled.set()
    await closing
    assert [line.requests for line in store.lines] == [1]


async def test_what_waits_is_written_soon_and_what_repeats_at_the_end_of_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trail_module, "_PAUSE_S", 0.001)
    store = Store()
    trail = store.trail()

    async def written(count: int) -> None:
        for _ in range(5000):
            if len(store.lines) >= count:
                return
            await asyncio.sleep(0.001)
        pytest.fail("no line")

    trail.note(PUBLISHED)
    await written(1)
    trail.note(PUBLISHED)
    trail.note(REFUSED)
    await written(2)
    assert store.lines[1].refused
    store.seconds += 301
    await written(3)
    assert store.lines[2].requests == 1
    await trail.close()


async def test_a_flood_without_a_token_is_a_few_lines_and_loses_no_count() -> None:
    store = Store()
    trail = store.trail()
    for number in range(5000):
        trail.note(REFUSED._replace(address=f"2001:db8::{number:x}", action=f"GET /{number % 40}"))
        if number % 100 == 0:
            await trail.flush()
    await trail.close()
    assert sum(line.requests for line in store.lines) == 5000
    kinds = {line[3:] for line in store.lines}
    assert len(kinds) <= 21
    assert len(store.lines) <= 2 * len(kinds)
    assert {line.address for line in store.lines} >= {None, "2001:db8::0"}


async def test_a_flood_takes_no_room_of_those_with_a_token() -> None:
    store = Store()
    trail = store.trail()
    for number in range(100):
        trail.note(REFUSED._replace(address=str(number)))
    trail.note(PUBLISHED)
    await trail.close()
    assert PUBLISHED in [Deed(*line[3:]) for line in store.lines]


async def test_while_postgres_is_away_lines_wait_and_the_log_has_the_actions() -> None:
    store = Store()
    trail = store.trail()
    store.away = True
    with structlog.testing.capture_logs() as logged:
        await trail.record(PUBLISHED._replace(object="computeAgentStats"))
        for number in range(3000):
            trail.note(REFUSED._replace(address=str(number)))
            if number % 500 == 0:
                await trail.flush()
    assert [line["event"] for line in logged] == [
        "an action is not in the audit trail yet",
        "the audit trail cannot be written",
    ]
    assert logged[0]["object"] == "computeAgentStats"
    store.away = False
    await trail.flush()
    assert sum(line.requests for line in store.lines) == 3001
    assert "computeAgentStats" in {line.object for line in store.lines}
    assert len(store.lines) <= 23
    await trail.close()


async def test_texts_that_postgres_cannot_store_are_made_storable() -> None:
    store = Store()
    await store.trail().record(PUBLISHED._replace(object="a\x00b\udc80" + "x" * 5000))
    stored = store.lines[0].object
    assert stored is not None
    assert len(stored) == 300
    assert stored.startswith("a\ufffdb?x")


DEEDS = st.builds(
    Deed,
    token=st.none() | st.sampled_from(["a", "b"]),
    address=st.sampled_from([f"10.0.0.{n}" for n in range(40)]),
    action=st.sampled_from(["GET /x", "POST /y"]),
    object=st.none() | st.sampled_from(["1", "2", "3"]),
    outcome=st.sampled_from(["done", "scope-missing"]),
    refused=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(DEEDS | st.sampled_from(["flush", "away", "back", "later"]), max_size=120))
def test_no_count_is_lost_and_none_is_told_twice(steps: list[Any]) -> None:
    async def run() -> None:
        store = Store()
        trail = store.trail()
        for step in steps:
            if isinstance(step, Deed):
                trail.note(step)
            elif step == "flush":
                await trail.flush()
            elif step == "later":
                store.seconds += 301
            else:
                store.away = step == "away"
        store.away = False
        await trail.close()
        deeds = [step for step in steps if isinstance(step, Deed)]
        assert sum(line.requests for line in store.lines) == len(deeds)
        for refused in (True, False):
            of_kind = sum(deed.refused == refused for deed in deeds)
            assert sum(n.requests for n in store.lines if n.refused == refused) == of_kind

    asyncio.run(run())
