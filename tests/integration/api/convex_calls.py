"""Calls of the main app's functions, as its clients make them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from nova_stream.api.app import create_app
from nova_stream.testing.servers import fresh_database
from tests.integration.stream.harness import Stage, open_stage, until
from tests.programs import environment_of

from .conftest import connected

READS = "SELECT FROM stream_positions"


class RefusedError(Exception):
    """A function's refusal; ``text`` is the short one."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(body["errorMessage"])
        self.text: str = body["error"]


class App:
    """The main app, as far as it calls its backend."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def query(self, path: str, **args: Any) -> Any:
        return await self._call("query", path, args)

    async def mutate(self, path: str, **args: Any) -> Any:
        return await self._call("mutation", path, args)

    async def _call(self, kind: str, path: str, args: dict[str, Any]) -> Any:
        response = await self.client.post(f"/api/{kind}", json={"path": path, "args": args})
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        if body["status"] == "error":
            assert body.keys() == {"status", "errorMessage", "success", "error"}
            assert body["success"] is False
            raise RefusedError(body)
        assert body.keys() == {"status", "value", "success", "result"}
        assert (body["status"], body["success"]) == ("success", True)
        assert body["value"] == body["result"]
        return body["value"]


@contextmanager
def running_stage(kafka: str, postgres: str, folder: Path) -> Iterator[Stage]:
    """A stage whose worker runs, on a database of its own."""
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with fresh_database(postgres) as database, open_stage(kafka, database, prefix, folder) as stage:
        stage.start_worker()
        asyncio.run(until("the worker reads", lambda: stage.fetch(READS)))
        yield stage


@asynccontextmanager
async def calling(stage: Stage) -> AsyncIterator[App]:
    """The main app on an API of this process."""
    api = create_app(stage.settings)
    async with api.router.lifespan_context(api), connected(api) as client:
        yield App(client)


@contextmanager
def serving(stage: Stage, folder: Path, **settings: str) -> Iterator[str]:
    """An API process on a stage's servers; its address. ``settings`` are environment variables
    without their NOVA_.
    """
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "nova_stream.cli.main", "api", "--port", "0"],
            env=environment_of(stage.settings, **settings),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        yield next(word for word in words if word.startswith("http://"))
    finally:
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
