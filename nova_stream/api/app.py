"""The application: the one place where the API is wired."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from nova_stream.api import pages, problems
from nova_stream.api.answers import schemas
from nova_stream.api.database import Database
from nova_stream.api.kafka import KafkaProbe
from nova_stream.api.lazy import Lazy
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.middleware import OpenGuard, Outermost
from nova_stream.api.parts import Parts
from nova_stream.api.positions import PositionWatch
from nova_stream.api.routes import (
    alerts,
    dead_letters,
    events,
    explain,
    health,
    history,
    jobs,
    lists,
    stats,
    status,
)
from nova_stream.api.stream_watch import StreamWatch
from nova_stream.api.tokens import Tokens
from nova_stream.clock import system_clock
from nova_stream.jobs.ledger import Ledger
from nova_stream.jobs.registry import JOBS
from nova_stream.publish.interface import Publisher
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings

_SOURCE = "http-api"
_DESCRIPTION = (
    "Statistics of agents and builds, right at every instant. Reads take `?after=TOKEN` with a "
    "token that publishing gave, and then show it. Errors are problem details (RFC 9457)."
)

#: A fixed path goes before one with a name in its place.
_ROUTES = (
    stats, explain, history, lists, jobs, alerts, dead_letters, status, events, health,
)  # fmt: skip

#: Gives a publisher that has been started.
PublisherFactory = Callable[[], Awaitable[Publisher]]


def create_app(settings: Settings, *, publisher: PublisherFactory | None = None) -> FastAPI:
    """The API on these settings; it connects to Postgres and Kafka when a request needs them.

    ``publisher`` replaces the one to Kafka (tests). What it opened is closed by the application's
    lifespan. Raises SettingsError for tokens that cannot be read.
    """
    parts = _wire(settings, publisher or _to_kafka(settings))
    app = FastAPI(
        title="nova-stream",
        version=version("nova-stream"),
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(parts),
    )
    app.state.parts = parts
    problems.install(app)
    for routes in _ROUTES:
        app.include_router(routes.router)
    pages.install(app)
    if parts.tokens.open:
        app.add_middleware(OpenGuard)
    app.add_middleware(Outermost, metrics=parts.metrics)
    _describe(app)
    return app


def _wire(settings: Settings, publisher: PublisherFactory) -> Parts:
    database = Database(settings)
    return Parts(
        tokens=Tokens(settings),
        database=database,
        publisher=Lazy(publisher, _close),
        watch=PositionWatch(database),
        kafka=KafkaProbe(settings),
        metrics=ApiMetrics(),
        settings=settings,
        ledger=Ledger(settings, JOBS, system_clock, "api"),
        stream=StreamWatch(settings, database),
    )


def _to_kafka(settings: Settings) -> PublisherFactory:
    async def start() -> Publisher:
        publisher = ChangePublisher(settings, source_name=_SOURCE)
        await publisher.start()
        return publisher

    return start


async def _close(publisher: Publisher) -> None:
    await publisher.close()


def _lifespan(parts: Parts) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            parts.ledger.close()
            await parts.publisher.close()
            await parts.database.close()

    return lifespan


def _describe(app: FastAPI) -> None:
    """Add the schemas of our own answers to the OpenAPI document."""
    made = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            components = document.setdefault("components", {})
            components["schemas"] = schemas()
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
