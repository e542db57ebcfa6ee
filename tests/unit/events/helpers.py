"""Records and documents to test with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from nova_stream.errors import RejectedError
from nova_stream.events.change import Change, Entity
from tests.decoding import decode

NOON = datetime(2026, 2, 20, 12, tzinfo=UTC)
NOON_MS = 1771588800000
NOON_TEXT = "2026-02-20T12:00:00.000Z"
MARK = "__debezium_unavailable_value"
MARK_OF_BYTES = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="

#: A document of each kind, in the main app's own form.
DOCUMENTS: dict[Entity, dict[str, Any]] = {
    Entity.AGENTS: {
        "id": "agent-ATLAS",
        "name": "ATLAS",
        "role": "documentation",
        "domain": "docs",
        "model": "cloud-a",
        "gates": ["schema"],
        "createdAt": NOON_TEXT,
    },
    Entity.BUILDS: {
        "id": "b-1",
        "prdId": "prd-1",
        "prdName": "Lumen meadow",
        "status": "completed",
        "startedAt": "2026-02-20T11:00:00.250Z",
        "completedAt": NOON_TEXT,
    },
    Entity.TASKS: {
        "id": "t-1",
        "buildId": "b-1",
        "taskId": "T001",
        "title": "Test the indigo",
        "agent": "ATLAS",
        "status": "running",
        "dependencies": ["t-0"],
        "phase": 1,
        "attempts": 2,
        "createdAt": NOON_TEXT,
        "output": None,
    },
    Entity.EXECUTIONS: {
        "id": "e-1",
        "taskId": "t-1",
        "agent": "ATLAS",
        "model": "cloud-a",
        "prompt": "Do it",
        "response": "Done",
        "gatesPassed": True,
        "duration": 929,
        "timestamp": NOON_TEXT,
    },
    Entity.ACTIVITIES: {
        "id": "a-1",
        "userId": "user-1",
        "agentName": "ATLAS",
        "eventType": "task_completed",
        "details": "aurora cinder",
        "timestamp": NOON_TEXT,
    },
    Entity.USERS: {
        "id": "u-1",
        "userId": "user-1",
        "email": "u1@example.org",
        "tier": "pro",
        "globalWisdomOptIn": False,
        "createdAt": NOON_TEXT,
        "lastActiveAt": NOON_TEXT,
    },
}


@dataclass(frozen=True)
class Record:
    """A Kafka record, as the decoder needs it."""

    value: bytes | None
    key: bytes | None = None
    offset: int = 41
    timestamp: int = NOON_MS + 5_000
    headers: Any = ()


def envelope(after: Any, op: str = "u", **fields: Any) -> dict[str, Any]:
    """A change record around ``after``; ``fields`` replace what stands in it."""
    source = {"connector": "nova", "name": "main-app", "seq": 7, "minor": 0, "ts_ms": NOON_MS}
    record = {"op": op, "ts_ms": NOON_MS, "before": None, "after": after, "source": source}
    return record | fields


def document(entity: Entity, **fields: Any) -> dict[str, Any]:
    """The entity's document with ``fields`` replaced."""
    return DOCUMENTS[entity] | fields


def wrapped(payload: Any, **columns: Any) -> dict[str, Any]:
    """``payload`` in Connect's wrapper; ``columns`` are the schemas of the documents' fields."""
    fields = [
        {"field": name, **(schema if isinstance(schema, dict) else {"name": schema})}
        for name, schema in columns.items()
    ]
    parts = [{"type": "struct", "field": part, "fields": fields} for part in ("before", "after")]
    return {"schema": {"type": "struct", "fields": parts}, "payload": payload}


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def read(entity: Entity, value: Any, **record: Any) -> Change:
    """Decodes ``value`` (a JSON value, or bytes as they are) and expects a change."""
    data = value if isinstance(value, bytes) else dumps(value)
    change = decode(entity, Record(data, **record), 3)
    assert change is not None
    return change


def doc_of(change: Change) -> Any:
    assert change.doc is not None
    return json.loads(change.doc)


def rejected(call: Callable[[], object]) -> RejectedError:
    """The rejection that ``call`` raises."""
    with pytest.raises(RejectedError) as caught:
        call()
    return caught.value


def reason(entity: Entity, value: Any, **record: Any) -> str:
    """The reason why a value is rejected."""
    return rejected(lambda: read(entity, value, **record)).reason


def without(mapping: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    dropped = set(names)
    return {name: value for name, value in mapping.items() if name not in dropped}
