"""The API in this process, on a database of its own, with a publisher that sends nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from nova_stream.api.app import create_app
from nova_stream.settings import Settings
from nova_stream.testing.fake_publisher import FakeChangePublisher


@pytest.fixture
def publisher() -> FakeChangePublisher:
    return FakeChangePublisher()


@pytest.fixture
async def client(
    nova_settings: Settings, publisher: FakeChangePublisher
) -> AsyncIterator[httpx.AsyncClient]:
    async def start() -> FakeChangePublisher:
        return publisher

    app = create_app(nova_settings, publisher=start)
    async with app.router.lifespan_context(app), connected(app) as found:
        yield found


def connected(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A client of ``app`` as a program on this machine is one."""
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)
