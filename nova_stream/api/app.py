"""The application: the one place where the API is wired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from nova_stream.api import pages, problems
from nova_stream.api.answer_headers import AnswerHeaders
from nova_stream.api.auth.rate_limit import RateLimit
from nova_stream.api.auth.stored_tokens import StoredTokens
from nova_stream.api.auth.tokens import Tokens
from nova_stream.api.auth.trail import Trail
from nova_stream.api.auth.trailed import TrailMiddleware
from nova_stream.api.budget.budget import EVENTS
from nova_stream.api.budget.room import Rooms
from nova_stream.api.budget.spending import Budgets
from nova_stream.api.coalescing import KeptAnswer, SingleFlight
from nova_stream.api.compression import Compressor
from nova_stream.api.convex.backend import Backend
from nova_stream.api.database import CONNECTIONS, Database
from nova_stream.api.fast_path import FastPath
from nova_stream.api.head import HeadAsGet
from nova_stream.api.lazy import Lazy
from nova_stream.api.live.broadcaster import Broadcaster
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.middleware import Guard, RequestMiddleware, SizeLimit
from nova_stream.api.openapi.responses import schemas
from nova_stream.api.paths import ExactPaths
from nova_stream.api.positions import PositionWatch, PresentTopics
from nova_stream.api.postgres_watch import PostgresWatch
from nova_stream.api.request_encoding import RequestEncoding
from nova_stream.api.routes import (
    alerts,
    comparison,
    convex,
    dead_letters,
    engagement,
    entities,
    events,
    explain,
    health,
    history,
    jobs,
    lists,
    runs,
    search,
    series,
    slowest,
    stats,
    status,
    stream,
    trail,
)
from nova_stream.api.state import ApiServices
from nova_stream.api.stream_watch import StreamWatch
from nova_stream.api.tracing import TracingMiddleware
from nova_stream.clock import system_clock
from nova_stream.jobs import registry
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.kafka.probe import KafkaProbe
from nova_stream.publish.interface import Publisher
from nova_stream.publish.publisher import ChangePublisher
from nova_stream.settings import Settings
from nova_stream.tracing import tracer_of

_SOURCE = "http-api"
_DESCRIPTION = (
    "Statistics of agents and builds, right at every instant. Reads take `?after=TOKEN` with a "
    "token that publishing gave, and then show it. Errors are problem details (RFC 9457)."
)

#: A fixed path goes before one with a name in its place.
ROUTES = (
    stats,
    explain,
    history,
    engagement,
    series,
    slowest,
    lists,
    entities,
    search,
    jobs,
    runs,
    alerts,
    comparison,
    dead_letters,
    status,
    stream,
    events,
    health,
    convex,
    trail,
)

#: Answers' headers that a page of another origin has a use for, and the seconds for which its
#: browser need not ask again.
_SHOWN, _CORS_S = ("ETag", "Location", "Retry-After", "WWW-Authenticate"), 600

#: Gives a publisher that has been started.
PublisherFactory = Callable[[], Awaitable[Publisher]]


def create_app(settings: Settings, *, publisher: PublisherFactory | None = None) -> FastAPI:
    """The API on these settings; it connects to Postgres and Kafka when a request needs them.

    ``publisher`` replaces the one to Kafka (tests). What it opened is closed by the application's
    lifespan. Raises SettingsError for tokens that cannot be read.
    """
    services = _wire(settings, publisher or _to_kafka(settings))
    app = FastAPI(
        title="nova-stream",
        version=version("nova-stream"),
        description=_DESCRIPTION,
        openapi_url=None,  # among the pages
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services),
        # Its own spans tell addresses, which may hold a token; Traced makes ours.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    problems.install(app)
    for routes in ROUTES:
        # As they are: include_router would work each out again, for 0.1 s of the first request.
        app.router.routes.extend(routes.router.routes)
    pages.install(app)
    _surround(app, settings, services)
    _describe(app)
    return app


def _surround(app: FastAPI, settings: Settings, services: ApiServices) -> None:
    """Add what stands around the routes, innermost first."""
    app.add_middleware(FastPath, ways=stats.fast_paths(), reads=services.reads)
    app.add_middleware(Budgets, rooms=services.rooms)
    app.add_middleware(Compressor)
    paths = [route.path for routes in ROUTES for route in routes.router.routes]
    app.add_middleware(ExactPaths, routes=paths)
    app.add_middleware(RequestEncoding)
    app.add_middleware(SizeLimit, limit=EVENTS.body)
    rate = RateLimit(settings.api_rate, settings.api_burst)
    origins = settings.api_cors_origins
    app.add_middleware(Guard, tokens=services.tokens, rate=rate, origins=set(origins) - {"*"})
    app.add_middleware(TrailMiddleware, trail=services.trail)
    app.add_middleware(RequestMiddleware, metrics=services.metrics)
    if origins:
        # Tokens go into a header, never into a cookie, so that no page gets a visitor's rights
        # without asking: credentials are not allowed.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST"),
            allow_headers=("*",),
            allow_credentials=False,
            expose_headers=_SHOWN,
            max_age=_CORS_S,
        )
    app.add_middleware(AnswerHeaders)
    tracer = tracer_of(settings)
    if tracer is not None:
        app.add_middleware(TracingMiddleware, tracer=tracer)
    # Outside of all that tell a request's route, which its copy has.
    app.add_middleware(HeadAsGet)


def _wire(settings: Settings, publisher: PublisherFactory) -> ApiServices:
    postgres = PostgresWatch(settings)
    database = Database(settings, watch=postgres)
    rooms = Rooms.usual(CONNECTIONS)
    metrics = ApiMetrics()
    # Of its own, so that no read, however slow, keeps anybody from being told what is allowed.
    guard = Database(settings, size=2, watch=postgres)
    tokens = Tokens(settings, StoredTokens(guard))
    lazy = Lazy(publisher, _close)
    kafka = KafkaProbe(settings)
    watch = PositionWatch(database, PresentTopics(kafka.topics, settings.topics()))
    return ApiServices(
        rooms=rooms,
        unregistered=KeptAnswer(partial(health.count_unregistered, database)),
        tokens=tokens,
        guard=guard,
        trail=Trail(guard),
        database=database,
        postgres=postgres,
        publisher=lazy,
        watch=watch,
        kafka=kafka,
        metrics=metrics,
        settings=settings,
        ledger=Ledger(settings, registry.JOBS, system_clock, "api"),
        stream=StreamWatch(settings, database),
        changes=Broadcaster(database, metrics, settings.api_streams, tokens),
        reads=SingleFlight(database, rooms),
        convex=Backend(settings, database, lazy, watch),
        archive=asyncio.Semaphore(1),
    )


def _to_kafka(settings: Settings) -> PublisherFactory:
    async def start() -> Publisher:
        publisher = ChangePublisher(settings, source_name=_SOURCE)
        await publisher.start()
        return publisher

    return start


async def _close(publisher: Publisher) -> None:
    await publisher.close()


def _lifespan(services: ApiServices) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        services.postgres.start()
        try:
            yield
        finally:
            await services.changes.close()
            await services.unregistered.close()
            await services.convex.close()
            await services.watch.close()
            await services.tokens.close()
            services.ledger.close()
            await services.kafka.close()
            await services.stream.close()
            await services.publisher.close()
            await services.trail.close()
            await services.guard.close()
            await services.database.close()
            await services.postgres.close()

    return lifespan


def _name_jobs(document: dict[str, Any]) -> None:
    """Say in every path of a job which jobs there are."""
    for path, operations in document["paths"].items():
        if "/jobs/{name}" in path:
            for operation in operations.values():
                for parameter in operation["parameters"]:
                    if parameter["name"] == "name":
                        parameter["schema"]["enum"] = registry.job_names()


def _describe(app: FastAPI) -> None:
    """Add the schemas of our own answers to the OpenAPI document."""
    made = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            components = document.setdefault("components", {})
            components["schemas"] = schemas()
            _name_jobs(document)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]
