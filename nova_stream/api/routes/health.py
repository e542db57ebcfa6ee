"""Whether it lives, whether it can work, and its numbers."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from nova_stream.api.auth.access import needs
from nova_stream.api.budget.budget import MB, PROBE, Budget, within
from nova_stream.api.metrics import CONTENT_TYPE
from nova_stream.api.openapi.responses import Live, Ready, answer, answers, described_problems
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import Parts, PartsOf
from nova_stream.errors import NovaStreamError, SchemaVersionError
from nova_stream.storage.database import DATABASE_ERRORS, State, is_away, state_of

router = APIRouter(tags=["operation"])

_OK = "ok"
_AWAY: dict[State, str] = {"silent": "away: no answer", "refusing": "away"}


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
async def ready(parts: PartsOf) -> Response:
    """Whether Postgres and Kafka answer and the schema is this version's. Names that have tasks or
    executions and no registered agent are counted here, too.
    """
    database, schema, unregistered = await _database(parts)
    checks = {"database": database, "schema": schema, "kafka": await _kafka(parts)}
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
async def metrics(parts: PartsOf) -> Response:
    """The API's own numbers, for Prometheus."""
    return Response(parts.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


async def _database(parts: Parts) -> tuple[str, str, int]:
    try:
        return _OK, _OK, await parts.unregistered.get()
    except SchemaVersionError:
        return _OK, "not this version's (run: nova-stream migrate)", 0
    except DATABASE_ERRORS as error:
        if not is_away(error):
            raise
        return _AWAY[state_of(error)], "unknown", 0


async def _kafka(parts: Parts) -> str:
    try:
        await parts.kafka.check()
    except NovaStreamError:
        return _AWAY[parts.kafka.state]
    return _OK
