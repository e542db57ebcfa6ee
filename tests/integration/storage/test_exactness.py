"""Whatever is delivered, however: the caches equal the recount in every snapshot, and at the end.

More examples: ``pytest --hypothesis-profile=thorough tests/integration/storage/test_exactness.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from nova_stream.settings import Settings, load_settings
from nova_stream.storage.migrate import migrate
from tests.integration.storage.arena import Arena, open_arena
from tests.integration.storage.histories import History, histories

pytestmark = pytest.mark.integration

WORKERS = 3


class Stage:
    """An arena for tests that are not asynchronous, since hypothesis calls them many times."""

    def __init__(self, runner: asyncio.Runner, arena: Arena) -> None:
        self._runner = runner
        self._arena = arena

    def play(self, history: History, workers: int) -> list[str]:
        return self._runner.run(self._arena.play(history, workers))


@pytest.fixture
def stage(nova_database: str) -> Iterator[Stage]:
    found: Settings = load_settings(database_url=nova_database)
    with asyncio.Runner() as runner:
        runner.run(migrate(found))
        arena = runner.run(open_arena(found, WORKERS))
        try:
            yield Stage(runner, arena)
        finally:
            runner.run(arena.close())


as_configured = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@as_configured
@given(histories())
def test_one_worker_equals_the_recount_after_every_commit(stage: Stage, history: History) -> None:
    assert stage.play(history, 1) == []


@as_configured
@given(histories())
def test_workers_at_once_equal_the_recount_after_every_commit(
    stage: Stage, history: History
) -> None:
    assert stage.play(history, WORKERS) == []
