"""Builds and the activity feed."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from nova_stream.api import links
from nova_stream.api.access import needs, own_writes
from nova_stream.api.answers import Items, answer, answers
from nova_stream.api.cursors import decode_cursor, encode_cursor
from nova_stream.api.parts import PREFIX, Parts, PartsOf
from nova_stream.api.problems import ProblemError
from nova_stream.storage import read

router = APIRouter(
    prefix=PREFIX, tags=["builds and activity"], dependencies=[needs("documents"), own_writes]
)

_Limit = Annotated[int, Query(ge=1, le=500, description="Rows a page.")]
_Cursor = Annotated[
    str | None, Query(description="`nextCursor` of the page before; none = the first page.")
]
_Status = Annotated[
    Literal["pending", "running", "completed", "failed"] | None,
    Query(description="Only builds of this status."),
]


@router.get("/builds", responses=answers("BuildList", "A page.", 504, links=links.BUILDS))
async def builds(
    parts: PartsOf, limit: _Limit = 50, cursor: _Cursor = None, status: _Status = None
) -> Response:
    """Builds, newest start first; those that have not started come last."""
    place = decode_cursor(cursor)
    async with parts.database.connection() as connection:
        items, end = await read.builds(connection, limit, place, status)
    return answer(Items(items, encode_cursor(end)))


@router.get(
    "/builds/{id:path}",
    responses=answers("BuildWithTasks", "The build.", 404, 504),
)
async def build(
    parts: PartsOf, build_id: Annotated[str, Path(alias="id", examples=["b0001"])]
) -> Response:
    """A build with its tasks, by phase and creation."""
    return await _build(parts, build_id)


@router.get("/build", responses=answers("BuildWithTasks", "The build.", 404, 504))
async def build_by_query(
    parts: PartsOf, build_id: Annotated[str, Query(alias="id", examples=["b0001"])]
) -> Response:
    """The same with the id in the query: for any id, `stats` and `history` included."""
    return await _build(parts, build_id)


async def _build(parts: Parts, build_id: str) -> Response:
    found = None
    if "\x00" not in build_id:  # which Postgres has in no id
        async with parts.database.connection() as connection:
            found = await read.build(connection, build_id)
    if found is None:
        raise ProblemError(404, "unknown-build", "There is no build of this id.")
    return answer(found)


@router.get("/activity", responses=answers("ActivityList", "A page.", 504))
async def activity(parts: PartsOf, limit: _Limit = 50, cursor: _Cursor = None) -> Response:
    """The activity feed, newest first."""
    place = decode_cursor(cursor)
    async with parts.database.connection() as connection:
        items, end = await read.activities(connection, limit, place)
    return answer(Items(items, encode_cursor(end)))
