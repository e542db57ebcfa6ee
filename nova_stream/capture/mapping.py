"""From a document of the deployment to the change of an entity.

The main app's tables are those of its schema. A document keeps its fields; ``_id`` becomes ``id``,
and ``_creationTime`` gives ``createdAt`` where an entity has that and the document has not.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nova_stream.capture.client import Row
from nova_stream.capture.values import plain_value
from nova_stream.clock import from_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity
from nova_stream.events.documents import RULES
from nova_stream.events.encode import Op, validate_document
from nova_stream.events.lines import ChangeLine, change_line
from nova_stream.events.times import time_text

#: The main app's tables, in the order in which a snapshot reads them: whoever is named comes
#: before who names it.
TABLES: dict[str, Entity] = {
    "agents": Entity.AGENTS,
    "builds": Entity.BUILDS,
    "tasks": Entity.TASKS,
    "executions": Entity.EXECUTIONS,
    "agentActivityFeed": Entity.ACTIVITIES,
    "userProfiles": Entity.USERS,
}

#: Of the fields that begin with an underscore, those that belong to the document.
_OWN = "_creationTime"
_NANOS = 1_000_000
#: Epoch milliseconds that every reader takes for milliseconds.
_MILLIS = range(10**11, 10**14)
_HAS_CREATED_AT = frozenset(entity for entity in Entity if "createdAt" in RULES[entity])


class Rejection(NamedTuple):
    """A document that cannot be applied: what a record of it holds, and why."""

    entity: Entity
    id: str
    op: Op
    seq: int
    ts_ms: int | None
    document: dict[str, Any]
    reason: RejectedError


def entity_of(row: Row) -> Entity | None:
    """The entity of a row; None for tables that are none of the main app's own, those of its
    components among them.
    """
    return None if row.component else TABLES.get(row.table)


def change_of(entity: Entity, row: Row, *, op: Op) -> ChangeLine | Rejection:
    """The change that a row stands for; ``op`` is ``r`` in a snapshot and ``u`` for a delta.

    The version is the time of the row's transaction, in the source's nanoseconds.
    """
    if row.deleted:
        return deletion(entity, row.id, row.ts)

    ts_ms = time_of(row.ts)
    document: dict[str, Any] = {}
    try:
        document = document_of(entity, row)
        validate_document(entity, document)
    except ValueError as error:
        reason = RejectedError("wrong_type", f"not a Convex document: {error}")
        return Rejection(entity, row.id, op, row.ts, ts_ms, {**row.fields, "id": row.id}, reason)
    except RejectedError as error:
        return Rejection(entity, row.id, op, row.ts, ts_ms, document, error)
    # Id, version and time are what a line's must be: the client has seen to it.
    return ChangeLine(
        entity=entity,
        id=row.id,
        op=op,
        seq=row.ts,
        minor=0,
        ts_ms=ts_ms,
        after=document,
        before=None,
    )


def deletion(entity: Entity, identity: str, version: int) -> ChangeLine:
    """The deletion of a document as of the source's time ``version``."""
    return change_line(
        {
            "entity": entity,
            "op": "d",
            "seq": version,
            "ts_ms": time_of(version),
            "before": {"id": identity},
        }
    )


def time_of(version: int) -> int | None:
    """The source's nanoseconds as epoch milliseconds; None, that is now, where they are none."""
    millis = version // _NANOS
    return millis if millis in _MILLIS else None


def document_of(entity: Entity, row: Row) -> dict[str, Any]:
    """The document that a row stands for; raises ValueError for what holds no value of Convex."""
    document = {
        name: plain_value(value)
        for name, value in row.fields.items()
        if not name.startswith("_") or name == _OWN
    }
    document["id"] = row.id
    if entity in _HAS_CREATED_AT and document.get("createdAt") is None:
        created = row.fields.get(_OWN)
        if isinstance(created, int | float) and math.floor(created) in _MILLIS:
            document["createdAt"] = time_text(from_millis(math.floor(created)))
    return document
