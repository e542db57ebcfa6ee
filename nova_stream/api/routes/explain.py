"""Where a number comes from."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Response

from nova_stream.api.access import needs, own_writes
from nova_stream.api.answers import answer, answers
from nova_stream.api.cursors import decode_cursor, encode_cursor
from nova_stream.api.parts import PREFIX, PartsOf
from nova_stream.api.routes.stats import unknown_agent
from nova_stream.storage.explain import explain as explained
from nova_stream.storage.rows_explain import Figure

router = APIRouter(prefix=PREFIX, tags=["statistics"], dependencies=[needs("read"), own_writes])


@router.get(
    "/agents/{name:path}/explain", responses=answers("Explanation", "The figure.", 404, 504)
)
async def explain(
    parts: PartsOf,
    name: Annotated[str, Path(examples=["ANDROMEDA"])],
    figure: Annotated[Figure, Query(description="The figure to explain.")],
    limit: Annotated[int, Query(ge=1, le=500, description="Rows a page.")] = 50,
    cursor: Annotated[
        str | None,
        Query(description="`nextCursor` of the page before, of the same figure."),
    ] = None,
    *,
    unregistered: Annotated[
        bool, Query(description="Also a name that no registered agent has.")
    ] = False,
) -> Response:
    """The rows that an agent's figure is made of, and the event that last changed it. Value, counts
    and rows are of one instant. Of a row that was deleted or went to another agent, nothing is
    known here any more.
    """
    found = None
    place = decode_cursor(cursor)
    if "\x00" not in name:  # which Postgres has in no name
        async with parts.database.connection() as connection:
            found = await explained(
                connection, parts.settings, name, figure, limit, place, unregistered=unregistered
            )
    if found is None:
        raise unknown_agent(unregistered=unregistered)
    explanation, end = found
    return answer(msgspec.structs.replace(explanation, next_cursor=encode_cursor(end)))
