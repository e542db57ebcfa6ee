"""What publishers offer, the real one and the fake: a call an entity, and one for many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.events.wording import described
from nova_stream.publish.position_token import PositionToken

Document = Mapping[str, Any]
Upsert = Literal["c", "u", "r"]


class Publisher(ABC):
    """The calls that publish; each returns once its changes are safe, with their position.

    What can be said of a change besides its document, the entity's whole new state:

    - ``op``: ``c`` created, ``u`` updated, ``r`` read for a snapshot.
    - ``before``: its state before the change, where that is known.
    - ``seq`` and ``minor``: the version. Of one entity's changes the one with the highest counts,
      whatever the order in which they arrive. Without ``seq`` the clock gives it, in
      microseconds: give it always or never for one entity.
    - ``ts_ms``: the time of the change in epoch milliseconds; now, if not given.

    All calls raise RejectedError for what would become a dead letter, with the reason that it
    would have there, before it is sent.
    """

    @abstractmethod
    async def start(self) -> None:
        """Make ready to publish; ``async with`` does it."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything; may be repeated."""

    @abstractmethod
    async def publish(self, changes: Iterable[ChangeLine | Document]) -> PositionToken:
        """Publish many changes, of any entities, in their order.

        A change is a mapping of the JSON Lines shape (``{"entity": "tasks", "after": {...}}``),
        or what ``parse_line`` or ``change_line`` made, which is not checked again.
        """

    @abstractmethod
    async def _publish_one(self, change: ChangeLine) -> PositionToken:
        """Publish one checked change."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def agent(
        self,
        document: Document,
        *,
        op: Upsert = "u",
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        """Publish the new state of an agent."""
        fields = _fields(Entity.AGENTS, op, document, before)
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))

    async def build(
        self,
        document: Document,
        *,
        op: Upsert = "u",
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        """Publish the new state of a build."""
        fields = _fields(Entity.BUILDS, op, document, before)
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))

    async def task(
        self,
        document: Document,
        *,
        op: Upsert = "u",
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        """Publish the new state of a task."""
        fields = _fields(Entity.TASKS, op, document, before)
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))

    async def execution(
        self,
        document: Document,
        *,
        op: Upsert = "u",
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        """Publish the new state of an execution."""
        fields = _fields(Entity.EXECUTIONS, op, document, before)
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))

    async def activity(
        self,
        document: Document,
        *,
        op: Upsert = "u",
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        """Publish the new state of an activity."""
        fields = _fields(Entity.ACTIVITIES, op, document, before)
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))

    async def user(
        self,
        document: Document,
        *,
        op: Upsert = "u",
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        """Publish the new state of a user."""
        fields = _fields(Entity.USERS, op, document, before)
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))

    async def delete(
        self,
        entity: Entity | str,
        id: str,  # noqa: A002  (as the documents call it)
        *,
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        """Publish the deletion of an entity (``tasks``); ``before`` is its last known state."""
        fields = {"entity": entity, "op": "d", "before": {**(before or {}), "id": id}}
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))


def checked(change: ChangeLine | Document) -> ChangeLine:
    """A change given as a mapping, checked; a ChangeLine has been already.

    Raises RejectedError with the reason that the dead letter would have.
    """
    return change if isinstance(change, ChangeLine) else change_line(change)


def _fields(entity: Entity, op: str, document: Document, before: Document | None) -> dict[str, Any]:
    if op == "d":
        raise RejectedError("bad_op", "a deletion is published with delete(entity, id)")
    return {
        "entity": entity,
        "op": op,
        "after": _plain(document),
        "before": None if before is None else _plain(before),
    }


def _stamped(fields: dict[str, Any], seq: int | None, minor: int, ts_ms: int | None) -> ChangeLine:
    return change_line({**fields, "seq": seq, "minor": minor, "ts_ms": ts_ms})


def _plain(document: Document) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise RejectedError("wrong_shape", f"the document is {described(document)}, not an object")
    return dict(document)
