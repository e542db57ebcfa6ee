"""Lists of builds, tasks, executions, activities and users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from nova_stream.api.auth.needs import needs, sees_documents
from nova_stream.api.budget.budget import PAGE, within
from nova_stream.api.csv_table import columns_of, csv_table
from nova_stream.api.cursors import (
    ListId,
    decode_longest,
    decode_page,
    encode_longest,
    encode_page,
)
from nova_stream.api.openapi import links
from nova_stream.api.openapi.responses import Page, answer, listed
from nova_stream.api.own_writes import own_writes
from nova_stream.api.paging import PageCursor, Since, Until, open_range, text
from nova_stream.api.parameters import NO_NUL, bad_parameter, several
from nova_stream.api.ranges import range_of
from nova_stream.api.state import PREFIX, services_of
from nova_stream.events.change import TASK_STATUSES, BuildStatus
from nova_stream.storage.lists import catalogue
from nova_stream.storage.lists.catalogue import Listing
from nova_stream.storage.lists.longest import read_longest
from nova_stream.storage.lists.read import read_page
from nova_stream.storage.lists.rows import ExecutionStatus
from nova_stream.storage.lists.statements import Question
from nova_stream.storage.stats.read import Bounds

router = APIRouter(prefix=PREFIX, tags=["lists"])
_DOCUMENTS = [needs("documents"), within(PAGE), own_writes]
_FIGURES = [needs("stats", "documents"), within(PAGE), own_writes]

_Agent = Annotated[
    str | None, Query(pattern=NO_NUL, description="Only those of the agent of this name.")
]
_Build = Annotated[
    str | None, Query(pattern=NO_NUL, description="Only those of the build with this ID.")
]
_Task = Annotated[
    str | None, Query(pattern=NO_NUL, description="Only those of the task with this ID.")
]
_User = Annotated[
    str | None, Query(pattern=NO_NUL, description="Only those of the user with this `userId`.")
]
_EventType = Annotated[
    str | None,
    Query(alias="eventType", pattern=NO_NUL, description="Only those of this event type."),
]
_Tier = Annotated[str | None, Query(pattern=NO_NUL, description="Only users of this tier.")]
_BuildStatus = Annotated[BuildStatus | None, Query(description="Only builds of this status.")]
_STATUS, _STATUSES = several(TASK_STATUSES, "Only tasks of this status.")
_TaskStatus = Annotated[str | None, _STATUS, _STATUSES]
_ExecutionStatus = Annotated[
    ExecutionStatus | None,
    Query(description="Only those that succeeded, that failed, or whose document is archived."),
]


_MinDuration = Annotated[
    int | None,
    Query(
        alias="minDuration",
        ge=0,
        le=2**53,
        description="Only those that took so many milliseconds or more: a whole number.",
        examples=[4101],
    ),
]
_Order = Annotated[
    Literal["-timestamp", "-duration"],
    Query(
        description="`-duration` has the longest first, of equal ones the newest, and leaves out "
        "those without a duration. It needs `agent` and `from`, and a range of at most 366 days."
    ),
]
_IdPart = Annotated[str | None, text("Only those with this text in their ID.")]
_PartOfBuild = Annotated[str | None, text("Only those with this text in ID or `prdName`.")]
_PartOfTask = Annotated[
    str | None,
    text("Only those with this text in the ID or, with the scope documents, in the title."),
]
_PartOfActivity = Annotated[str | None, text("Only those with this text in their details.")]
_PartOfUser = Annotated[
    str | None,
    text("Only those with this text in ID, `userId` or, with the scope documents, `email`."),
]


class _Paging:
    """What every list takes."""

    def __init__(
        self,
        request: Request,
        limit: Annotated[int, Query(ge=1, le=PAGE.rows, description="Rows a page.")] = 50,
        cursor: PageCursor = None,
        start: Since = None,
        end: Until = None,
        form: Annotated[
            Literal["json", "csv"] | None,
            Query(alias="format", description="`csv` gives the page's rows as CSV (RFC 4180)."),
        ] = None,
    ) -> None:
        self.request = request
        self.bounds = Bounds(limit, PAGE.row_bytes)
        self.name = request.url.path.rpartition("/")[2]
        self.list = ListId(self.name)
        self._cursor = cursor
        self._times = (start, end)
        self.range = open_range(start, end)
        self.csv = (form or _preferred(request.headers.get("accept", ""))) == "csv"

    async def answer(self, listing: Listing, q: str | None, **filters: str | None) -> Response:
        """The page of ``listing`` that was asked for; None is no filter."""
        question = self._question(listing, q, filters)
        place = decode_page(self.list, self._cursor)
        async with services_of(self.request).database.connection() as connection:
            found = await read_page(connection, question, self.bounds, place)
        before = encode_page(self.list, found.prev)
        page = Page(found.rows, encode_page(self.list, found.next), prev_cursor=before)
        return self._shown(page, question)

    async def longest(self, q: str | None, **filters: str | None) -> Response:
        """As ``answer``, of executions by how long they took."""
        if filters["agent"] is None:
            raise bad_parameter("order", "-duration needs agent: the list of one agent")
        if range_of(*self._times) is None:
            raise bad_parameter("order", "-duration needs from: the start of a range")
        question = self._question(catalogue.EXECUTIONS, q, filters)
        list_ = ListId(f"{self.name} by duration")
        place = decode_longest(list_, self._cursor)
        async with services_of(self.request).database.connection() as connection:
            found = await read_longest(connection, question, self.bounds, place)
        before = encode_longest(list_, found.prev)
        page = Page(found.rows, encode_longest(list_, found.next), prev_cursor=before)
        return self._shown(page, question)

    def _question(
        self, listing: Listing, q: str | None, filters: Mapping[str, str | None]
    ) -> Question:
        documents = sees_documents(self.request)
        given = {name: value for name, value in filters.items() if value is not None}
        if q is not None:
            given["q" if documents else "id"] = q
        return Question(listing, given, self.range, documents)

    def _shown(self, page: Page[Any], question: Question) -> Response:
        if not self.csv:
            return answer(page)
        columns = columns_of(question.listing.kind, documents=question.documents)
        headers = self._headers(page)
        return Response(csv_table(columns, page.items), media_type="text/csv", headers=headers)

    def _headers(self, page: Page[Any]) -> dict[str, str]:
        """A name for the file, and the neighbours' addresses (RFC 8288)."""
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{self.name}.csv"',
        }
        cursors = {"next": page.next_cursor, "prev": page.prev_cursor}
        url = self.request.url
        neighbours = [
            f'<?{url.include_query_params(cursor=cursor).query}>; rel="{relation}"'
            for relation, cursor in cursors.items()
            if cursor
        ]
        if neighbours:
            headers["Link"] = ", ".join(neighbours)
        return headers


