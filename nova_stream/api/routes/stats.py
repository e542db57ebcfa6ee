"""The statistics: read from the caches, which are right at every instant."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import AGENTS, FIGURES, ROW, Budget, within
from nova_stream.api.coalescing import Read
from nova_stream.api.cursors import ListId, decode_agent, encode_agent
from nova_stream.api.openapi import links
from nova_stream.api.openapi.responses import NOT_MODIFIED, Page, answer, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.paging import PageCursor
from nova_stream.api.parameters import in_path_or_query
from nova_stream.api.problems import ProblemError
from nova_stream.api.ranges import From, To, range_of
from nova_stream.api.state import PREFIX, Services
from nova_stream.storage.database import Connection
from nova_stream.storage.places import AgentPlace, Cursor
from nova_stream.storage.stats import ranges, read
from nova_stream.storage.stats.buckets import Range
from nova_stream.storage.stats.range_rows import AgentRange, AgentsRange
from nova_stream.storage.stats.rows import AgentStats, NamedAgentStats

router = APIRouter(
    prefix=PREFIX,
    tags=["statistics"],
    dependencies=[needs("stats"), within(ROW), own_writes],
)

Unregistered = Annotated[
    bool,
    Query(description="Also names that tasks or executions give and no registered agent has."),
]


_Cursor: TypeAlias = Cursor[AgentPlace] | None
#: Two orders: by lastActive, and by name.
_AGENTS, _AGENTS_RANGE = ListId("agents"), ListId("agents in a range of time")


async def _agents(
    connection: Connection, rows: int, cursor: _Cursor, *, unregistered: bool
) -> Page[AgentStats]:
    bounds = read.Bounds(rows, AGENTS.row_bytes)
    found = await read.agents_stats(connection, bounds, cursor, unregistered=unregistered)
    before = encode_agent(_AGENTS, found.prev)
    return Page(found.rows, encode_agent(_AGENTS, found.next), prev_cursor=before)


async def _agents_range(
    connection: Connection, asked: Range, rows: int, cursor: _Cursor, *, unregistered: bool
) -> AgentsRange:
    bounds = read.Bounds(rows, AGENTS.row_bytes)
    found, page = await ranges.agents_range(
        connection, asked, bounds, cursor, unregistered=unregistered
    )
    found.next_cursor = encode_agent(_AGENTS_RANGE, page.next)
    found.prev_cursor = encode_agent(_AGENTS_RANGE, page.prev)
    return found


async def _all_agents(connection: Connection) -> Page[AgentStats]:
    return await _agents(connection, AGENTS.rows, None, unregistered=False)


def fast_paths() -> dict[str, tuple[Read, Budget]]:
    """The reads below that need no parameters and what they may cost, by their paths."""
    return {
        f"{PREFIX}/agents/stats": (_all_agents, AGENTS),
        f"{PREFIX}/builds/stats": (read.build_stats, FIGURES),
        f"{PREFIX}/overview": (read.overview, FIGURES),
    }


@router.get(
    "/agents/stats",
    responses=answers("AgentStatsList", "A page.", 504, links=links.AGENTS, of_range="AgentsRange")
    | NOT_MODIFIED,
    dependencies=[within(AGENTS)],
)
async def agents_stats(
    request: Request,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=AGENTS.rows, description="Rows a page.")] = AGENTS.rows,
    cursor: PageCursor = None,
    start: From = None,
    to: To = None,
    *,
    unregistered: Unregistered = False,
) -> Response:
    """All agents, newest lastActive first, then by name; of a range of time what each of them did,
    by name, and what all did together.
    """
    asked = range_of(start, to)
    place = decode_agent(_AGENTS if asked is None else _AGENTS_RANGE, cursor)
    if asked is None:
        found = await services.reads.get(_agents, limit, place, unregistered=unregistered)
    else:
        found = await services.reads.get(
            _agents_range, asked, limit, place, unregistered=unregistered
        )
    return found.answer(request)


@in_path_or_query(
    router,
    "/agents/{name:path}/stats",
    "/agent/stats",
    "The same with the name in the query: for any name, those that an address cannot hold (`..`, "
    "or what a proxy takes away) included.",
    responses=answers("NamedAgentStats", "The agent.", 404, 504, of_range="AgentRange"),
)
async def agent_stats(
    services: Services,
    name: Annotated[str, Field(examples=["ANDROMEDA"])],
    start: From = None,
    to: To = None,
    *,
    unregistered: Unregistered = False,
) -> Response:
    """One agent by name, or what it did in a range of time. Of several agents of one name it is the
    first by id, and `otherAgentIds` names the others.
    """
    asked = range_of(start, to)
    found: NamedAgentStats | AgentRange | None = None
    if "\x00" not in name:  # which Postgres has in no name
        async with services.database.connection() as connection:
            if asked is None:
                found = await read.agent_stats(connection, name, unregistered=unregistered)
            else:
                found = await ranges.agent_range(connection, asked, name, unregistered=unregistered)
    if found is None:
        raise unknown_agent(unregistered=unregistered)
    return answer(found)


@router.get(
    "/builds/stats",
    responses=answers("BuildStats", "The figures of all builds.", 504, of_range="BuildsRange")
    | NOT_MODIFIED,
    dependencies=[within(FIGURES)],
)
async def build_stats(
    request: Request, services: Services, start: From = None, to: To = None
) -> Response:
    """The figures of all builds, or of those that ended in a range of time."""
    asked = range_of(start, to)
    if asked is None:
        found = await services.reads.get(read.build_stats)
    else:
        found = await services.reads.get(ranges.builds_range, asked)
    return found.answer(request)


@router.get(
    "/overview",
    responses=answers("Overview", "The figures of the whole platform.", 504) | NOT_MODIFIED,
    dependencies=[within(FIGURES)],
)
async def overview(request: Request, services: Services) -> Response:
    """The figures of the whole, as one state."""
    return (await services.reads.get(read.overview)).answer(request)


def unknown_agent(*, unregistered: bool) -> ProblemError:
    """No agent has the name, although ``unregistered`` ones were looked for or not."""
    hint = "" if unregistered else " ?unregistered=true shows what counts under it all the same."
    return ProblemError(404, "unknown-agent", f"No registered agent has this name.{hint}")
