"""The stream's state over HTTP, with everything there and with everything away."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from nova_stream.api.app import create_app
from nova_stream.events.change import Entity
from nova_stream.jobs.engine.manual import run_manually
from nova_stream.jobs.registry import JOBS
from nova_stream.settings import Settings
from nova_stream.storage.stats.status import stream_facts
from tests.integration.jobs.stubs import query
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage, until

from .conftest import connected

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

PATH = "/api/v1/stream/status"
#: Clients of Kafka and Postgres that nobody bounds wait for half a minute and more.
LIMIT = 5.0


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app), connected(app) as client:
        yield client


async def look(client: httpx.AsyncClient, limit: float = LIMIT) -> dict[str, Any]:
    started = time.monotonic()
    response = await client.get(PATH)
    assert time.monotonic() - started < limit
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_stream_that_works(stage: Stage) -> None:
    stage.start_worker()
    producer = stage.producer()
    topic = stage.settings.topic(Entity.EXECUTIONS)

    def publish(number: int) -> None:
        document = {"id": f"e{number}", "agent": "MARS", "duration": 5}
        document["timestamp"] = int(time.time() * 1000)
        value = value_of(document, op="c", seq=number, ts_ms=int(time.time() * 1000))
        producer.produce(topic, value, f"e{number}".encode())
        producer.flush(10)

    async with opened(stage.settings) as client:
        await until("the worker is in the group", lambda: _works(client))
        number = 0
        found: dict[str, Any] = {}
        end = time.monotonic() + 30
        while not (found.get("throughput") and found.get("freshnessMs") is not None):
            assert time.monotonic() < end, found
            number += 1
            publish(number)
            await asyncio.sleep(0.2)
            found = await look(client)
        assert (found["databaseUp"], found["kafkaUp"], found["workers"]) == (True, True, 1)
        assert found["partitions"] == 6 * stage.settings.partitions
        assert 0 < found["freshnessMs"] < 10_000
        assert found["lastAppliedAt"] is not None
        await until("all is applied", lambda: _no_lag(client))


async def _works(client: httpx.AsyncClient) -> bool:
    found = await look(client)
    return bool(found["workers"] == 1 and found["partitions"])


async def _no_lag(client: httpx.AsyncClient) -> bool:
    return bool((await look(client))["lag"] == 0)


async def test_audits_and_dead_letters(
    client: httpx.AsyncClient, nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    agent = {"entity": "agents", "after": {"id": "a1", "name": "MARS"}}
    await apply_lines([agent, {"entity": "tasks", "after": {"id": "t1", "status": "done"}}])
    await query(nova_settings, "UPDATE agent_stats_cache SET total_tasks = 7")
    letter = """
INSERT INTO dead_letters (topic, partition, "offset", headers, reason, message, state)
SELECT 't', 0, n, '[]', 'r', 'm', CASE WHEN n > 2 THEN 'discarded' ELSE 'open' END
FROM generate_series(1, 4) n
"""
    await query(nova_settings, letter)
    before = {job.name: job for job in JOBS}
    for name in ("computeAgentStats", "refreshBuildStats"):
        await run_manually(nova_settings, before[name], dry_run=False, as_of=None)
        await run_manually(nova_settings, before[name], dry_run=True, as_of=None)
    found = await look(client)
    runs = await query(nova_settings, "SELECT id FROM job_runs WHERE kind = 'manual' ORDER BY id")
    assert found["openDeadLetters"] == 2
    assert [found["lastAudit"]["runId"], found["lastBuildAudit"]["runId"]] == [
        row["id"] for row in runs
    ]
    assert (found["lastAudit"]["drift"], found["lastBuildAudit"]["drift"]) == (1, 0)
    assert found["lastAudit"]["at"].endswith("Z")


async def test_before_anything_has_happened(client: httpx.AsyncClient) -> None:
    found = await look(client)
    assert (
        found.items()
        >= {
            "databaseUp": True,
            "partitions": 0,
            "throughput": None,
            "freshnessMs": None,
            "lastAppliedAt": None,
            "openDeadLetters": 0,
            "lastAudit": None,
            "lastBuildAudit": None,
        }.items()
    )


async def test_without_kafka_the_database_still_tells(nova_settings: Settings) -> None:
    # One that takes connections and says nothing is worse than one that is not there.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (1, silent.getsockname()[1]):
            update = {"kafka_brokers": (f"127.0.0.1:{port}",)}
            async with opened(nova_settings.model_copy(update=update)) as client:
                found = await look(client)
                assert (found["kafkaUp"], found["databaseUp"]) == (False, True)
                assert (found["lag"], found["workers"]) == (None, None)
                assert found["openDeadLetters"] == 0


async def test_without_postgres_kafka_still_tells(nova_settings: Settings, nova_kafka: str) -> None:
    kind = type(nova_settings.database_url)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (1, silent.getsockname()[1]):
            update = {
                "database_url": kind(f"postgresql://nova:nova@127.0.0.1:{port}/nova"),
                "kafka_brokers": (nova_kafka,),
                # Without a configured one nobody is let in while Postgres may know of others.
                "api_tokens": SecretStr("page:read:secret"),
            }
            async with opened(nova_settings.model_copy(update=update)) as client:
                client.headers["Authorization"] = "Bearer secret"
                found = await look(client, limit=2 * LIMIT)
                assert (found["kafkaUp"], found["databaseUp"]) == (True, False)
                assert found["databaseState"] == ("refusing" if port == 1 else "silent")
                ready = (await client.get("/health/ready")).json()
                assert ready["checks"]["database"] == ("away" if port == 1 else "away: no answer")
                for name in ("lag", "partitions", "freshnessMs", "openDeadLetters", "lastAudit"):
                    assert found[name] is None, name


async def test_many_who_ask_cost_one_look(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def counting(*given: Any, **named: Any) -> Any:
        nonlocal looks
        looks += 1
        return await stream_facts(*given, **named)

    monkeypatch.setattr("nova_stream.api.stream_watch.stream_facts", counting)
    found = await asyncio.gather(*(look(client) for _ in range(20)))
    assert looks == 1
    assert all(one == found[0] for one in found)
