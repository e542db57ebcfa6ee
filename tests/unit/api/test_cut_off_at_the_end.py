"""Requests that the server cancels, since its time is up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.middleware import RequestMiddleware

_HEAD = {"type": "http.response.start", "status": 200, "headers": []}


async def cancelled(method: str, *, begun: bool) -> tuple[list[dict[str, Any]], ApiMetrics]:
    """What a cancelled request was answered, the first part by its route where it had begun."""
    sent: list[dict[str, Any]] = []
    metrics, waits = ApiMetrics(), asyncio.Event()

    async def route(_scope: Any, _receive: Any, send: Any) -> None:
        if begun:
            await send(_HEAD)
        waits.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/", "headers": [], "query_string": b""}
    app: Any = RequestMiddleware(route, metrics)
    request = asyncio.create_task(app(scope, None, send))
    await waits.wait()
    request.cancel("the server stops")
    await request
    return sent, metrics


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("GET", "stopping; try again."),
        ("HEAD", "stopping; try again."),
        ("POST", "stopping; look whether this was done before you try again."),
    ],
)
async def test_it_is_answered_that_the_server_stops(method: str, told: str) -> None:
    (head, body), metrics = await cancelled(method, begun=False)
    assert head["status"] == 503
    assert (b"retry-after", b"5") in head["headers"]
    assert told in body["body"].decode()
    assert metrics.requests.labels("(none)", "(none)", 503)._value.get() == 1


async def test_an_answer_that_has_begun_is_left_as_it_is() -> None:
    sent, metrics = await cancelled("GET", begun=True)
    assert sent == [_HEAD]
    assert metrics.requests.labels("(none)", "(none)", 200)._value.get() == 1
