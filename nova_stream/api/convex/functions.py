"""What a function is, and what it works with while it runs."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, NamedTuple

import msgspec

from nova_stream.api.budget.budget import CALL, DOCUMENTS, Budget
from nova_stream.api.convex.errors import FunctionError
from nova_stream.api.convex.ids import new_id
from nova_stream.api.convex.validators import Fields, Optional, Validator
from nova_stream.api.database import Database
from nova_stream.clock import Clock, isoformat, to_millis
from nova_stream.events.change import Entity
from nova_stream.events.versions import HybridClock
from nova_stream.scopes import Scope
from nova_stream.storage.convex.read import MOST, StoredDocument, by_id
from nova_stream.storage.database import Connection

#: What the feed calls a status.
_EVENTS = {
    "done": "task_completed",
    "completed": "task_completed",
    "failed": "task_failed",
}

Kind = Literal["query", "mutation"]
Arguments = dict[str, Any]
#: Runs a function; the call is a QueryCall or a MutationCall, as its kind says.
Handler = Callable[[Any, Arguments], Awaitable[Any]]


class Shape(msgspec.Struct, frozen=True):
    """One way to call a function: its arguments, and what runs then. It is taken when the argument
    has the field ``marker``; a function's first shape has none and is the main app's own.
    """

    fields: Fields
    handler: Handler
    marker: str | None = None


class Function(msgspec.Struct, frozen=True):
    """A function of the main app's backend, as ``dashboard:createBuild``."""

    path: str
    kind: Kind
    shapes: tuple[Shape, ...]
    #: What a caller's token must have.
    scope: Scope
    #: What a call may cost.
    within: Budget

    def shape(self, argument: Arguments) -> Shape:
        """The way in which this argument calls it."""
        return next(
            (shape for shape in self.shapes[1:] if shape.marker in argument), self.shapes[0]
        )


class _Declaration(NamedTuple):
    """What a function declares beside its arguments."""

    kind: Kind
    name: str
    scope: Scope
    within: Budget


class Functions:
    """The functions of one file of the main app."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._found: dict[str, Function] = {}

    def query(
        self,
        name: str,
        fields: Mapping[str, Validator | Optional],
        *,
        scope: Scope = "documents",
        within: Budget = DOCUMENTS,
    ) -> Callable[[Handler], Handler]:
        """Register a query; ``scope`` is ``stats`` where it gives nothing but figures."""
        return self._add(_Declaration("query", name, scope, within), fields)

    def mutation(
        self, name: str, fields: Mapping[str, Validator | Optional], marker: str | None = None
    ) -> Callable[[Handler], Handler]:
        """Register a mutation, or with ``marker`` a further way to call it."""
        return self._add(_Declaration("mutation", name, "publish", CALL), fields, marker)

    def __iter__(self) -> Iterator[Function]:
        return iter(self._found.values())

    def _add(
        self,
        added: _Declaration,
        fields: Mapping[str, Validator | Optional],
        marker: str | None = None,
    ) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            path = f"{self._module}:{added.name}"
            known = self._found[path].shapes if marker else ()
            shape = Shape(Fields(fields), handler, marker)
            self._found[path] = Function(
                path, added.kind, (*known, shape), added.scope, added.within
            )
            return handler

        return register


class QueryCall:
    """A query that runs: one snapshot of the database."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self.clock = clock


class MutationCall:
    """A mutation that runs. Its changes are published when it has ended well, all of them.

    What is to be changed is held first and read then: nobody else changes it until the change
    has been applied. The order of holding is: a PRD, a build, a task.
    """

    def __init__(
        self,
        database: Database,
        *,
        hold: Callable[[str], Awaitable[None]],
        before_reading: Callable[[], Awaitable[None]],
        clock: Clock,
        versions: HybridClock,
    ) -> None:
        self._database = database
        self._before_reading = before_reading
        self._clock = clock
        self._versions = versions
        #: Waits for one's turn with what has this name; it ends with the call.
        self.hold = hold
        self.changes: list[dict[str, Any]] = []

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection to read with; what was written here before is seen."""
        await self._before_reading()
        async with self._database.connection() as connection:
            yield connection

    def now(self) -> str:
        """The time, as documents hold it."""
        return isoformat(self._clock())

    def insert(self, entity: Entity, document: Arguments) -> str:
        """Make a document; the id that it got."""
        number = self._versions.next()
        id_ = new_id(entity, number)
        given = {name: value for name, value in document.items() if value is not None}
        after = {"id": id_, "_creationTime": number / 1000, **given}
        self.changes.append({"entity": entity, "op": "c", "seq": number, "after": after})
        return id_

    def patch(self, entity: Entity, stored: StoredDocument, fields: Arguments) -> None:
        """Give a document these fields; one that is None goes."""
        merged = {**stored.document, **fields}
        after = {
            name: value for name, value in merged.items() if value is not None or name not in fields
        }
        self.changes.append(
            {
                "entity": entity,
                "op": "u",
                "seq": max(self._versions.next(), stored.version + 1),
                "before": stored.document,
                "after": after,
            }
        )

    async def held(self, entity: Entity, id_: str) -> StoredDocument | None:
        """An agent, build or task, held; None where there is none."""
        await self.hold(f"{entity.value}:{id_}")
        async with self.reading() as connection:
            return await by_id(connection, entity, id_)

    def log(
        self, agent: str, event: str, details: str, task_id: str | None = None, **more: Any
    ) -> str:
        """Add an entry to the activity feed; its id."""
        return self.insert(
            Entity.ACTIVITIES,
            {
                "userId": "system",
                "agentName": agent,
                "eventType": event,
                "taskId": task_id,
                "details": details,
                "timestamp": self.now(),
                **more,
            },
        )

    def log_status(
        self, agent: str, what: str, args: Arguments, task_id: str | None = None
    ) -> None:
        """Tell the feed that something got the status, and perhaps the error, of ``args``."""
        status, error = args["status"], args.get("error")
        details = f"{what} {status}: {error}" if error else f"{what} {status}"
        self.log(agent, _EVENTS.get(status, "task_started"), details, task_id)


def shown(stored: StoredDocument) -> Arguments:
    """A document as Convex gives it: ``_id`` instead of ``id``, and its ``_creationTime``."""
    document = {name: value for name, value in stored.document.items() if name != "id"}
    made = document.get("_creationTime")
    if isinstance(made, bool) or not isinstance(made, int | float):
        document["_creationTime"] = to_millis(stored.made_at)
    document["_id"] = stored.id
    return document


def take(limit: float) -> int:
    """How many documents ``take(limit)`` may give; raises FunctionError as Convex does."""
    if not (math.isfinite(limit) and limit.is_integer() and limit >= 0):
        message = "Arg 1 `n` to `take` must be a non-negative integer"
        raise FunctionError(message, "TypeError")
    return min(int(limit), MOST)


def found(stored: StoredDocument | None, what: str) -> StoredDocument:
    """The document; raises FunctionError with the main app's words where there is none."""
    if stored is None:
        raise FunctionError(f"{what} not found")
    return stored
