"""Limits of requests, and answers that are not sent twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from nova_stream.api.app import create_app
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.database import Connection
from nova_stream.storage.stats import read

from .conftest import connected
from .streams import LIMIT, listening

pytestmark = pytest.mark.integration

ApplyLines = Callable[[Iterable[dict[str, Any]]], Awaitable[None]]

STATS = ("/api/v1/agents/stats", "/api/v1/builds/stats", "/api/v1/overview")


@asynccontextmanager
async def serving(settings: Settings, **changed: Any) -> AsyncIterator[httpx.AsyncClient]:
    url = settings.database_url.get_secret_value()
    app = create_app(load_settings(database_url=url, **changed))
    async with app.router.lifespan_context(app), connected(app) as client:
        yield client


async def test_a_caller_that_asks_too_often_is_told_when_to_go_on(
    nova_settings: Settings,
) -> None:
    tokens = "a:read:one,b:read:two"
    async with serving(nova_settings, api_tokens=tokens, api_rate=0.5, api_burst=3) as client:
        one, two = ({"Authorization": f"Bearer {secret}"} for secret in ("one", "two"))
        found = [await client.get(STATS[2], headers=one) for _ in range(4)]
        assert [answer.status_code for answer in found] == [200, 200, 200, 429]
        problem = found[-1].json()
        assert problem["type"] == "urn:nova-stream:too-many-requests"
        assert 1 <= int(found[-1].headers["retry-after"]) <= 2
        assert (await client.get(STATS[2], headers=two)).status_code == 200
        assert (await client.get("/health/live")).status_code == 200
        unknown = [(await client.get(STATS[2])).status_code for _ in range(4)]
        assert unknown == [401, 401, 401, 429]  # guesses are counted by address


async def test_the_limit_can_be_off(nova_settings: Settings) -> None:
    async with serving(nova_settings, api_rate=0, api_burst=1) as client:
        assert {(await client.get(STATS[2])).status_code for _ in range(20)} == {200}


async def test_bodies_have_a_size(nova_settings: Settings) -> None:
    async with listening(create_app(nova_settings)) as client:
        long = b" " * (1024 * 1024 + 1)

        async def parts() -> AsyncIterator[bytes]:
            yield long

        for content in (long, parts()):
            response = await client.post("/api/v1/jobs/healthCheck/run", content=content)
            assert response.status_code == 413
            assert response.json()["type"] == "urn:nova-stream:too-large"


async def test_headers_have_a_size(nova_settings: Settings) -> None:
    async with listening(create_app(nova_settings)) as client:
        address = client.base_url
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ")
        with contextlib.suppress(ConnectionError):  # it is closed while this is sent
            for _ in range(100):
                writer.write(b"x" * 65536)
                await asyncio.wait_for(writer.drain(), 5)
            pytest.fail("6 MB of headers were taken")
        writer.close()
        assert (await client.get("/health/live")).status_code == 200
        del reader


@pytest.mark.parametrize("path", STATS)
async def test_what_one_has_already_is_not_sent_again(
    nova_settings: Settings, apply_lines: ApplyLines, path: str
) -> None:
    await apply_lines([{"entity": "agents", "after": {"id": "a1", "name": "MARS"}}])
    async with serving(nova_settings) as client:
        first = await client.get(path)
        etag = first.headers["etag"]
        assert first.headers["cache-control"] == "private, no-cache"
        assert "authorization" in first.headers["vary"].lower()
        for given in (etag, etag.removeprefix("W/"), f'"other", {etag}', "*"):
            again = await client.get(path, headers={"If-None-Match": given})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == etag
        await apply_lines(
            [
                {"entity": "agents", "seq": 9, "after": {"id": "a2", "name": "VENUS"}},
                {"entity": "builds", "seq": 9, "after": {"id": "b1", "status": "running"}},
            ]
        )
        changed = await client.get(path, headers={"If-None-Match": etag})
        assert changed.status_code == 200
        assert changed.headers["etag"] != etag


async def test_a_read_is_the_same_with_and_without_parameters(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    await apply_lines([{"entity": "agents", "after": {"id": "a1", "name": "MARS"}}])
    async with serving(nova_settings) as client:
        for path in STATS:  # without any, it takes a shorter way
            short, ordinary = await client.get(path), await client.get(f"{path}?timeout=1")
            assert short.content == ordinary.content
            for header in ("etag", "cache-control", "vary", "content-type"):
                assert short.headers[header] == ordinary.headers[header]
            assert (await client.post(path)).status_code == 405
        text = (await client.get("/metrics")).text
        for path in STATS:
            line = f'nova_api_requests_total{{method="GET",route="{path}",status="200"}} 2.0'
            assert line in text


async def test_large_answers_are_compressed_and_streams_are_not(
    nova_settings: Settings, apply_lines: ApplyLines
) -> None:
    agents = [{"id": f"a{n}", "name": f"AGENT-{n}"} for n in range(50)]
    await apply_lines([{"entity": "agents", "after": agent} for agent in agents])
    headers = {"Accept-Encoding": "gzip"}
    async with listening(create_app(nova_settings)) as client:
        large = await client.get(STATS[0], headers=headers)
        assert large.headers["content-encoding"] == "gzip"
        assert {"authorization", "accept-encoding"} <= {
            part.strip().lower() for part in large.headers["vary"].split(",")
        }
        assert len(large.json()["items"]) == 50
        plain = await client.get(STATS[0], headers={"Accept-Encoding": "identity"})
        assert plain.headers["etag"] == large.headers["etag"]
        small = await client.get(STATS[2], headers=headers)
        assert "content-encoding" not in small.headers
        async with client.stream("GET", "/api/v1/stream", headers=headers) as response:
            assert "content-encoding" not in response.headers


async def test_reads_share_a_query_only_with_those_who_asked_before_it(
    nova_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: asyncio.Queue[asyncio.Event] = asyncio.Queue()
    original = read.overview

    async def slow(connection: Connection) -> Any:
        found = await original(connection)
        goes_on = asyncio.Event()
        begun.put_nowait(goes_on)
        await goes_on.wait()
        return found

    monkeypatch.setattr(read, "overview", slow)
    async with serving(nova_settings) as client:
        first = asyncio.create_task(client.get(STATS[2]))
        goes_on = await asyncio.wait_for(begun.get(), LIMIT)
        others = [asyncio.create_task(client.get(STATS[2])) for _ in range(10)]
        await asyncio.sleep(0.2)  # all of them have asked
        goes_on.set()
        await first
        goes_on = await asyncio.wait_for(begun.get(), LIMIT)
        assert not any(task.done() for task in others)
        goes_on.set()
        answers = await asyncio.gather(*others)
        assert {answer.status_code for answer in answers} == {200}
        assert begun.empty()
