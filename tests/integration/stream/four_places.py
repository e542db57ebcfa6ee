"""The lag as each of those tells it who tell it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.request import urlopen

import httpx

from nova_stream.api.app import create_app
from nova_stream.cli.checks import examine
from nova_stream.cli.finding import Finding
from nova_stream.clock import system_clock
from nova_stream.jobs import registry
from tests.integration.jobs.work import Runs
from tests.integration.stream.harness import Stage, until

_LINE = re.compile(r"^nova_lag_records\{.*\} (\S+)$", re.MULTILINE)


class Told(NamedTuple):
    """The lag by the worker's metric (None without a worker), and by the other three."""

    metric: int | None
    status: int | None
    health: int | None
    doctor: int

    def same(self) -> int | None:
        """The number, if all who can tell say the same."""
        told = {self.status, self.health, self.doctor} | ({self.metric} - {None})
        return told.pop() if len(told) == 1 else None


class Places:
    """Asks all four of one stage."""

    def __init__(self, stage: Stage, client: httpx.AsyncClient) -> None:
        self._stage = stage
        self._client = client

    async def told(self, *, worker: bool = True) -> Told:
        metric = await self._metric() if worker else None
        status = await self.status()
        runs = Runs(self._stage.settings)
        health = (await runs.run(registry.check_health))["lag"]
        number = re.match(r"\d+", (await self.doctor())["lag"].message)
        assert number is not None
        topics = status["topics"]
        assert topics is None or status["lag"] == sum(topic["lag"] for topic in topics)
        return Told(metric, status["lag"], health, int(number[0]))

    async def are(self, lag: int | Callable[[], int], what: str, *, worker: bool = True) -> None:
        """Wait until all four say ``lag``, or what it gives when asked after them."""

        async def look() -> bool:
            told = (await self.told(worker=worker)).same()
            return told == (lag() if callable(lag) else lag)

        await until(f"{what}: the lag is the right one in all places", look, limit=20)

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._client.get("/api/v1/stream/status")).json()
        return found

    async def topics(self) -> dict[str, tuple[int, int, int]]:
        """Of each topic its lag, its partitions, and those in which records wait."""
        topics = (await self.status())["topics"]
        return {t["topic"]: (t["lag"], t["partitions"], t["partitionsWaiting"]) for t in topics}

    async def doctor(self) -> dict[str, Finding]:
        findings = examine(self._stage.settings, system_clock)
        return {finding.check: finding async for finding in findings}

    async def _metric(self) -> int:
        (address,) = {line["address"] for line in self._stage.worker.lines("metrics")}
        page = await asyncio.to_thread(lambda: urlopen(address).read().decode())
        return int(sum(float(found[1]) for found in _LINE.finditer(page)))


@asynccontextmanager
async def places_of(stage: Stage) -> AsyncIterator[Places]:
    """All four places, the API in this process."""
    app = create_app(stage.settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield Places(stage, client)
