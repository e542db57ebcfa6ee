"""A statement that Postgres refuses is no outage: the log of the API says so, whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any, NamedTuple, cast

import httpx
import pytest

from nova_stream.api import positions, problems
from nova_stream.api.auth import stored_tokens, trail
from nova_stream.api.auth.stored_tokens import StoredTokens
from nova_stream.api.auth.tokens import Tokens
from nova_stream.api.convex import backend, lock_set
from nova_stream.api.database import Database
from nova_stream.api.lazy import Lazy
from nova_stream.api.live import broadcaster
from nova_stream.api.live.event_log import EventFilter
from nova_stream.api.metrics import ApiMetrics
from nova_stream.clock import system_clock
from nova_stream.kafka.model import FoundTopic
from nova_stream.publish.interface import Publisher
from nova_stream.settings import Settings
from nova_stream.storage.access import tokens as token_store
from nova_stream.storage.access import trail as trail_store
from nova_stream.storage.convex import sql as sql_convex
from nova_stream.storage.convex.entity_locks import EntityLocks
from nova_stream.storage.database import connect
from nova_stream.storage.dead_letters import read as read_dead_letters
from nova_stream.storage.jobs import read as read_jobs
from nova_stream.storage.lists import read as lists_read
from nova_stream.storage.lists.lines import Lines
from nova_stream.storage.stats import changes as stats_changes
from nova_stream.storage.stats import sql as sql_read
from nova_stream.storage.stats import status as stream_status
from nova_stream.testing.fake_publisher import FakeChangePublisher
from tests.logs import captured

pytestmark = pytest.mark.integration

BROKEN = "SELECT no_such_column FROM agents"


class Route(NamedTuple):
    """A route and the statement that it needs."""

    path: str
    place: ModuleType
    statement: str


ROUTES = [
    Route("/api/v1/agents/stats", sql_read, "AGENTS_STATS"),
    Route("/api/v1/agents/NOVA/stats", sql_read, "AGENT_STATS_BY_NAME"),
    Route("/api/v1/builds/stats", sql_read, "BUILD_STATS"),
    Route("/api/v1/overview", sql_read, "OVERVIEW"),
    Route("/api/v1/builds", lists_read, "page_of"),
    Route("/api/v1/builds/b-1", sql_read, "BUILD"),
    Route("/api/v1/activity", lists_read, "page_of"),
    Route("/api/v1/jobs", read_jobs, "_JOBS"),
    Route("/api/v1/jobs/healthCheck/runs", read_jobs, "_RUNS"),
    Route("/api/v1/alerts", read_jobs, "_ALERTS"),
    Route("/api/v1/dead-letters", read_dead_letters, "_LETTERS"),
    Route("/api/v1/trail", trail_store, "_LINES"),
    Route("/api/v1/stream/status", stream_status, "COUNT_OPEN"),
    Route("/health/ready", sql_read, "COUNT_UNREGISTERED"),
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
async def test_of_a_route_is_told_as_no_outage(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, route: Route
) -> None:
    log = captured(monkeypatch, problems)
    whole = getattr(route.place, route.statement)
    monkeypatch.setattr(route.place, route.statement, _broken(whole))
    response = await client.get(route.path)
    assert response.json()["type"] == "urn:nova-stream:schema-version", response.text
    (line,) = log
    assert (line["event"], line["log_level"]) == (
        "the database schema does not match this version",
        "error",
    )


def _broken(whole: Any) -> Any:
    """A statement of as many parameters, one for each, or what makes one."""
    if callable(whole):
        return lambda *given: whole(*given)._replace(text=_broken(whole(*given).text))
    if isinstance(whole, Lines):
        return whole._replace(select=_broken(whole.select))
    if isinstance(whole, tuple):
        return tuple(map(_broken, whole))
    return whole.replace("FROM ", "FROM no_such_schema.", 1)


class Part(NamedTuple):
    """What a process does beside requests, and what it says when the statement is broken."""

    log: ModuleType
    place: ModuleType
    statement: str
    says: str
    act: Callable[[Settings, Database], Awaitable[None]]


async def _reads_tokens(_: Settings, database: Database) -> None:
    stored = StoredTokens(database)
    for _attempt in range(3):
        await stored.refresh(insist=True)
    assert not stored.known


async def _notes_a_use(settings: Settings, database: Database) -> None:
    connection = await connect(settings, "test")
    await token_store.create(connection, "one", "nova_x", ["stats"], system_clock(), None)
    await connection.close()
    stored = StoredTokens(database)
    await stored.refresh()
    for _attempt in range(3):
        assert stored.find("nova_x") is not None
        await stored.close()


async def _records_a_deed(_: Settings, database: Database) -> None:
    written = trail.Trail(database)
    await written.record(trail.Deed(None, None, "GET /", None, "200", refused=False))


async def _looks_for_changes(settings: Settings, database: Database) -> None:
    tokens = Tokens(settings, StoredTokens(database))
    changes = broadcaster.Broadcaster(database, ApiMetrics(), 5, tokens)
    client = changes.join(EventFilter(), None, lambda: True)
    async with asyncio.timeout(10):
        while b'"connected":false' not in await client.frame():
            pass
    await changes.close()


async def _waits_for_a_write(settings: Settings, database: Database) -> None:
    async def start() -> Publisher:
        return cast("Publisher", FakeChangePublisher())

    async def stop(_: Publisher) -> None: ...

    async def ask(_: Any) -> dict[str, FoundTopic]:
        return {}

    watch = positions.PositionWatch(database, positions.PresentTopics(ask, settings.topics()))
    convex = backend.Backend(settings, database, Lazy(start, stop), watch)
    change = {"entity": "agents", "op": "c", "seq": 1, "after": {"id": "a-1", "name": "NOVA"}}
    await convex._write([change], lock_set.LockSet(EntityLocks(settings)))
    await convex.close()
    await watch.close()


async def _gives_a_lock_back(settings: Settings, _: Database) -> None:
    locks = EntityLocks(settings)
    for _attempt in range(2):  # the second one would wait for ever for what the first one kept
        holding = lock_set.LockSet(locks, 5.0)
        await holding.hold("builds:b-1")
        await holding.release()
    await locks.close()


PARTS = [
    Part(stored_tokens, token_store, "KNOWN", "stored tokens cannot be read", _reads_tokens),
    Part(stored_tokens, token_store, "USED", "a token's use cannot be noted", _notes_a_use),
    Part(trail, trail_store, "INSERT", "an action is not in the audit trail yet", _records_a_deed),
    Part(
        broadcaster, stats_changes, "_SNAPSHOT", "checking for changes failed", _looks_for_changes
    ),
    Part(
        backend,
        sql_read,
        "LIVING_POSITIONS",
        "it is not known how far the stream has come",
        _waits_for_a_write,
    ),
    Part(lock_set, sql_convex, "UNLOCK", "a lock cannot be given back", _gives_a_lock_back),
]


@pytest.fixture
async def database(nova_settings: Settings) -> AsyncIterator[Database]:
    database = Database(nova_settings)
    yield database
    await database.close()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.statement)
async def test_beside_requests_is_told(
    nova_settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, part: Part
) -> None:
    log = captured(monkeypatch, part.log)
    monkeypatch.setattr(part.place, part.statement, BROKEN)
    await part.act(nova_settings, database)
    lines = [line for line in log if line["log_level"] == "error"]
    assert {line["event"] for line in lines} == {part.says}
