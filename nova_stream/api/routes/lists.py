"""Builds and the activity feed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response

from nova_stream.api.auth.access import needs, own_writes
from nova_stream.api.budget.budget import PAGE, TASKS, within
from nova_stream.api.cursors import decode_cursor, decode_id, encode_cursor, encode_id
from nova_stream.api.openapi import links
from nova_stream.api.openapi.responses import Items, answer, answers
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import PREFIX, Parts, PartsOf
from nova_stream.storage.stats import read

router = APIRouter(
    prefix=PREFIX,
    tags=["builds and activity"],
    dependencies=[needs("documents"), within(PAGE), own_writes],
)

_Limit = Annotated[int, Query(ge=1, le=500, description="Rows a page.")]
_Cursor = Annotated[
    str | None, Query(description="`nextCursor` of the page before; none = the first page.")
]
_Tasks = Annotated[int, Query(ge=1, le=TASKS.rows, description="Tasks a page.")]
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
        bounds = read.Bounds(limit, PAGE.row_bytes)
        items, end = await read.builds(connection, bounds, place, status)
    return answer(Items(items, encode_cursor(end)))


@router.get(
    "/builds/{id:path}",
    responses=answers("BuildWithTasks", "The build.", 404, 504),
    dependencies=[within(TASKS)],
)
async def build(
    parts: PartsOf,
    build_id: Annotated[str, Path(alias="id", examples=["b0001"])],
    limit: _Tasks = TASKS.rows,
    cursor: _Cursor = None,
) -> Response:
    """A build with its tasks, by phase and creation; where there are many, `nextCursor` goes on."""
    return await _build(parts, build_id, limit, cursor)


@router.get(
    "/build",
    responses=answers("BuildWithTasks", "The build.", 404, 504),
    dependencies=[within(TASKS)],
)
async def build_by_query(
    parts: PartsOf,
    build_id: Annotated[str, Query(alias="id", examples=["b0001"])],
    limit: _Tasks = TASKS.rows,
    cursor: _Cursor = None,
) -> Response:
    """The same with the id in the query: for any id, `stats` and `history` included."""
    return await _build(parts, build_id, limit, cursor)


async def _build(parts: Parts, build_id: str, limit: int, cursor: str | None) -> Response:
    found = None
    after = decode_id(cursor)
    if "\x00" not in build_id:  # which Postgres has in no id
        bounds = read.Bounds(limit, TASKS.row_bytes)
        async with parts.database.connection() as connection:
            found = await read.build(connection, build_id, bounds, after)
    if found is None:
        raise ProblemError(404, "unknown-build", "No build has this ID.")
    whole, end = found
    return answer(msgspec.structs.replace(whole, next_cursor=encode_id(end)))


@router.get("/activity", responses=answers("ActivityList", "A page.", 504))
async def activity(parts: PartsOf, limit: _Limit = 50, cursor: _Cursor = None) -> Response:
    """The activity feed, newest first."""
    place = decode_cursor(cursor)
    async with parts.database.connection() as connection:
        bounds = read.Bounds(limit, PAGE.row_bytes)
        items, end = await read.activities(connection, bounds, place)
    return answer(Items(items, encode_cursor(end)))
