"""Why an agent's durations are what they are: its longest executions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from nova_stream.api.auth.needs import needs, sees_documents
from nova_stream.api.budget.budget import PAGE, within
from nova_stream.api.openapi.responses import answer, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.parameters import bad_parameter, in_path_or_query
from nova_stream.api.ranges import From, To, range_of
from nova_stream.api.routes.stats import Unregistered, unknown_agent
from nova_stream.api.state import PREFIX, services_of
from nova_stream.storage.lists.slowest import slowest as read_slowest
from nova_stream.storage.stats.read import Bounds

router = APIRouter(
    prefix=PREFIX,
    tags=["statistics over time"],
    dependencies=[needs("stats", "documents"), within(PAGE), own_writes],
)


@in_path_or_query(
    router,
    "/agents/{name:path}/slowest",
    "/agent/slowest",
    "The same with the name in the query: for any name.",
    responses=answers("SlowestExecutions", "The executions.", 404, 504),
)
async def slowest(
    request: Request,
    name: Annotated[str, Field(examples=["ANDROMEDA"])],
    start: From = None,
    to: To = None,
    limit: Annotated[int, Query(ge=1, le=PAGE.rows, description="Rows, of all at most.")] = 20,
    *,
    unregistered: Unregistered = False,
) -> Response:
    """The executions of an agent that took longest in a range of time, longest first, archived ones
    too; those without a duration are left out. Besides them how many took longer than the p95 of
    as much time right before: all of those are the list `GET /executions` with `agent`, `from`,
    `to`, `minDuration` and `order=-duration`. Errors are there with the scope documents.
    """
    asked = range_of(start, to)
    if asked is None:
        raise bad_parameter("from", "missing: the start of the range")
    found = None
    if "\x00" not in name:  # which Postgres has in no name
        async with services_of(request).database.connection() as connection:
            found = await read_slowest(
                connection,
                name,
                asked,
                Bounds(limit, PAGE.row_bytes),
                unregistered=unregistered,
                documents=sees_documents(request),
            )
    if found is None:
        raise unknown_agent(unregistered=unregistered)
    return answer(found)
