"""The audit trail forgets no command and no route: each leaves lines, or it is said why not, and
nothing is done of which the trail cannot be told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import typer

from nova_stream.api.app import create_app
from nova_stream.api.convex import backend
from nova_stream.api.positions import PositionWatch
from nova_stream.cli.main import app as commands
from nova_stream.cli.main import run
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import connect
from nova_stream.testing.fake_publisher import FakeChangePublisher

from .conftest import connected
from .test_api_scopes import ROUTES, Asked, documented

pytestmark = pytest.mark.integration

_SOURCE = "postgresql://nobody@127.0.0.1:1/nothing"
#: How each command is called here, and the action that its lines have.
TOLD = {
    "tokens create": (("a", "--scope", "stats"), "tokens create"),
    "tokens rotate": (("a",), "tokens rotate"),
    "tokens revoke": (("a",), "tokens revoke"),
    "jobs run": (("healthCheck", "--dry-run"), "jobs run"),
    "jobs pause": (("healthCheck",), "jobs pause"),
    "jobs resume": (("healthCheck",), "jobs resume"),
    "jobs undo": (("1",), "jobs undo"),
    "alerts acknowledge": (("1",), "alerts acknowledge"),
    "dead-letters show": (("1",), "dead-letters show"),
    "dead-letters retry": (("1",), "dead-letters retry"),
    "dead-letters unpack": (("1",), "dead-letters unpack"),
    "dead-letters discard": (("1",), "dead-letters discard"),
    "topics new-source": (("nova.tasks",), "topics new-source"),
    "executions show": (("e-1",), "executions show"),
    "archive restore": (("2026-01-21",), "archive restore"),
    "audit": (("--source", _SOURCE, "--repair"), "audit --repair"),
    "capture convex": (("--new-snapshot",), "capture convex --new-snapshot"),
    "migrate": (("--roles",), "migrate --roles"),
}
#: Their line is in the transaction of what they do; all others say before that they begin.
AT_ONCE = {"tokens create", "tokens rotate", "tokens revoke", "migrate"}
_LOOKS = "shows neither documents nor bytes"
_PROGRAM = "a program that runs on; who starts it has its account"
UNTOLD = {
    "dev": _PROGRAM,
    "worker": _PROGRAM,
    "api": _PROGRAM,
    "demo": "publishes into the stack of dev",
    "bench": "works on stacks of its own",
    "publish": "goes to Kafka, whose rights decide, also where Postgres cannot be reached",
    "doctor": _LOOKS,
    "status": _LOOKS,
    "agents": _LOOKS,
    "builds": _LOOKS,
    "executions list": _LOOKS,
    "logs": "reads the files that dev leaves",
    "trail": _LOOKS,
    "tokens list": _LOOKS,
    "jobs list": _LOOKS,
    "jobs history": _LOOKS,
    "alerts list": _LOOKS,
    "dead-letters list": _LOOKS,
    "archive list": _LOOKS,
}
#: POST routes that only read: Convex's protocol has no other method.
READING = {"/api/query", "/c/{token}/api/query"}


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path)
        return
    for name, one in inner.items():
        yield from walk(one, (*path, name))


def test_every_command_is_told_or_it_is_said_why_not() -> None:
    found = list(walk(typer.main.get_command(commands)))
    assert sorted(found) == sorted([*TOLD, *UNTOLD])
    assert all(UNTOLD.values())


@pytest.fixture
def environment(nova_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "NOVA_DATABASE_URL": nova_settings.database_url.get_secret_value(),
        "NOVA_KAFKA_BROKERS": "127.0.0.1:1",
        "NOVA_CONVEX_URL": "http://127.0.0.1:1",
        "NOVA_CONVEX_KEY": "a-key",
    }.items():
        monkeypatch.setenv(name, value)


async def trail(settings: Settings) -> list[tuple[str, str]]:
    """The actions and outcomes of all lines, each of which names its object."""
    return [(action, outcome) for action, object_, outcome in await lines(settings) if object_]


async def lines(settings: Settings) -> list[tuple[str, str | None, str]]:
    connection = await connect(settings, "test")
    try:
        rows = await connection.fetch("SELECT action, object, outcome FROM audit_trail ORDER BY id")
    finally:
        await connection.close()
    return [(row["action"], row["object"], row["outcome"]) for row in rows]


async def stop_telling(settings: Settings) -> None:
    """Have Postgres refuse new lines, as while its disk is full."""
    connection = await connect(settings, "test")
    try:
        await connection.execute(
            "ALTER TABLE audit_trail ADD CONSTRAINT full_disk CHECK (false) NOT VALID"
        )
    finally:
        await connection.close()


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", TOLD)
async def test_a_command_leaves_its_lines_whatever_comes_of_it(
    nova_settings: Settings, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words, action = TOLD[name]
    status = await asyncio.to_thread(run, [*name.split(), *words])
    if name == "topics new-source":
        assert "no Kafka can be used at 127.0.0.1:1" in capsys.readouterr().err
    outcome = "done" if status == 0 else "failed"
    expected = [outcome] if name in AT_ONCE else ["begun", outcome]
    assert await trail(nova_settings) == [(f"nova-stream {action}", one) for one in expected]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", TOLD)
async def test_a_command_does_nothing_that_cannot_be_told(
    nova_settings: Settings,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await stop_telling(nova_settings)
    for door in (
        "nova_stream.storage.dead_letters.read.dead_letter",
        "nova_stream.kafka.admin.KafkaAdmin.logs",
        "nova_stream.jobs.archive.restore.show",
        "nova_stream.jobs.archive.restore.restore_day",
        "nova_stream.source_audit.sources.open_source",
        "nova_stream.storage.capture.cursor.begin_anew",
        "nova_stream.jobs.cleanup_old_activity.undo",
        "nova_stream.jobs.engine.ledger.Ledger.pause",
        "nova_stream.jobs.engine.ledger.Ledger.resume",
    ):
        monkeypatch.setattr(door, _not_to_be_called)
    words, _ = TOLD[name]
    status = await asyncio.to_thread(run, [*name.split(), *words])
    said = capsys.readouterr()
    if name == "jobs run":  # of the one that only looks, and says so
        assert "the audit trail does not have this" in said.err
        return
    assert status == 1
    assert "full_disk" in said.err
    assert said.out == ""
    connection = await connect(nova_settings, "test")
    try:
        for table in ("api_tokens", "job_settings WHERE paused_at IS NOT NULL", "source_cursors"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0
    finally:
        await connection.close()


def _not_to_be_called(*_args: Any, **_more: Any) -> None:
    pytest.fail("it was done, and nobody knows")


# -- routes ----------------------------------------------------------------------------------------


def acting() -> list[Asked]:
    """The routes of those who act, by their scopes; all others read, which is not told."""
    scopes = documented()
    return [
        asked
        for asked in ROUTES
        if scopes[asked.method, asked.path.replace(":path}", "}")] <= {"admin", "publish"}
    ]


ADMIN_POSTS = [
    asked
    for asked in acting()
    if asked.method == "POST"
    and documented()[asked.method, asked.path.replace(":path}", "}")] == {"admin"}
]


def test_whatever_changes_something_is_a_route_of_those_who_act() -> None:
    rest = [asked for asked in ROUTES if asked not in acting()]
    assert {asked.path.replace(":path}", "}") for asked in rest if asked.method != "GET"} == READING
    assert len(ADMIN_POSTS) > 4


@pytest.fixture
async def client(nova_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    settings = load_settings(
        database_url=nova_settings.database_url,
        api_tokens="ops:admin:admin-secret",
        kafka_brokers="127.0.0.1:1",
        api_rate=0,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app), connected(app) as found:
        yield found


@pytest.mark.parametrize("asked", ADMIN_POSTS, ids=lambda asked: asked.path)
async def test_an_administrators_route_says_that_it_begins_and_what_came_of_it(
    client: httpx.AsyncClient, nova_settings: Settings, asked: Asked
) -> None:
    answer = await client.request(**asked.request("admin-secret"))
    told = await trail(nova_settings)
    assert [action for action, _ in told] == [f"POST {asked.path}"] * 2
    outcomes = [outcome for _, outcome in told]
    assert outcomes[0] == "begun"
    assert (outcomes[1] == "done") is (answer.status_code < 400)


# -- what is changed -------------------------------------------------------------------------------

EVENTS = "/api/v1/events"
SENT = [
    {"entity": "tasks", "op": "d", "before": {"id": "t-1"}},
    {"entity": "agents", "op": "d", "before": {"id": "a-1"}},
    {"entity": "tasks", "op": "d", "before": {"id": "t-2"}},
]
#: Bodies of the route that takes changes, and what its line says that they are.
BODIES = {
    json.dumps(SENT): ("changes: agents 1, tasks 2", "done"),
    '[{"entity": "cats"}]': ("(unreadable)", "bad-event"),
    "{": ("(unreadable)", "rejected"),
}
#: Arguments with which mutations change something, without anything there before, and what.
CHANGES = {
    "dashboard:createBuild": ({"prdId": "p", "prdName": "n"}, "activities 1, builds 1"),
    "atlas:startBuild": (
        {"prdId": "q", "prdName": "n", "startedAt": "2026-02-20T10:00:00Z"},
        "builds 1",
    ),
}


@pytest.fixture
async def publishing(
    nova_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose changes are published and applied at once."""

    async def applied(*_given: Any) -> None:
        pass

    monkeypatch.setattr(PositionWatch, "wait", applied)
    settings = load_settings(
        database_url=nova_settings.database_url,
        api_tokens="app:publish:app-secret",
        api_rate=0,
    )

    async def start() -> FakeChangePublisher:
        return FakeChangePublisher()

    app = create_app(settings, publisher=start)
    bearer = {"Authorization": "Bearer app-secret"}
    async with app.router.lifespan_context(app), connected(app, **bearer) as found:
        yield found


