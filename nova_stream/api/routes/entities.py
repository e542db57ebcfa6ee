"""One build, task, execution or user by its id, which Postgres has no NUL in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from nova_stream.api.auth.needs import needs, sees_documents
from nova_stream.api.budget.budget import DOCUMENT, PAGE, ROW, TASKS, within
from nova_stream.api.cursors import ListId, decode_page, decode_task, encode_page, encode_task
from nova_stream.api.openapi.responses import answer, answers
from nova_stream.api.own_writes import own_writes
from nova_stream.api.parameters import NextCursor, in_path_or_query
from nova_stream.api.problems import ProblemError
from nova_stream.api.state import PREFIX, ApiServices, Services, services_of
from nova_stream.errors import ArchiveError, MissingExtraError, UsageError
from nova_stream.events.json_text import encode_json
from nova_stream.settings import Settings
from nova_stream.storage.database import Connection
from nova_stream.storage.lists import entities
from nova_stream.storage.lists.rows import ExecutionStatus, TaskWithExecutions, WholeExecution
from nova_stream.storage.stats import read
from nova_stream.telemetry import get_logger

T = TypeVar("T")

router = APIRouter(prefix=PREFIX, tags=["lists"])
_DOCUMENTS = [needs("documents"), within(TASKS), own_writes]


def _figures(budget: Any) -> list[Any]:
    return [needs("stats", "documents"), within(budget), own_writes]


_Tasks = Annotated[int, Query(ge=1, le=TASKS.rows, description="Tasks a page.")]
_Executions = Annotated[int, Query(ge=1, le=PAGE.rows, description="Executions a page.")]
_ExecutionCursor = Annotated[
    str | None, Query(description="`nextCursor` or `prevCursor` of a page of this task.")
]
_BY_QUERY = "The same with the id in the query: for any id."


async def _found(
    services: ApiServices,
    kind: str,
    id_: str,
    read: Callable[[Connection, str], Awaitable[T | None]],
) -> T:
    """What ``read`` finds by an id; raises ProblemError 404 where that is nothing."""
    found = None
    if "\x00" not in id_:  # which Postgres has in no id
        async with services.database.connection() as connection:
            found = await read(connection, id_)
    if found is None:
        raise ProblemError(404, f"unknown-{kind}", f"No {kind} has this ID.")
    return found


@in_path_or_query(
    router,
    "/builds/{id:path}",
    "/build",
    "The same with the id in the query: for any id, `stats`, `series` and `history` included.",
    responses=answers("BuildWithTasks", "The build.", 404, 504),
    dependencies=_DOCUMENTS,
)
async def build(
    services: Services,
    id: Annotated[str, Field(examples=["b0001"])],  # noqa: A002 - as the path names it
    limit: _Tasks = TASKS.rows,
    cursor: NextCursor = None,
) -> Response:
    """A build with its tasks, by phase and creation; where there are many, `nextCursor` goes on."""
    bounds = read.Bounds(limit, TASKS.row_bytes)
    tasks = ListId("tasks of a build", (id,))
    page = partial(read.build, bounds=bounds, after=decode_task(tasks, cursor))
    whole, end = await _found(services, "build", id, page)
    return answer(msgspec.structs.replace(whole, next_cursor=encode_task(tasks, end)))


@in_path_or_query(
    router,
    "/tasks/{id:path}",
    "/task",
    _BY_QUERY,
    responses=answers("TaskWithExecutions", "The task.", 404, 504),
    dependencies=_figures(PAGE),
)
async def task(
    request: Request,
    id: Annotated[str, Field(examples=["t00001"])],  # noqa: A002 - as the path names it
    limit: _Executions = 100,
    cursor: _ExecutionCursor = None,
) -> Response:
    """A task with its executions, newest first; title, output and errors are there with the scope
    documents.
    """
    list_ = ListId("executions of a task", (id,))
    page = partial(
        entities.task,
        bounds=read.Bounds(limit, PAGE.row_bytes),
        cursor=decode_page(list_, cursor),
        documents=sees_documents(request),
    )
    found = await _found(services_of(request), "task", id, page)
    executions = found.executions
    return answer(
        TaskWithExecutions(
            **found.fields,
            executions=executions.rows,
            next_cursor=encode_page(list_, executions.next),
            prev_cursor=encode_page(list_, executions.prev),
        )
    )


@in_path_or_query(
    router,
    "/executions/{id:path}",
    "/execution",
    _BY_QUERY,
    responses=answers("WholeExecution", "The execution.", 404, 504),
    dependencies=_figures(DOCUMENT),
)
async def execution(
    request: Request,
    id: Annotated[str, Field(examples=["e00001"])],  # noqa: A002 - as the path names it
) -> Response:
    """An execution; prompt, response and error are there with the scope documents, from the
    archive where they lie there.
    """
    documents = sees_documents(request)
    services = services_of(request)
    found = await _found(
        services, "execution", id, partial(entities.execution, documents=documents)
    )
    if documents and found.archived:
        found = await with_archived(found, services.settings, services.archive)
    return answer(found)


@in_path_or_query(
    router,
    "/users/{id:path}",
    "/user",
    _BY_QUERY,
    responses=answers("ListedUser", "The user.", 404, 504),
    dependencies=_figures(ROW),
)
async def user(
    request: Request,
    id: Annotated[str, Field(examples=["u0185"])],  # noqa: A002 - as the path names it
) -> Response:
    """A user; the e-mail address is there with the scope documents."""
    whole = partial(entities.user, documents=sees_documents(request))
    return answer(await _found(services_of(request), "user", id, whole))


#: Seconds for one, those included in which others have their turn.
_LIMIT_S = 30.0
_TOO_LONG = "the archive does not answer in time; try again"
_AWAY = "the archive cannot be read; the API's log says why"

_log = get_logger(__name__)


async def with_archived(
    execution: WholeExecution, settings: Settings, turn: asyncio.Semaphore
) -> WholeExecution:
    """``execution`` with what the archive has of it, else with a note that says why not; by turns,
    since an object is read as a whole, and may be large.
    """
    try:
        async with asyncio.timeout(_LIMIT_S), turn:
            # Not before somebody asks: it takes half a second, and memory.
            restore = await asyncio.to_thread(import_module, "nova_stream.jobs.archive.restore")
            shown = await restore.show(settings, execution.id)
    except TimeoutError:
        return msgspec.structs.replace(execution, note=_TOO_LONG)
    except UsageError as error:
        return msgspec.structs.replace(execution, note=str(error))
    except (ArchiveError, MissingExtraError) as error:
        _log.warning("an archived execution cannot be read", error=str(error))
        return msgspec.structs.replace(execution, note=_AWAY)
    document: dict[str, Any] = shown.document or {}
    if document:
        status: ExecutionStatus = "failed" if document.get("error") else "succeeded"
        execution = msgspec.structs.replace(execution, status=status)
    return msgspec.structs.replace(
        execution,
        prompt=_text(document.get("prompt")),
        response=_text(document.get("response")),
        error=_text(document.get("error")),
        model=_text(document.get("model")),
        gates_passed=document.get("gatesPassed"),
        note=shown.note,
    )


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else encode_json(value).decode()
