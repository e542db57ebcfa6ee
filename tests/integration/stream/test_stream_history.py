"""Workers tell how the stream has been doing: their samples over HTTP, of a killed one too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.clock import isoformat, system_clock
from nova_stream.events.change import Entity
from tests.integration.api.conftest import connected
from tests.integration.storage.chunks import value_of
from tests.integration.stream.harness import Stage, until

pytestmark = [pytest.mark.integration, pytest.mark.long]

RECORDS = 3000
DAY = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}


@pytest.fixture
async def client(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(stage.settings)
    async with app.router.lifespan_context(app), connected(app) as found:
        yield found


async def history(client: httpx.AsyncClient, **more: str) -> list[dict[str, Any]]:
    start = isoformat(system_clock() - timedelta(minutes=5))
    params = {"from": start, "bucket": "1m", **more}
    response = await client.get("/api/v1/stream/history", params=params)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def applied_in(client: httpx.AsyncClient) -> int:
    return sum(int(item["applied"]) for item in await history(client))


async def test_what_workers_did_is_in_the_history(stage: Stage, client: httpx.AsyncClient) -> None:
    async def applied() -> bool:
        return await applied_in(client) >= RECORDS

    worker = stage.start_worker()
    now = round(system_clock().timestamp() * 1000)
    values = (value_of({"id": f"t{n}", "status": "done"}, seq=1, ts_ms=now) for n in range(RECORDS))
    stage.publish(Entity.TASKS, *values)
    await stage.caught_up()
    await until("the worker's sample", applied)
    # One that is killed leaves what it stored; another goes on.
    worker.process.kill()
    worker.process.wait()
    stage.workers.remove(worker)
    stage.publish(Entity.TASKS, value_of({"id": "last", "status": "done"}, seq=1))
    other = stage.start_worker()
    await stage.row("tasks", "last")

    async def both() -> bool:
        return await applied_in(client) == RECORDS + 1

    await until("the other worker's sample", both)
    other.must_run()
    workers = await stage.fetch("SELECT count(DISTINCT worker) AS number FROM stream_samples")
    assert workers[0]["number"] == 2
    known = [item for item in await history(client) if item["seconds"]]
    assert known[-1]["lag"] == 0
    assert all(item["freshnessMaxMs"] > 0 for item in known if item["freshnessMaxMs"] is not None)
    assert any(item["freshnessP99Ms"] is not None for item in known)


async def test_the_range_is_as_other_ranges_are(client: httpx.AsyncClient) -> None:
    items = await history(client)
    assert 5 <= len(items) <= 6
    assert all(item["seconds"] == 0 and item["lag"] is None for item in items)
    for params, name in (
        ({}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}, "bucket"),
        ({**DAY, "zone": "Mars"}, "zone"),
        ({**DAY, "limit": "1"}, "limit"),
    ):
        response = await client.get("/api/v1/stream/history", params=params)
        assert response.status_code == 422, params
        assert name in response.json()["detail"]