async def test_what_is_published_is_told_by_kind_and_number(
    publishing: httpx.AsyncClient, nova_settings: Settings
) -> None:
    for body in BODIES:
        await publishing.post(EVENTS, content=body)
    told = [(f"POST {EVENTS}", object_, outcome) for object_, outcome in BODIES.values()]
    await until_told(nova_settings, told)


async def test_every_mutation_is_told_with_what_it_changes(
    publishing: httpx.AsyncClient, nova_settings: Settings
) -> None:
    mutations = [
        name for name, function in backend.FUNCTIONS.items() if function.kind == "mutation"
    ]
    assert mutations
    for name in mutations:
        args, _ = CHANGES.get(name, ({}, ""))
        await publishing.post("/api/mutation", json={"path": name, "args": args})
    await publishing.post("/api/mutation", json={"path": "no:such", "args": {}})
    await publishing.post("/api/mutation", content="{")
    told = {(f"{name}: {changed}", "done") for name, (_, changed) in CHANGES.items()}
    told |= {(name, "call-refused") for name in mutations if name not in CHANGES}
    told |= {("(unreadable)", "400"), ("(unknown)", "call-refused")}
    await until_told(nova_settings, [("POST /api/mutation", *one) for one in told])


def test_routes_that_change_something_are_all_looked_at() -> None:
    publishing = {asked.path for asked in acting() if asked.method == "POST"}
    publishing -= {asked.path for asked in ADMIN_POSTS}
    assert publishing == {EVENTS, "/api/mutation", "/c/{token:path}/api/mutation"}


