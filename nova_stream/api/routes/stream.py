"""Changes as they come: server-sent events."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from nova_stream.api.auth.access import Access, access_of
from nova_stream.api.auth.needs import needs
from nova_stream.api.budget.budget import CALLER, STREAM, within
from nova_stream.api.live.broadcaster import Broadcaster, Client
from nova_stream.api.live.event_log import EventFilter
from nova_stream.api.openapi.responses import answers
from nova_stream.api.parameters import bad_parameter
from nova_stream.api.refusals import lacking
from nova_stream.api.state import PREFIX, Services
from nova_stream.scopes import SCOPES
from nova_stream.scopes import Scope as Right

router = APIRouter(
    prefix=PREFIX,
    tags=["statistics"],
    dependencies=[needs("stats", "documents", confirm="known"), within(STREAM)],
)

#: The kinds of events, and what a token must have to be sent them.
_SCOPES: dict[str, Right] = {
    "agent": "stats",
    "agent-gone": "stats",
    "builds": "stats",
    "overview": "stats",
    "activity": "documents",
    "build": "documents",
}
EVENTS = tuple(kind for kind in _SCOPES if kind != "agent-gone")
#: Names that a stream is asked for.
_AGENTS = 100
#: Seconds in which a client must take a frame.
_SEND_LIMIT_S = 60.0
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold events back
}
_EXAMPLE = 'id: 5f0c12ab-7\nevent: overview\ndata: {"totalBuilds":500,"completedBuilds":388,…}\n\n'


class _EventStream(StreamingResponse):
    """The frames of a client, until it goes, takes nothing for a minute, or is ended."""

    def __init__(self, changes: Broadcaster, client: Client, *, resumes: bool) -> None:
        frames = changes.frames(client, resumes=resumes)
        super().__init__(frames, media_type="text/event-stream", headers=_HEADERS)
        self._leave = partial(changes.leave, client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["query_string"] = b""  # which nobody needs for as long as this lasts
        left = asyncio.create_task(_left(receive))
        sending = asyncio.create_task(self.stream_response(_limited(send)))
        try:
            await asyncio.wait({left, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave()
            left.cancel()
            sending.cancel()
            await asyncio.gather(left, sending, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _limited(send: Send) -> Send:
    async def limited(message: Any) -> None:
        async with asyncio.timeout(_SEND_LIMIT_S):
            await send(message)

    return limited


def _responses() -> dict[int | str, dict[str, Any]]:
    found = answers("Problem", "Events, until the client disconnects or the server stops.")
    found[200]["content"] = {
        "text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}
    }
    return found


@router.get("/stream", response_class=StreamingResponse, responses=_responses())
async def stream(
    request: Request,
    services: Services,
    events: Annotated[
        str | None,
        Query(description=f"Only these, separated by commas: {', '.join(EVENTS)}."),
    ] = None,
    agents: Annotated[
        str | None,
        Query(description="Only agents and activities of these names, at most 100, with commas."),
    ] = None,
    last_event_id: Annotated[
        str | None,
        Header(description="The ID of the last event received; the stream resumes after it."),
    ] = None,
    last_id: Annotated[
        str | None, Query(alias="lastEventId", description="The same, for those without headers.")
    ] = None,
) -> Response:
    """First all rows, then those that change: each at most twice a second, its last value always.
    A token is sent what it may read: figures with the scope stats, builds and activities with
    documents. The schema LiveEvents has the data of each kind of event.
    """
    access = access_of(request.scope)
    kinds = _allowed(_kinds(events), access)
    wanted = EventFilter(kinds, _names(agents))
    given = last_event_id or last_id
    scopes = [scope for scope in SCOPES if scope in access.granted]
    client = services.changes.join(
        wanted,
        given,
        allowed=lambda: services.tokens.allows(access.secret, *scopes),
        caller=request.scope.get(CALLER, ""),
    )
    return _EventStream(services.changes, client, resumes=given is not None)


def _kinds(events: str | None) -> frozenset[str] | None:
    if events is None:
        return None
    kinds = frozenset(kind.strip() for kind in events.split(","))
    if unknown := sorted(kinds - _SCOPES.keys()):
        raise bad_parameter(
            "events", f"{unknown[0]!r} is not an event; allowed are {', '.join(EVENTS)}"
        )
    return kinds


def _names(agents: str | None) -> frozenset[str] | None:
    if agents is None:
        return None
    names = frozenset(agents.split(","))
    if len(names) > _AGENTS:
        raise bad_parameter(
            "agents",
            f"{len(names)} names; a stream takes at most {_AGENTS}. Without agents= it shows all "
            "of them",
        )
    return names


def _allowed(kinds: frozenset[str] | None, access: Access) -> frozenset[str] | None:
    """Of the kinds that were asked for (None = all) those that the token may be sent; raises
    ProblemError 403 for one that was named and is not among them.
    """
    there = frozenset(kind for kind, scope in _SCOPES.items() if scope in access.granted)
    if kinds is None:
        return None if len(there) == len(_SCOPES) else there
    for kind in sorted(kinds - there):
        raise lacking([_SCOPES[kind]], access.granted)
    return kinds
