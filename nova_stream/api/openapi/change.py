"""A change as the OpenAPI document tells it: what ``POST /api/v1/events`` takes."""

from __future__ import annotations

from typing import Any

from nova_stream.events.change import Entity

CHANGE: dict[str, Any] = {
    "title": "Change",
    "type": "object",
    "required": ["entity"],
    "properties": {
        "entity": {"type": "string", "enum": [entity.value for entity in Entity]},
        "op": {
            "type": ["string", "null"],
            "enum": ["c", "u", "d", "r", None],
            "description": "created, updated, deleted, read for a snapshot; "
            "u if not given, d without `after`",
        },
        "seq": {
            "type": ["integer", "string", "null"],
            "description": "The version: a whole number, or its text, that rises with each change "
            "of one entity.",
        },
        "minor": {"type": ["integer", "null"], "minimum": 0},
        "ts_ms": {
            "type": ["integer", "string", "null"],
            "description": "The time of the change: epoch milliseconds, or ISO 8601.",
        },
        "after": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "description": "The document, whole.",
        },
        "before": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "description": "The document before the change; a deletion needs its id.",
        },
    },
}
_REF = {"$ref": "#/components/schemas/Change"}
#: One change, or a list of them.
CHANGES: dict[str, Any] = {"oneOf": [_REF, {"type": "array", "items": _REF}]}
