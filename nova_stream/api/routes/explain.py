"""Where a number comes from."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import Field

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import PAGE, within
from nova_stream.api.cursors import ListId, decode_cursor, encode_cursor
from nova_stream.api.openapi.responses import answer, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.parameters import Rows, in_path_or_query
from nova_stream.api.routes.stats import unknown_agent
from nova_stream.api.state import PREFIX, Services
from nova_stream.storage.stats import read
from nova_stream.storage.stats.explain import explain as explained
from nova_stream.storage.stats.explain_rows import Figure

router = APIRouter(
    prefix=PREFIX, tags=["statistics"], dependencies=[needs("documents"), within(PAGE), own_writes]
)


_Figure = Annotated[Figure, Query(description="The figure to explain.")]
_Cursor = Annotated[
    str | None, Query(description="`nextCursor` of the page before, of the same figure.")
]
_Unregistered = Annotated[bool, Query(description="Also a name that no registered agent has.")]


@in_path_or_query(
    router,
    "/agents/{name:path}/explain",
    "/agent/explain",
    "The same with the name in the query: for any name.",
    responses=answers("Explanation", "The figure.", 404, 504),
)
async def explain(
    services: Services,
    name: Annotated[str, Field(examples=["ANDROMEDA"])],
    figure: _Figure,
    limit: Rows = 50,
    cursor: _Cursor = None,
    *,
    unregistered: _Unregistered = False,
) -> Response:
    """The rows that an agent's figure is made of, and the event that last changed it. Value, counts
    and rows are of one instant. Of a row that was deleted or went to another agent, nothing is
    known here any more.
    """
    found = None
    rows = ListId("rows of a figure", (name, figure))
    place = decode_cursor(rows, cursor)
    bounds = read.Bounds(limit, PAGE.row_bytes)
    if "\x00" not in name:  # which Postgres has in no name
        async with services.database.connection() as connection:
            found = await explained(
                connection,
                services.settings,
                name,
                figure,
                bounds,
                place,
                unregistered=unregistered,
            )
    if found is None:
        raise unknown_agent(unregistered=unregistered)
    explanation, end = found
    return answer(msgspec.structs.replace(explanation, next_cursor=encode_cursor(rows, end)))
