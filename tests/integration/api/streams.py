"""Reading streams of changes: a server that listens, a reader of server-sent events, and a Postgres
that can be away.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg
import httpx
import uvicorn
from fastapi import FastAPI

from nova_stream.api.server import Server
from nova_stream.settings import Settings

#: Seconds that anything may take.
LIMIT = 15.0


class Event(NamedTuple):
    id: str | None
    name: str
    data: Any


@asynccontextmanager
async def listening(app: FastAPI, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of ``app`` over a socket: an answer can be read while it is made."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = Server(config, app.state.services)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=LIMIT) as client:
            yield client
    finally:
        app.state.services.changes.end()
        server.should_exit = True
        await asyncio.wait_for(task, LIMIT)


class Stream:
    """An open stream, read event by event."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.comments = 0

    async def next(self) -> Event:
        """The next event; raises StopAsyncIteration at the end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(LIMIT):
            while True:
                line = await anext(self._lines)
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    return Event(fields.get("id"), fields["event"], json.loads(fields["data"]))
                else:
                    fields = {}

    async def until(self, name: str, **members: Any) -> Event:
        """The next event of this name whose data has these members."""
        while True:
            event = await self.next()
            if event.name == name and members.items() <= event.data.items():
                return event

    async def picture(self) -> list[Event]:
        """The events up to the ``snapshot``, with it."""
        events = [await self.next()]
        while events[-1].name != "snapshot":
            events.append(await self.next())
        return events


@asynccontextmanager
async def stream(
    client: httpx.AsyncClient, query: str = "", **headers: str
) -> AsyncIterator[Stream]:
    """``GET /stream``, open for the duration of the block."""
    async with client.stream("GET", f"/api/v1/stream{query}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response.aiter_lines())


@asynccontextmanager
async def postgres_for(settings: Settings) -> AsyncIterator[Callable[[bool], Awaitable[None]]]:
    """A switch: whether the database takes connections; those that it has are cut."""
    url = settings.database_url.get_secret_value()
    name = urlsplit(url).path.removeprefix("/")
    other = await asyncpg.connect(url, database="postgres")

    async def allow(allowed: bool) -> None:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {allowed}')
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )

    try:
        yield allow
    finally:
        await allow(True)
        await other.close()