async def until_told(settings: Settings, expected: list[tuple[str, str, str]]) -> None:
    for _ in range(100):
        found = await lines(settings)
        if len(found) >= len(expected):
            break
        await asyncio.sleep(0.05)
    assert sorted(found, key=str) == sorted(expected, key=str)


async def test_a_publish_that_the_servers_end_cuts_off_is_told(nova_settings: Settings) -> None:
    waits = asyncio.Event()

    async def start() -> FakeChangePublisher:
        waits.set()
        await asyncio.Event().wait()
        raise AssertionError

    settings = load_settings(
        database_url=nova_settings.database_url, api_tokens="app:publish:app-secret"
    )
    app = create_app(settings, publisher=start)
    bearer = {"Authorization": "Bearer app-secret"}
    async with app.router.lifespan_context(app), connected(app, **bearer) as client:
        sending = asyncio.create_task(client.post(EVENTS, json=SENT))
        await waits.wait()
        sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    expected = [(f"POST {EVENTS}", "changes: agents 1, tasks 2", "cut off")]
    assert await lines(nova_settings) == expected


@pytest.mark.parametrize("method", ["pause", "resume", "run"])
async def test_an_administrators_route_does_nothing_that_cannot_be_told(
    client: httpx.AsyncClient, nova_settings: Settings, method: str
) -> None:
    await stop_telling(nova_settings)
    headers = {"Authorization": "Bearer admin-secret"}
    answer = await client.post(f"/api/v1/jobs/healthCheck/{method}", headers=headers)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:nova-stream:audit-trail"
    connection = await connect(nova_settings, "test")
    try:
        assert await connection.fetchval("SELECT count(*) FROM job_settings") == 0
        assert await connection.fetchval("SELECT count(*) FROM job_runs") == 0
    finally:
        await connection.close()
