"""The API on a hot standby: what it reads, how it waits for the standby, what it cannot do."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.events.change import Entity
from nova_stream.local.postgres import LocalPostgres
from nova_stream.publish.position_token import PositionToken
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.audit.audit import audit
from nova_stream.storage.migrate import migrate
from nova_stream.testing.fake_publisher import FakeChangePublisher
from nova_stream.testing.servers import fresh_database
from tests.chaos.standby import Standby

from .conftest import as_api, connected
from .streams import listening, stream

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

LINES: list[dict[str, Any]] = [
    {"entity": "agents", "after": {"id": "a1", "name": "MARS"}},
    {"entity": "tasks", "after": {"id": "10", "agent": "MARS", "status": "done"}},
]
AGENT = "/api/v1/agents/MARS/stats"
#: Reads that go on for as long as somebody listens.
ENDLESS = {"/api/v1/stream"}
#: What stands in the place of the parameters of a read.
GIVEN = {
    "name": "MARS",
    "figure": "totalTasks",
    "id": "10",
    "runId": "1",
    "q": "t1",
    "from": "2026-02-19T00:00:00Z",
    "to": "2026-02-20T00:00:00Z",
}


class Pair(NamedTuple):
    """Addresses of a primary and of the standby that streams from it."""

    primary: str
    standby: str


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with (
        tempfile.TemporaryDirectory(prefix="nova-test-", ignore_cleanup_errors=True) as folder,
        LocalPostgres(Path(folder), fsync=False) as primary,
    ):
        standby = Standby(Path(folder), primary.url)
        standby.copy()
        standby.start(standby.port)
        try:
            asyncio.run(standby.wait())
            yield Pair(primary.url, _at(primary.url, standby.port))
        finally:
            standby.stop()


def _at(url: str, port: int) -> str:
    parts = urlsplit(url)
    assert parts.port is not None
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(str(parts.port), str(port))))


@pytest.fixture
def nova_settings(pair: Pair, nova_topic_prefix: str) -> Iterator[Settings]:
    """What the worker has: a new database of the primary."""
    with fresh_database(pair.primary) as url:
        found = load_settings(database_url=url, topic_prefix=nova_topic_prefix)
        asyncio.run(migrate(found, with_roles=True))
        yield found


@pytest.fixture
async def following(pair: Pair, nova_settings: Settings) -> Settings:
    """What the API has: the same database of the standby, which knows it."""
    url = nova_settings.database_url.get_secret_value()
    port = urlsplit(pair.standby).port
    assert port is not None
    await _caught_up(pair)
    return load_settings(database_url=_at(url, port), topic_prefix=nova_settings.topic_prefix)


async def _caught_up(pair: Pair) -> None:
    """Wait until the standby has replayed all that the primary has written by now."""
    primary, standby = await asyncpg.connect(pair.primary), await asyncpg.connect(pair.standby)
    try:
        wanted = await primary.fetchval("SELECT pg_current_wal_insert_lsn()::text")
        reached = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
        async with asyncio.timeout(30):
            while not await standby.fetchval(reached, wanted):  # noqa: ASYNC110 - SQL tells
                await asyncio.sleep(0.02)
    finally:
        await primary.close()
        await standby.close()


@pytest.fixture
async def client(following: Settings, apply_lines: ApplyLines) -> AsyncIterator[httpx.AsyncClient]:
    async def start() -> FakeChangePublisher:
        return FakeChangePublisher()

    await apply_lines(LINES)
    app = create_app(as_api(following), publisher=start)
    async with app.router.lifespan_context(app), connected(app) as found:
        yield found


@pytest.fixture
async def replay(pair: Pair) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection to the standby, whose replay goes on in the end whatever was done to it."""
    connection = await asyncpg.connect(pair.standby)
    try:
        yield connection
    finally:
        await connection.execute("SELECT pg_wal_replay_resume()")
        await connection.close()


def _token(settings: Settings, offset: int) -> str:
    return PositionToken({settings.topic(Entity.TASKS): {0: offset}}).encode()


async def test_a_read_waits_until_the_standby_has_the_token(
    client: httpx.AsyncClient,
    nova_settings: Settings,
    apply_lines: ApplyLines,
    replay: asyncpg.Connection[Any],
) -> None:
    first = {"after": _token(nova_settings, 1), "timeout": "30"}
    assert (await client.get(AGENT, params=first)).json()["completedTasks"] == 1
    await replay.execute("SELECT pg_wal_replay_pause()")
    await apply_lines(
        [{"entity": "tasks", "seq": 99, "after": {"id": "t2", "agent": "MARS", "status": "done"}}]
    )
    # The primary has it, the standby does not: without a token it says what it has, with one that
    # it has not come there.
    assert (await client.get(AGENT)).json()["completedTasks"] == 1
    wanted = _token(nova_settings, 2)
    late = await client.get(AGENT, params={"after": wanted, "timeout": "0.3"})
    assert late.status_code == 504
    assert PositionToken.decode(late.json()["position"]) == PositionToken.decode(
        _token(nova_settings, 1)
    )
    reading = asyncio.create_task(client.get(AGENT, params={"after": wanted, "timeout": "30"}))
    await asyncio.sleep(0.1)
    assert not reading.done()
    await replay.execute("SELECT pg_wal_replay_resume()")
    assert (await reading).json()["completedTasks"] == 2


async def test_streams_of_the_standby_show_what_changes(
    client: httpx.AsyncClient, following: Settings, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await client.get(AGENT, params={"after": _token(nova_settings, 1), "timeout": "30"})
    async with (
        listening(create_app(as_api(following))) as open_client,
        stream(open_client) as events,
    ):
        await events.picture()
        task = {"id": "t2", "agent": "MARS", "status": "done"}
        await apply_lines([{"entity": "tasks", "seq": 99, "after": task}])
        while (event := await events.next()).name != "agent":
            pass
        assert event.data["completedTasks"] == 2


async def test_no_read_fails_because_it_is_a_standby(
    client: httpx.AsyncClient, nova_settings: Settings
) -> None:
    params = {"after": _token(nova_settings, 1), "timeout": "30"}
    assert (await client.get("/api/v1/overview", params=params)).status_code == 200
    paths = (await client.get("/openapi.json")).json()["paths"]
    reads = {path: found["get"] for path, found in paths.items() if "get" in found}
    found: dict[str, int] = {}
    for path in reads.keys() - ENDLESS:
        known = [p["name"] for p in reads[path].get("parameters", ()) if p["in"] == "query"]
        given = {name: GIVEN[name] for name in known if name in GIVEN}
        answer = await client.get(path.format_map(GIVEN), params=given)
        assert answer.status_code in {200, 404, 503}, (path, answer.text)
        # There is no Kafka in this test, which some say.
        assert answer.status_code != 503 or "kafka" in answer.text.lower(), (path, answer.text)
        found[path] = answer.status_code
    assert list(found.values()).count(200) > 30, found


async def test_what_would_write_is_refused_and_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/jobs/healthCheck/run")
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:nova-stream:audit-trail"


async def test_the_audit_runs_on_the_standby(
    client: httpx.AsyncClient, following: Settings, nova_settings: Settings
) -> None:
    await client.get(AGENT, params={"after": _token(nova_settings, 1), "timeout": "30"})
    report = await audit(following)
    assert (report.agents, report.differences) == (1, [])
