"""Statistics over time: a range in buckets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import SERIES, within
from nova_stream.api.openapi.responses import NOT_MODIFIED, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.parameters import in_path_or_query
from nova_stream.api.ranges import Bucket, From, To, Zone, series_of
from nova_stream.api.routes.stats import Unregistered, unknown_agent
from nova_stream.api.state import PREFIX, Services
from nova_stream.storage.database import Connection
from nova_stream.storage.stats import ranges
from nova_stream.storage.stats.range_rows import AgentSeries

router = APIRouter(
    prefix=PREFIX,
    tags=["statistics over time"],
    dependencies=[needs("stats"), within(SERIES), own_writes],
)

_ANSWERS = answers("AgentSeries", "Every bucket of the range.", 404, 504) | NOT_MODIFIED


def _asked(
    start: From = None, to: To = None, bucket: Bucket = "1h", zone: Zone = "UTC"
) -> dict[str, Any]:
    """What every series is asked for."""
    return {"buckets": series_of(start, to, bucket, zone), "bucket": bucket, "zone": zone}


_Asked = Annotated[dict[str, Any], Depends(_asked)]


async def _agent_series(
    connection: Connection, name: str | None, *, unregistered: bool, **asked: Any
) -> AgentSeries:
    found = await ranges.agent_series(connection, name=name, unregistered=unregistered, **asked)
    if found is None:
        raise unknown_agent(unregistered=unregistered)
    return found


@router.get("/agents/series", responses=_ANSWERS)
async def agents_series(
    request: Request,
    services: Services,
    asked: _Asked,
) -> Response:
    """What all agents did together, and every name that is no agent's, in each bucket of a
    range.
    """
    found = await services.reads.get(_agent_series, None, unregistered=False, **asked)
    return found.answer(request)


@in_path_or_query(
    router,
    "/agents/{name:path}/series",
    "/agent/series",
    "The same with the name in the query: for any name.",
    responses=_ANSWERS,
)
async def agent_series(
    request: Request,
    services: Services,
    name: Annotated[str, Field(examples=["ANDROMEDA"])],
    asked: _Asked,
    *,
    unregistered: Unregistered = False,
) -> Response:
    """What one agent did in each bucket of a range, empty ones too. Buckets begin at midnight in
    the time zone and at multiples of their length after it; the range may cut off the first and
    the last.
    """
    if "\x00" in name:  # which Postgres has in no name
        raise unknown_agent(unregistered=unregistered)
    found = await services.reads.get(_agent_series, name, unregistered=unregistered, **asked)
    return found.answer(request)


@router.get(
    "/builds/series",
    responses=answers("BuildSeries", "Every bucket of the range.", 504) | NOT_MODIFIED,
)
async def builds_series(
    request: Request,
    services: Services,
    asked: _Asked,
) -> Response:
    """The builds that ended in each bucket of a range, empty ones too."""
    return (await services.reads.get(ranges.builds_series, **asked)).answer(request)