def _preferred(accept: str) -> str:
    types = [part.partition(";")[0].strip() for part in accept.split(",")]
    return "csv" if "text/csv" in types and "application/json" not in types else "json"


_Asked = Annotated[_Paging, Depends()]


@router.get("/builds", dependencies=_DOCUMENTS, responses=listed("BuildList", links=links.BUILDS))
async def builds(
    asked: _Asked, status: _BuildStatus = None, agent: _Agent = None, q: _PartOfBuild = None
) -> Response:
    """Builds, newest start first; those that have not started come last. `from` and `to` are of
    the start.
    """
    return await asked.answer(catalogue.BUILDS, q, status=status, agent=agent)


@router.get("/tasks", dependencies=_FIGURES, responses=listed("TaskList", links=links.TASKS))
async def tasks(
    asked: _Asked,
    build: _Build = None,
    agent: _Agent = None,
    status: _TaskStatus = None,
    q: _PartOfTask = None,
) -> Response:
    """Tasks, newest creation first; those without a time come last. Titles and errors are there
    with the scope documents.
    """
    return await asked.answer(catalogue.TASKS, q, build=build, agent=agent, status=status)


@router.get(
    "/executions",
    dependencies=_FIGURES,
    responses=listed("ExecutionList", links=links.EXECUTIONS),
)
async def executions(
    asked: _Asked,
    task: _Task = None,
    build: _Build = None,
    agent: _Agent = None,
    status: _ExecutionStatus = None,
    q: _IdPart = None,
    min_duration: _MinDuration = None,
    order: _Order = "-timestamp",
) -> Response:
    """Executions, newest first or, of one agent, the longest first; archived ones too. Those
    without a time come last. Errors are there with the scope documents.
    """
    given = {"task": task, "build": build, "agent": agent, "status": status}
    if min_duration is not None:
        given["minDuration"] = str(min_duration)
    if order == "-duration":
        return await asked.longest(q, **given)
    return await asked.answer(catalogue.EXECUTIONS, q, **given)


@router.get("/activity", dependencies=_DOCUMENTS, responses=listed("ActivityList"))
async def activity(
    asked: _Asked,
    agent: _Agent = None,
    build: _Build = None,
    user: _User = None,
    event_type: _EventType = None,
    q: _PartOfActivity = None,
) -> Response:
    """The activity feed, newest first."""
    given = {"agent": agent, "build": build, "user": user, "eventType": event_type}
    return await asked.answer(catalogue.ACTIVITY, q, **given)


@router.get("/users", dependencies=_FIGURES, responses=listed("UserList", links=links.USERS))
async def users(asked: _Asked, tier: _Tier = None, q: _PartOfUser = None) -> Response:
    """Users, the most recently active first; `from` and `to` are of `lastActiveAt`. E-mail
    addresses are there with the scope documents.
    """
    return await asked.answer(catalogue.USERS, q, tier=tier)
