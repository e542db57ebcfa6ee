"""Whether it lives, whether it can work, and its numbers."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import MB, PROBE, Budget, within
from nova_stream.api.database import Database
from nova_stream.api.metrics import CONTENT_TYPE
from nova_stream.api.openapi.responses import Live, Ready, answer, answers, described_problems
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import ApiServices, Services
from nova_stream.errors import NovaStreamError, SchemaVersionError
from nova_stream.storage.faults import DATABASE_ERRORS, PostgresState, is_away, state_of
from nova_stream.storage.stats import read

router = APIRouter(tags=["operation"])

_COUNT_LIMIT_S = 2.5

_OK = "ok"
_AWAY: dict[PostgresState, str] = {
    "silent": "away: no answer",
    "refusing": "away",
    "unresolved": "away: name not known",
}


@router.get(
    "/health/live",
    dependencies=[within(PROBE)],
    responses=answers("Live", "It answers.", protected=False),
)
async def live() -> Response:
    """Whether the process answers; asks nobody else."""
    return answer(Live())


@router.get(
    "/health/ready",
    dependencies=[within(PROBE)],
    responses=answers("Ready", "Everything answers.", 503, protected=False),
)
async def ready(services: Services) -> Response:
    """Whether Postgres and Kafka answer and the schema is this version's. Names that have tasks or
    executions and no registered agent are counted here, too.
    """
    database, schema, unregistered = await _database(services)
    checks = {"database": database, "schema": schema, "kafka": await _kafka(services)}
    bad = [f"{name} is {found}" for name, found in checks.items() if found != _OK]
    if bad:
        raise ProblemError(503, "not-ready", "; ".join(bad), checks=checks)
    return answer(Ready(checks, unregistered))


@router.get(
    "/metrics",
    dependencies=[needs("metrics", confirm="never"), within(Budget(answer=4 * MB))],
    response_class=PlainTextResponse,
    responses=described_problems(401, 403),
)
async def metrics(services: Services) -> Response:
    """The API's own numbers, for Prometheus."""
    return Response(services.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


async def count_unregistered(database: Database) -> int:
    """How many names have no agent; raises what Postgres' answer was, or TimeoutError after 2.5 s.
    Counting goes over all names.
    """
    async with asyncio.timeout(_COUNT_LIMIT_S), database.brief_look() as connection:
        return await read.count_unregistered(connection)


async def _database(services: ApiServices) -> tuple[str, str, int]:
    try:
        return _OK, _OK, await services.unregistered.get()
    except SchemaVersionError:
        return _OK, "not this version's (run: nova-stream migrate)", 0
    except DATABASE_ERRORS as error:
        if not is_away(error):
            raise
        return _AWAY[state_of(error)], "unknown", 0


async def _kafka(services: ApiServices) -> str:
    try:
        await services.kafka.check()
    except NovaStreamError:
        return _AWAY[services.kafka.state]
    return _OK
