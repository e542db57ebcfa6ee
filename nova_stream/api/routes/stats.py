"""The statistics: read from the caches, which are right at every instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from nova_stream.api.auth.access import needs, own_writes
from nova_stream.api.budget.budget import AGENTS, FIGURES, ROW, Budget, within
from nova_stream.api.coalescing import Read
from nova_stream.api.cursors import decode_agent, encode_agent
from nova_stream.api.openapi import links
from nova_stream.api.openapi.responses import NOT_MODIFIED, Items, answer, answers
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import PREFIX, Parts, PartsOf
from nova_stream.storage.database import Connection
from nova_stream.storage.stats import read
from nova_stream.storage.stats.rows import AgentPlace, AgentStats

router = APIRouter(
    prefix=PREFIX, tags=["statistics"], dependencies=[needs("stats"), within(ROW), own_writes]
)

_Unregistered = Annotated[
    bool,
    Query(description="Also names that tasks or executions give and no registered agent has."),
]


@dataclass(frozen=True)
class _Agents:
    """The read of those who ask for the same page at one time."""

    rows: int = AGENTS.rows
    after: AgentPlace | None = None
    unregistered: bool = False

    async def __call__(self, connection: Connection) -> Items[AgentStats]:
        bounds = read.Bounds(self.rows, AGENTS.row_bytes)
        items, end = await read.agents_stats(
            connection, bounds, self.after, unregistered=self.unregistered
        )
        return Items(items, encode_agent(end))


def short_ways() -> dict[str, tuple[Read, Budget]]:
    """The reads below that need no parameters and what they may cost, by their paths."""
    return {
        f"{PREFIX}/agents/stats": (_Agents(), AGENTS),
        f"{PREFIX}/builds/stats": (read.build_stats, FIGURES),
        f"{PREFIX}/overview": (read.overview, FIGURES),
    }


@router.get(
    "/agents/stats",
    responses=answers("AgentStatsList", "A page.", 504, links=links.AGENTS) | NOT_MODIFIED,
    dependencies=[within(AGENTS)],
)
async def agents_stats(
    request: Request,
    parts: PartsOf,
    limit: Annotated[int, Query(ge=1, le=AGENTS.rows, description="Rows a page.")] = AGENTS.rows,
    cursor: Annotated[
        str | None, Query(description="`nextCursor` of the page before; none = the first page.")
    ] = None,
    *,
    unregistered: _Unregistered = False,
) -> Response:
    """All agents, newest lastActive first, then by name."""
    asked = _Agents(limit, decode_agent(cursor), unregistered)
    return (await parts.reads.get(asked)).answer(request)


@router.get(
    "/agents/{name:path}/stats",
    responses=answers("NamedAgentStats", "The agent.", 404, 504),
)
async def agent_stats(
    parts: PartsOf,
    name: Annotated[str, Path(examples=["ANDROMEDA"])],
    *,
    unregistered: _Unregistered = False,
) -> Response:
    """One agent by name. Of several agents of one name it is the first by id, and
    `otherAgentIds` names the others.
    """
    return await _agent(parts, name, unregistered=unregistered)


@router.get(
    "/agent/stats",
    responses=answers("NamedAgentStats", "The agent.", 404, 504),
)
async def agent_stats_by_query(
    parts: PartsOf,
    name: Annotated[str, Query(examples=["ANDROMEDA"])],
    *,
    unregistered: _Unregistered = False,
) -> Response:
    """The same with the name in the query: for any name, those that an address cannot hold (`..`,
    or what a proxy takes away) included.
    """
    return await _agent(parts, name, unregistered=unregistered)


async def _agent(parts: Parts, name: str, *, unregistered: bool) -> Response:
    found = None
    if "\x00" not in name:  # which Postgres has in no name
        async with parts.database.connection() as connection:
            found = await read.agent_stats(connection, name, unregistered=unregistered)
    if found is None:
        raise unknown_agent(unregistered=unregistered)
    return answer(found)


@router.get(
    "/builds/stats",
    responses=answers("BuildStats", "The figures of all builds.", 504) | NOT_MODIFIED,
    dependencies=[within(FIGURES)],
)
async def build_stats(request: Request, parts: PartsOf) -> Response:
    """The figures of all builds."""
    return (await parts.reads.get(read.build_stats)).answer(request)


@router.get(
    "/overview",
    responses=answers("Overview", "The figures of the whole platform.", 504) | NOT_MODIFIED,
    dependencies=[within(FIGURES)],
)
async def overview(request: Request, parts: PartsOf) -> Response:
    """The figures of the whole, as one state."""
    return (await parts.reads.get(read.overview)).answer(request)


def unknown_agent(*, unregistered: bool) -> ProblemError:
    """No agent has the name, although ``unregistered`` ones were looked for or not."""
    hint = "" if unregistered else " ?unregistered=true shows what counts under it all the same."
    return ProblemError(404, "unknown-agent", f"No registered agent has this name.{hint}")
