"""The demo against a real Kafka: at its rate, decodable, and started again."""

from __future__ import annotations

import time

import pytest

from nova_stream.demo.demo import run_demo
from nova_stream.events.change import Entity
from nova_stream.settings import Settings

from .topics import read_all

pytestmark = pytest.mark.integration


async def test_it_keeps_its_rate_and_every_change_is_readable(topic_settings: Settings) -> None:
    start = time.monotonic()
    await run_demo(topic_settings, 1000.0, seed=1, limit=3000)
    took = time.monotonic() - start

    assert took == pytest.approx(3.0, abs=1.0)
    found = [record for entity in Entity for record in await read_all(topic_settings, entity)]
    assert len(found) == 3000
    assert all(record.change for record in found)
    assert {record.headers["ce_source"] for record in found} == {b"demo"}


async def test_a_second_start_adds_builds_and_no_agents(topic_settings: Settings) -> None:
    ids = []
    for _ in range(2):
        await run_demo(topic_settings, 5000.0, seed=1, limit=800)
        for entity in (Entity.AGENTS, Entity.BUILDS):
            ids.append({record.key for record in await read_all(topic_settings, entity)})

    agents, builds, agents_again, builds_again = ids
    assert len(agents) == 21
    assert agents_again == agents
    assert len(builds_again) > len(builds) > 5


async def test_the_past_comes_at_once_after_the_agents(topic_settings: Settings) -> None:
    start = time.monotonic()
    await run_demo(topic_settings, 1.0, seed=1, limit=61, past=True)
    assert time.monotonic() - start < 20  # and not at its rate, which would take an hour
    builds = await read_all(topic_settings, Entity.BUILDS)
    assert len(builds) > 80
    assert len(await read_all(topic_settings, Entity.AGENTS)) == 21
