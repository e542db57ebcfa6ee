"""Search."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from nova_stream.api.auth.needs import needs, sees_documents
from nova_stream.api.budget.budget import SEARCH, within
from nova_stream.api.openapi.responses import SearchResult, answer, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.parameters import NO_NUL
from nova_stream.api.state import PREFIX, Services
from nova_stream.jobs import registry
from nova_stream.storage.lists import search as store

router = APIRouter(
    prefix=PREFIX,
    tags=["lists"],
    dependencies=[needs("stats", "documents"), within(SEARCH), own_writes],
)


@router.get("/search", responses=answers("Found", "What was found.", 504))
async def search(
    request: Request,
    services: Services,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            pattern=NO_NUL,
            description="An ID or its beginning, or words or their beginnings.",
            examples=["b0001"],
        ),
    ],
    limit: Annotated[int, Query(ge=1, le=SEARCH.rows // 6, description="Hits a kind.")] = 5,
) -> Response:
    """Agents, builds, tasks, executions, users and jobs by ID, `userId`, names and titles: of each
    kind exact IDs first, then what begins so, then words, the newest first. Names of builds, titles
    and e-mail addresses are looked at with the scope documents.
    """
    text = q.strip()
    if not text:
        return answer(SearchResult([]))
    documents = sees_documents(request)
    async with services.database.connection() as connection:
        groups = await store.search(connection, text, limit, documents=documents)
    jobs = store.search_named({job.name: job.description for job in registry.JOBS}, text, limit)
    return answer(SearchResult([*groups, *([jobs] if jobs else [])]))
