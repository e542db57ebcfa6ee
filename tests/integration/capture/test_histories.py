"""Whatever a deployment goes through, and its captures with it: the end equals its documents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nova_stream.capture import lease, waiting
from nova_stream.capture.client import ConvexClient
from nova_stream.capture.metrics import CaptureMetrics
from nova_stream.capture.process import capture
from nova_stream.clock import system_clock
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.storage.capture.cursor import CursorStore
from nova_stream.storage.database import connect
from nova_stream.storage.migrate import migrate
from tests.integration.capture.harness import Topics, deployed, settings_of
from tests.integration.capture.stand_in import Deployment, Fault, Int64, Write, serving
from tests.integration.publish.topics import make_topics

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(1200)]

THOROUGH = hypothesis_settings.get_current_profile_name() == "thorough"
#: One example starts and kills several captures against a real Kafka and Postgres.
EXAMPLES = 400 if THOROUGH else 30
#: To make a failing example small takes minutes.
PHASES = tuple(Phase) if THOROUGH else (Phase.generate,)

DOCUMENTS: dict[str, dict[str, Any]] = {
    "agents": {"name": "MARS"},
    "builds": {"prdId": "p", "status": "running", "startedAt": "2026-02-20T11:00:00.000Z"},
    "tasks": {"title": "t", "agent": "MARS", "status": "ready", "attempts": Int64(2)},
    "executions": {"agent": "MARS", "duration": 12.5, "timestamp": "2026-02-20T11:00:00.000Z"},
    "agentActivityFeed": {"userId": "u", "details": "d", "eventType": "task_started"},
    "userProfiles": {"userId": "u", "tier": "free", "picture": b"\0\1"},
    "patterns": {"name": "none of ours"},
}


class Killed(BaseException):
    """The process is gone: not even its errors are handled."""


class CaughtUp(BaseException):
    """All is read."""


class Metrics(CaptureMetrics):
    def caught_up(self) -> None:
        raise CaughtUp


class Mortal:
    """Kills whatever runs at its ``left``-th operation, before it or after it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.after = False
        steps: dict[type, tuple[str, ...]] = {
            ConvexClient: ("list_snapshot", "document_deltas"),
            ChangePublisher: ("publish",),
            CursorStore: ("note", "store", "gone"),
        }
        for kind, names in steps.items():
            for name in names:
                operation: Callable[..., Awaitable[Any]] = getattr(kind, name)
                monkeypatch.setattr(kind, name, self._watched(operation))

    def _watched(self, operation: Callable[..., Awaitable[Any]]) -> Any:
        async def perform(*arguments: Any, **more: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Killed
            found = await operation(*arguments, **more)
            if self.left == 0:
                raise Killed
            return found

        return perform


Action = Callable[[Deployment], None]


def insert(deployment: Deployment, table: str) -> None:
    deployment.insert(table, DOCUMENTS[table])


def _known(deployment: Deployment, table: str, number: int) -> str | None:
    ids = sorted(deployment.documents(table))
    return ids[number % len(ids)] if ids else None


def patch(deployment: Deployment, table: str, number: int, value: Any) -> None:
    if identity := _known(deployment, table, number):
        deployment.patch(table, identity, {"note": value})


def delete(deployment: Deployment, table: str, number: int) -> None:
    if identity := _known(deployment, table, number):
        deployment.delete(table, identity)


def transact(deployment: Deployment, tables: list[tuple[str, int]]) -> None:
    """Replace some, delete some, and create as many, at one time."""
    writes = []
    for table, number in tables:
        if identity := _known(deployment, table, number):
            gone = number % 2 == 0
            writes.append(Write(table, identity, None if gone else {**DOCUMENTS[table], "n": 1.0}))
        writes.append(Write(table, deployment.new_id(), DOCUMENTS[table]))
    deployment.transact({(w.table, w.id): w for w in writes}.values())


def pages(deployment: Deployment, snapshot: int, deltas: int) -> None:
    deployment.snapshot_page, deployment.deltas_page = snapshot, deltas


def fail(deployment: Deployment, fault: Fault) -> None:
    deployment.faults.append(fault)


def forget(deployment: Deployment, *, snapshots: bool) -> None:
    deployment.forget_before = deployment.now()
    if snapshots:
        deployment.refuse_snapshots_before = deployment.now()


_TABLES = st.sampled_from(sorted(DOCUMENTS))
_NUMBERS = st.integers(0, 50)
_FAULTS = st.sampled_from([Fault(429), Fault(500), Fault(503), Fault("drop"), Fault("garbage")])
_CHANGES: st.SearchStrategy[Action] = st.one_of(
    st.builds(lambda t: partial(insert, table=t), _TABLES),
    st.builds(lambda t: partial(insert, table=t), _TABLES),
    st.builds(
        lambda t, n, v: partial(patch, table=t, number=n, value=v),
        _TABLES,
        _NUMBERS,
        st.floats(allow_nan=False) | st.text("abc", max_size=3),
    ),
    st.builds(lambda t, n: partial(delete, table=t, number=n), _TABLES, _NUMBERS),
    st.builds(
        lambda tables: partial(transact, tables=tables),
        st.lists(st.tuples(_TABLES, _NUMBERS), max_size=6),
    ),
)
_EVENTS: st.SearchStrategy[Action] = st.one_of(
    st.builds(
        lambda s, d: partial(pages, snapshot=s, deltas=d), st.integers(1, 5), st.integers(1, 5)
    ),
    st.builds(lambda fault: partial(fail, fault=fault), _FAULTS),
    st.builds(lambda both: partial(forget, snapshots=both), st.booleans()),
)
#: What happens, and after how many operations the capture that follows it dies; 0 = not at all.
_ROUNDS = st.tuples(
    st.lists(st.one_of(_CHANGES, _CHANGES, _CHANGES, _EVENTS), max_size=12),
    st.integers(0, 12) | st.integers(0, 40),
    st.booleans(),
)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Mortal:
    monkeypatch.setattr(waiting, "_FIRST_S", 0.01)
    monkeypatch.setattr(lease, "_LOOK_S", 0.05)
    return Mortal(monkeypatch)


async def run_once(settings: Settings, mortal: Mortal, dies_at: int, *, after: bool) -> None:
    mortal.left, mortal.after = dies_at or -1, after
    try:
        async with asyncio.timeout(60):
            await capture(settings, Metrics(system_clock), system_clock)
    except (Killed, CaughtUp):
        pass
    finally:
        mortal.left = -1


def test_the_end_equals_the_deployment(
    nova_kafka: str, nova_topic_prefix: str, nova_database: str, hurried: Mortal
) -> None:
    first = Deployment()
    numbers = iter(range(10**9))
    with serving(first) as server, asyncio.Runner() as runner:
        settings = settings_of(server.url, nova_kafka, nova_topic_prefix, nova_database, first.key)
        make_topics(settings)
        runner.run(migrate(settings))
        topics = Topics(settings)
        runner.run(topics.__aenter__())

        async def play(rounds: list[tuple[list[Action], int, bool]]) -> None:
            deployment = Deployment(first_id=next(numbers) * 1000)
            server.deployment = deployment
            connection = await connect(settings, "test")
            await connection.execute("TRUNCATE source_cursors, source_documents")
            await connection.close()
            await topics.state()
            topics.records.clear()
            for actions, dies_at, after in rounds:
                for act in actions:
                    act(deployment)
                await run_once(settings, hurried, dies_at, after=after)
            await run_once(settings, hurried, 0, after=False)
            assert await topics.state() == deployed(deployment)

        @hypothesis_settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=PHASES,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(_ROUNDS, min_size=1, max_size=4))
        def example(rounds: list[tuple[list[Action], int, bool]]) -> None:
            runner.run(play(rounds))

        try:
            example()
        finally:
            runner.run(topics.__aexit__())
