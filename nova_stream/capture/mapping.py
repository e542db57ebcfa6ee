"""From a document of the deployment to the change of an entity.

The main app's tables are those of its schema. A document keeps its fields; ``_id`` becomes ``id``,
and ``_creationTime`` gives ``createdAt`` where an entity has that and the document has not.
"""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any, NamedTuple

from nova_stream.capture.client import Row
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


#: Floats are whole numbers of JavaScript up to here.
_EXACT = 2.0**53


def plain_value(value: Any) -> Any:
    """A value of the export in plain JSON, as the main app would write it.

    The export is asked for in the lossless form: an int64 is ``{"$integer": …}``, bytes are
    ``{"$bytes": …}``, and floats that JSON has no word for are ``{"$float": …}``, each in base64.
    Floats without a fraction become whole numbers, as JavaScript writes them; an int64 is a
    number; bytes are base64; NaN and the infinities are ``NaN``, ``Infinity`` and ``-Infinity``
    as text. Raises ValueError for what is no value of Convex.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is int:
        return value
    if kind is float:
        return int(value) if value.is_integer() and -_EXACT <= value <= _EXACT else value
    if kind is list:
        return [plain_value(item) for item in value]
    if len(value) == 1:
        (name, item), *_ = value.items()
        if name in _SPECIAL:
            return _special(name, item)
    return {name: plain_value(item) for name, item in value.items()}


def _special(name: str, item: Any) -> Any:
    if not isinstance(item, str):
        raise ValueError(f"{name} holds no text")  # noqa: TRY004 - a value, as all the others
    try:
        data = b64decode(item, validate=True)
    except (Base64Error, ValueError):
        raise ValueError(f"{name} holds no base64") from None
    if name != "$bytes" and len(data) != 8:
        raise ValueError(f"{name} holds {len(data)} bytes instead of 8")
    return _SPECIAL[name](data, item)


def _float(data: bytes, _text: str) -> Any:
    number: float = struct.unpack("<d", data)[0]
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return plain_value(number)  # the negative zero is a zero


#: What each special object stands for, of its bytes and their text.
_SPECIAL: dict[str, Callable[[bytes, str], Any]] = {
    "$integer": lambda data, _text: int.from_bytes(data, "little", signed=True),
    "$float": _float,
    "$bytes": lambda _data, text: text,
}
