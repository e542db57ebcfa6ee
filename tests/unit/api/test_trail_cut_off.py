"""What is cut off leaves its line, too: by whoever stops the server, or by the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from starlette.requests import ClientDisconnect

from nova_stream.api.auth.access import ACCESS, Access
from nova_stream.api.auth.tokens import Caller, Tokens
from nova_stream.api.auth.trailed import TrailMiddleware
from nova_stream.settings import load_settings

from .test_trail import Store

ROUTES = {"publish": "POST /api/v1/events", "admin": "POST /api/v1/jobs/{name}/pause"}


class Route:
    """Something that takes long, and may take long to let go."""

    path = ""

    def __init__(self, right: str) -> None:
        self.right = right
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()
        self.hangs = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        del send
        access = Access(Tokens(load_settings(api_token=None, api_tokens="a:read:b")), "b")
        access.caller = Caller("app", frozenset({self.right}))
        access.acts = frozenset({self.right})
        access.about = "changes"
        access.changed.update(tasks=2)
        scope[ACCESS] = access
        scope["route"] = self
        self.path = ROUTES[self.right].split()[1]
        self.begun.set()
        if (await receive())["type"] == "http.disconnect":
            raise ClientDisconnect
        try:
            await self.go_on.wait()
        finally:
            while self.hangs:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    continue


class Server:
    """A server with one request under way."""

    def __init__(self, right: str) -> None:
        self.store = Store()
        self.trail = self.store.trail()
        self.route = Route(right)
        self.message = {"type": "http.request"}

    async def start(self) -> asyncio.Task[None]:
        async def receive() -> Any:
            return self.message

        async def send(_message: Any) -> None:
            pytest.fail("nobody answers")

        app = TrailMiddleware(cast("Any", self.route), self.trail)
        scope = {"type": "http", "method": "POST", "path": "/", "client": ("192.0.2.1", 1)}
        task = asyncio.create_task(app(scope, receive, send))
        await self.route.begun.wait()
        return task

    async def told(self) -> list[tuple[str, str | None, str, int]]:
        await self.trail.close()
        return [
            (line.action, line.object, line.outcome, line.requests) for line in self.store.lines
        ]


@pytest.fixture(params=ROUTES)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    yield Server(request.param)


def one_line(server: Server) -> list[tuple[str, str | None, str, int]]:
    return [(ROUTES[server.route.right], "changes: tasks 2", "cut off", 1)]


async def test_a_request_that_is_cancelled_leaves_a_line(server: Server) -> None:
    task = await server.start()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await server.told() == one_line(server)


async def test_a_client_that_leaves_leaves_a_line(server: Server) -> None:
    server.message = {"type": "http.disconnect"}
    with pytest.raises(ClientDisconnect):
        await (await server.start())
    assert await server.told() == one_line(server)


async def test_a_request_that_lets_go_later_than_the_server_ends_leaves_one_line(
    server: Server,
) -> None:
    server.route.hangs = True
    task = await server.start()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert await server.told() == one_line(server)
    server.route.hangs = False
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await server.told() == one_line(server)
