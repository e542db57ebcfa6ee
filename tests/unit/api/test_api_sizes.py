"""What a request brings beside its body is bounded, and pages are read and packed once for all."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from nova_stream.api.app import ROUTES, create_app
from nova_stream.api.budget.budget import KB, UNDECLARED
from nova_stream.api.own_writes import own_writes
from nova_stream.settings import load_settings
from tests.unit.api.test_api_app import NOWHERE, connect
from tools.limits_page import budget_of, budgets_of

TOKEN = {"Authorization": "Bearer all"}
ALL = [route for module in ROUTES for route in module.router.routes]
BUDGETS = budgets_of(ALL)
READS = [name.removeprefix("GET ") for name in BUDGETS if name.startswith("GET ")]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(load_settings(**NOWHERE, api_token="all"))
    async with connect(app, "http://nova.example") as found:
        yield found


def kind(answer: httpx.Response) -> str:
    return str(answer.json()["type"].rpartition(":")[2])


def filled(path: str) -> str:
    return path.replace("{runId}", "1").replace("{id}", "1").replace("{name}", "MARS")


async def test_a_long_query_is_refused_by_every_route(client: httpx.AsyncClient) -> None:
    for path in READS:
        for query in (f"q={'n,' * 3000}", "&".join(f"x={n}" for n in range(2000))):
            answer = await client.get(f"{filled(path)}?{query}", headers=TOKEN)
            assert (answer.status_code, kind(answer)) == (422, "query-too-large"), path


async def test_a_position_token_may_be_long_where_one_is_taken(client: httpx.AsyncClient) -> None:
    for path in READS:
        answer = await client.get(f"{filled(path)}?after={'A' * 40_000}", headers=TOKEN)
        refused = answer.status_code == 422 and kind(answer) == "query-too-large"
        if BUDGETS[f"GET {path}"].token:
            assert not refused, path
        else:
            assert answer.status_code == 422, path
    waiting = [
        route for route in ALL if isinstance(route, APIRoute) and own_writes in route.dependencies
    ]
    assert waiting
    for route in waiting:
        budget = budget_of(route)
        assert budget is not None
        assert budget.token, route.path


@pytest.mark.parametrize("count_and_size", [(120, 1), (9, 2000), (1, 17_000)])
async def test_many_or_long_headers_are_refused_everywhere(
    client: httpx.AsyncClient, count_and_size: tuple[int, int]
) -> None:
    count, size = count_and_size
    headers = {**TOKEN, **{f"X-{number}": "v" * size for number in range(count)}}
    for path in [*READS, "/", "/openapi.json", "/static/app.js", "/nothing"]:
        answer = await client.get(filled(path), headers=headers)
        assert (answer.status_code, kind(answer)) == (431, "headers-too-large"), path


async def test_two_lengths_of_a_body_are_refused_everywhere(client: httpx.AsyncClient) -> None:
    headers = {**TOKEN, "Content-Length": "1", "Transfer-Encoding": "chunked"}
    for name in (*BUDGETS, "GET /", "POST /nothing", "POST /c/x/api/query"):
        method, path = name.split(" ")
        answer = await client.request(method, filled(path), headers=headers, content=b"[]")
        assert (answer.status_code, kind(answer)) == (400, "two-lengths"), name
        assert answer.headers["connection"] == "close"


async def test_a_stream_takes_a_hundred_names(client: httpx.AsyncClient) -> None:
    names = ",".join(f"n{number}" for number in range(101))
    answer = await client.get(f"/api/v1/stream?agents={names}", headers=TOKEN)
    assert answer.status_code == 422
    assert "101 names; a stream takes at most 100" in answer.json()["detail"]


async def test_a_stream_keeps_no_query() -> None:
    app = create_app(load_settings(**NOWHERE, api_token="all"))
    names = b",".join(b"n%d" % number for number in range(100))
    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/api/v1/stream",
        "query_string": b"agents=" + names,
        "headers": [(b"host", b"x"), (b"authorization", b"Bearer all")],
    }
    began, left = asyncio.Event(), asyncio.Event()

    async def send(message: Any) -> None:
        assert message.get("status", 200) == 200
        if message["type"] == "http.response.body":
            began.set()

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async with app.router.lifespan_context(app):
        streaming = asyncio.create_task(app(scope, receive, send))
        await asyncio.wait_for(began.wait(), 10)
        assert scope["query_string"] == b""
        left.set()
        await streaming


PAGES = ["/", "/docs", "/openapi.json", "/static/app.js", "/static/swagger/swagger-ui-bundle.js"]


async def test_a_page_is_packed_once_and_the_same_bytes_for_all(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {}
    for path in PAGES:
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert plain.content == packed.content
        assert "content-encoding" not in plain.headers
        assert packed.headers["vary"] == "Accept-Encoding"
        assert plain.headers["etag"] == packed.headers["etag"]
        known[path] = known[path.replace("c/", "c/././")] = known[f"{path}?{path}"] = plain.content

    def again(*_: Any, **__: Any) -> bytes:
        raise AssertionError("packed again")

    monkeypatch.setattr(gzip, "compress", again)
    for path, content in known.items():
        answer = await client.get(path, headers={"Accept-Encoding": "gzip"})
        assert (answer.status_code, answer.content) == (200, content), path


async def test_pages_take_none_of_the_room_of_requests() -> None:
    """However many take their time to read them: the bytes are there once."""
    app = create_app(load_settings(**NOWHERE, api_token="all"))
    held = []

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        held.append(app.state.services.rooms.working.held)

    for path in PAGES:
        await app(
            {
                "type": "http",
                "method": "GET",
                "path": path,
                "query_string": b"",
                "headers": [(b"host", b"x")],
                "http_version": "1.1",
            },
            receive,
            send,
        )
    assert set(held) == {0}
    assert not UNDECLARED.memory
    assert UNDECLARED.answer == 4096 * KB
