"""Which agents got slower."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import AGENTS, within
from nova_stream.api.openapi.responses import NOT_MODIFIED, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.parameters import bad_parameter
from nova_stream.api.ranges import From, To, range_of
from nova_stream.api.routes.stats import Unregistered
from nova_stream.api.state import PREFIX, Services
from nova_stream.storage.stats.compared import compare_agents

router = APIRouter(
    prefix=PREFIX,
    tags=["statistics over time"],
    dependencies=[needs("stats"), within(AGENTS), own_writes],
)


@router.get(
    "/agents/comparison",
    responses=answers("Comparison", "The agents.", 504) | NOT_MODIFIED,
)
async def agents_comparison(
    request: Request,
    services: Services,
    start: From = None,
    to: To = None,
    limit: Annotated[
        int, Query(ge=1, le=AGENTS.rows, description="Agents, of all at most.")
    ] = AGENTS.rows,
    *,
    unregistered: Unregistered = False,
) -> Response:
    """How long the executions of each agent took in a range of time, beside as much time right
    before it: first the agent whose p95 rose the most, last those of few executions. Agents without
    an execution in both are left out.
    """
    asked = range_of(start, to)
    if asked is None:
        raise bad_parameter("from", "missing: the start of the range")
    found = await services.reads.get(compare_agents, asked, limit, unregistered=unregistered)
    return found.answer(request)
