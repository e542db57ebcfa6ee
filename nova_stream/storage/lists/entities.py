"""One task, execution or user by its id. All raise what asyncpg raises, and need a connection that
is in no transaction; None is for an id that nobody has, or no more.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from nova_stream.storage.database import Connection, snapshot
from nova_stream.storage.lists.catalogue import EXECUTIONS, TASKS, USERS
from nova_stream.storage.lists.read import read_in_snapshot
from nova_stream.storage.lists.rows import ListedUser, WholeExecution
from nova_stream.storage.lists.statements import Question
from nova_stream.storage.places import Cursor, FoundPage, ListPlace
from nova_stream.storage.stats.read import Bounds, read_row, shown

_OF_ID = "WHERE t.id = $1 AND t.deleted_at IS NULL"
_LIVING = f"t {_OF_ID}"
# Made from the catalogue's own text, never from input.
_TASK = f"SELECT {TASKS.columns} FROM tasks {_LIVING}"  # noqa: S608
_WHOLE_TASK = f"""
SELECT {TASKS.columns}, {TASKS.documents}, t.dependencies, t.output
FROM tasks t {TASKS.joined} {_OF_ID}"""  # noqa: S608
_BUILD = "(SELECT k.build_id FROM tasks k WHERE k.id = t.task_id) AS build_id"
_OF_EXECUTION = f"""{EXECUTIONS.columns}, {_BUILD},
    CASE WHEN t.doc IS NULL THEN t.archived_at END AS archived_at"""
_EXECUTION = f"SELECT {_OF_EXECUTION} FROM executions {_LIVING}"  # noqa: S608
_WHOLE_EXECUTION = f"""
SELECT {_OF_EXECUTION}, {EXECUTIONS.documents}, t.prompt, t.response FROM executions {_LIVING}"""  # noqa: S608
_USER = f"SELECT {USERS.columns} FROM user_profiles {_LIVING}"  # noqa: S608
_WHOLE_USER = f"SELECT {USERS.columns}, {USERS.documents} FROM user_profiles {_LIVING}"  # noqa: S608


class FoundTask(NamedTuple):
    """A task's fields, and a page of its executions."""

    fields: dict[str, Any]
    executions: FoundPage[Any, ListPlace]


async def task(
    connection: Connection,
    id_: str,
    bounds: Bounds,
    cursor: Cursor[ListPlace] | None,
    *,
    documents: bool,
) -> FoundTask | None:
    """A task with its executions, newest first, or those that ``cursor`` leads to."""
    async with snapshot(connection):
        row = await connection.fetchrow(_WHOLE_TASK if documents else _TASK, id_)
        if row is None:
            return None
        asked = Question(EXECUTIONS, {"task": id_}, documents=documents)
        executions = await read_in_snapshot(connection, asked, bounds, cursor)
    fields = {name: shown(value) for name, value in row.items()}
    if fields.get("dependencies") is not None:
        fields["dependencies"] = msgspec.Raw(fields["dependencies"].encode())  # as it is stored
    return FoundTask(fields, executions)


async def execution(connection: Connection, id_: str, *, documents: bool) -> WholeExecution | None:
    """An execution; what only those may see who may see ``documents`` is null of archived ones."""
    row = await connection.fetchrow(_WHOLE_EXECUTION if documents else _EXECUTION, id_)
    return None if row is None else read_row(WholeExecution, row)


async def user(connection: Connection, id_: str, *, documents: bool) -> ListedUser | None:
    """A user; the e-mail address only for those who may see ``documents``."""
    row = await connection.fetchrow(_WHOLE_USER if documents else _USER, id_)
    return None if row is None else read_row(ListedUser, row)
