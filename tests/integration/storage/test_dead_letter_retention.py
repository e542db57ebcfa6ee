"""Dead letters that somebody has dealt with are deleted after their time; open ones never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from nova_stream.jobs.registry import JOBS
from nova_stream.jobs.timers import job_timers
from nova_stream.settings import Settings
from nova_stream.storage.database import connect
from nova_stream.storage.dead_letters import store as dead_letter_store
from nova_stream.storage.dead_letters.store import open_store

pytestmark = pytest.mark.integration

NOW = datetime(2026, 2, 20, 12, tzinfo=UTC)
_INSERT = """
INSERT INTO dead_letters (topic, partition, "offset", headers, reason, message, state, failed_at)
VALUES ('t', 0, $1, '[]', 'bad_json', 'm', $2, $3)
"""


async def fill(settings: Settings, number: int = 1) -> None:
    """Letters of every state and of ages around the limit; those at it stay."""
    connection = await connect(settings, "test")
    offset = 0
    for state in ("open", "retried", "discarded"):
        for age in (timedelta(days=89), timedelta(days=90), timedelta(days=90, seconds=1)):
            for _ in range(number):
                await connection.execute(_INSERT, offset, state, NOW - age)
                offset += 1
    await connection.close()


async def left(settings: Settings) -> list[tuple[str, int]]:
    """State and age in seconds beyond 90 days of those that are there."""
    connection = await connect(settings, "test")
    rows = await connection.fetch("SELECT state, failed_at FROM dead_letters ORDER BY id")
    await connection.close()
    return [(row["state"], int((NOW - row["failed_at"]).total_seconds()) - 7776000) for row in rows]


async def test_those_dealt_with_go_after_their_time(nova_settings: Settings) -> None:
    await fill(nova_settings)
    timers = job_timers(nova_settings, JOBS, CollectorRegistry(), lambda: NOW)
    (timer,) = (timer for timer in timers if timer.name == "dead-letters")
    await timer.work()
    assert await left(nova_settings) == [
        ("open", -86400),
        ("open", 0),
        ("open", 1),
        ("retried", -86400),
        ("retried", 0),
        ("discarded", -86400),
        ("discarded", 0),
    ]


async def test_more_than_a_statement_takes(
    nova_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_store, "_BATCH", 3)
    await fill(nova_settings, 4)
    async with open_store(nova_settings) as store:
        assert await store.forget(NOW - timedelta(days=90)) == 8
        assert await store.forget(NOW - timedelta(days=90)) == 0
    assert len(await left(nova_settings)) == 28
