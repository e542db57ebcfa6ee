"""The API in this process, on a database of its own, as its own role, with a publisher that sends
nowhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from nova_stream.api import postgres_watch
from nova_stream.api.app import create_app
from nova_stream.settings import Settings, load_settings
from nova_stream.storage.migrate import migrate
from nova_stream.testing.fake_publisher import FakeChangePublisher
from nova_stream.testing.servers import fresh_database


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with other tests is not a Postgres that does not answer."""
    monkeypatch.setattr(postgres_watch, "_LIMIT_S", 20.0)


@pytest.fixture
def publisher() -> FakeChangePublisher:
    return FakeChangePublisher()


@pytest.fixture(scope="session")
def migrated_template(nova_postgres: str) -> Iterator[str]:
    """As for all integration tests, and with the roles."""
    with fresh_database(nova_postgres) as url:
        asyncio.run(migrate(load_settings(database_url=url), with_roles=True))
        yield urlsplit(url).path.removeprefix("/")


def as_api(settings: Settings) -> Settings:
    """The same database for ``nova_api``, which may do what the API needs and nothing else."""
    url = f"{settings.database_url.get_secret_value()}?options=-c%20role%3Dnova_api"
    return load_settings(database_url=url, topic_prefix=settings.topic_prefix)


@pytest.fixture
async def client(
    nova_settings: Settings, publisher: FakeChangePublisher
) -> AsyncIterator[httpx.AsyncClient]:
    async def start() -> FakeChangePublisher:
        return publisher

    app = create_app(as_api(nova_settings), publisher=start)
    async with app.router.lifespan_context(app), connected(app) as found:
        yield found


def connected(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    """A client of ``app`` as a program on this machine is one."""
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers)
