"""What publishers offer, the real one and the fake: a call an entity, and one for many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Self, TypedDict, TypeVar, Unpack

from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity
from nova_stream.events.describe import described, quoted
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.publish.position_token import PositionToken

Document = Mapping[str, Any]
Upsert = Literal["c", "u", "r"]
Made = TypeVar("Made")


class Said(TypedDict, total=False):
    """What can be said of a change besides its document, as ``Publisher`` tells it."""

    op: Upsert
    before: Document | None
    seq: int | None
    minor: int
    ts_ms: int | None


class Publisher(ABC):
    """The calls that publish; each returns once its changes are safe, with their position.

    What can be said of a change besides its document, the entity's whole new state:

    - ``op``: ``c`` created, ``u`` updated (if not given), ``r`` read for a snapshot.
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

    async def _upsert(
        self,
        entity: Entity,
        document: Document,
        *,
        op: Upsert = "u",
        before: Document | None = None,
        seq: int | None = None,
        minor: int = 0,
        ts_ms: int | None = None,
    ) -> PositionToken:
        fields = _fields(entity, op, document, before)
        return await self._publish_one(_stamped(fields, seq, minor, ts_ms))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def agent(self, document: Document, **said: Unpack[Said]) -> PositionToken:
        """Publish the new state of an agent."""
        return await self._upsert(Entity.AGENTS, document, **said)

    async def build(self, document: Document, **said: Unpack[Said]) -> PositionToken:
        """Publish the new state of a build."""
        return await self._upsert(Entity.BUILDS, document, **said)

    async def task(self, document: Document, **said: Unpack[Said]) -> PositionToken:
        """Publish the new state of a task."""
        return await self._upsert(Entity.TASKS, document, **said)

    async def execution(self, document: Document, **said: Unpack[Said]) -> PositionToken:
        """Publish the new state of an execution."""
        return await self._upsert(Entity.EXECUTIONS, document, **said)

    async def activity(self, document: Document, **said: Unpack[Said]) -> PositionToken:
        """Publish the new state of an activity."""
        return await self._upsert(Entity.ACTIVITIES, document, **said)

    async def user(self, document: Document, **said: Unpack[Said]) -> PositionToken:
        """Publish the new state of a user."""
        return await self._upsert(Entity.USERS, document, **said)

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


def made(
    changes: Iterable[ChangeLine | Document], make: Callable[[ChangeLine], Made]
) -> Iterator[Made]:
    """What ``make`` makes of each change, checked first where it is a mapping.

    Raises RejectedError with the reason that the dead letter would have; it names the change.
    """
    for index, change in enumerate(changes):
        try:
            yield make(change if isinstance(change, ChangeLine) else _checked(change))
        except RejectedError as error:
            error.args = (f"changes[{index}]: {error}",)
            raise


def _checked(fields: Document) -> ChangeLine:
    try:
        return change_line(fields)
    except RejectedError as error:
        error.args = (f"{_name(fields)}{error}",)
        raise


def _name(fields: Any) -> str:
    """Entity and id of a change that is not right, as far as it has them, for its error."""
    if not isinstance(fields, Mapping) or not isinstance(fields.get("entity"), str):
        return ""
    documents = (fields.get("after"), fields.get("before"))
    ids = [document.get("id") for document in documents if isinstance(document, Mapping)]
    known = next((quoted(id_) for id_ in ids if id_ is not None), "without an id")
    return f"{fields['entity']} {known}: "


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
    return _checked({**fields, "seq": seq, "minor": minor, "ts_ms": ts_ms})


def _plain(document: Document) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise RejectedError("wrong_shape", f"the document is {described(document)}, not an object")
    return dict(document)
