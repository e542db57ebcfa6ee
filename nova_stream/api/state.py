"""What the routes work with, wired once by ``create_app``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from nova_stream.api.auth.tokens import Tokens
from nova_stream.api.auth.trail import Trail
from nova_stream.api.budget.room import Rooms
from nova_stream.api.coalescing import KeptAnswer, SingleFlight
from nova_stream.api.convex.backend import Backend
from nova_stream.api.database import Database
from nova_stream.api.lazy import Lazy
from nova_stream.api.live.broadcaster import Broadcaster
from nova_stream.api.metrics import ApiMetrics
from nova_stream.api.positions import PositionWatch
from nova_stream.api.postgres_watch import PostgresWatch
from nova_stream.api.stream_watch import StreamWatch
from nova_stream.jobs.engine.ledger import Ledger
from nova_stream.kafka.probe import KafkaProbe
from nova_stream.publish.interface import Publisher
from nova_stream.settings import Settings

PREFIX = "/api/v1"


@dataclass(frozen=True)
class ApiServices:
    """What one API works with."""

    rooms: Rooms
    unregistered: KeptAnswer[int]
    tokens: Tokens
    #: The connections that access is decided with.
    guard: Database
    trail: Trail
    database: Database
    postgres: PostgresWatch
    publisher: Lazy[Publisher]
    watch: PositionWatch
    kafka: KafkaProbe
    metrics: ApiMetrics
    settings: Settings
    ledger: Ledger
    stream: StreamWatch
    changes: Broadcaster
    reads: SingleFlight
    convex: Backend
    #: Whose turn it is with the archive.
    archive: asyncio.Semaphore


def services_of(request: Request) -> ApiServices:
    """What the API that serves ``request`` works with."""
    return cast("ApiServices", request.app.state.services)


async def _services(request: Request) -> ApiServices:
    return services_of(request)


#: A route's parameter.
Services = Annotated[ApiServices, Depends(_services)]
