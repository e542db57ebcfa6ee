"""What the lists give. Fields with a default of ``UNSET`` are for those who may see documents: to
others they are not there at all.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from nova_stream.storage.stats.rows import FAILED_EXECUTION, FAILED_EXECUTION_ERROR, Time

_DOCUMENTS = msgspec.Meta(description="Only with the scope documents.")
_Text = Annotated[str | UnsetType | None, _DOCUMENTS]


#: What came of an execution.
ExecutionStatus = Literal["succeeded", "failed", "archived"]


class ListedTask(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A task of the list; ``agent`` is a name."""

    id: str
    build_id: str | None
    task_id: Annotated[str | None, msgspec.Meta(description="What its build calls it.")]
    agent: str
    status: str
    phase: float | None
    attempts: float | None
    created_at: Time | None
    changed_at: Time
    title: _Text = UNSET
    error: _Text = UNSET
    failed_execution_id: Annotated[
        str | UnsetType | None,
        msgspec.Meta(description=f"{FAILED_EXECUTION} {_DOCUMENTS.description}"),
    ] = UNSET
    failed_execution_error: Annotated[
        str | UnsetType | None,
        msgspec.Meta(description=f"{FAILED_EXECUTION_ERROR} {_DOCUMENTS.description}"),
    ] = UNSET


class ListedExecution(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An execution of the list. Of an ``archived`` one the document lies in the archive: ``model``,
    ``gatesPassed`` and ``error`` are null, `GET /executions/{id}` has them.
    """

    id: str
    task_id: str | None
    agent: str | None
    duration: Annotated[float | None, msgspec.Meta(description="Milliseconds.")]
    timestamp: Time | None
    archived: bool
    model: str | None
    gates_passed: bool | None
    status: Annotated[
        ExecutionStatus,
        msgspec.Meta(
            description="`failed` with an error, else `succeeded`; `archived` where the archive "
            "alone knows."
        ),
    ]
    error: _Text = UNSET


class ListedUser(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A user's profile."""

    id: str
    user_id: str | None
    tier: str | None
    global_wisdom_opt_in: bool | None
    created_at: Time | None
    last_active_at: Time | None
    email: _Text = UNSET


class TaskWithExecutions(ListedTask, frozen=True, rename="camel", kw_only=True):
    """A task with its executions, newest first; of many executions a page."""

    dependencies: Annotated[list[Any] | UnsetType | None, _DOCUMENTS] = UNSET
    output: _Text = UNSET
    executions: list[ListedExecution] = []
    next_cursor: Annotated[
        str | None, msgspec.Meta(description="Cursor of older executions; null at the end.")
    ] = None
    prev_cursor: Annotated[
        str | None, msgspec.Meta(description="Cursor of newer executions; null at the begin.")
    ] = None


class WholeExecution(ListedExecution, frozen=True, rename="camel", kw_only=True):
    """An execution with what it was asked and what it answered, wherever that lies."""

    build_id: Annotated[str | None, msgspec.Meta(description="The build of its task.")]
    archived_at: Time | None
    prompt: _Text = UNSET
    response: _Text = UNSET
    note: Annotated[
        str | None, msgspec.Meta(description="Why prompt and response are missing.")
    ] = None
