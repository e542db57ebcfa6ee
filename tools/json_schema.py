"""JSON Schemas (draft 2020-12) of the change records, made from the rules that decoding follows.

What a schema cannot say (a calendar's days, bytes instead of characters, whether text holds
JSON) is left to the decoder: it may reject more, never accept what a schema refuses.
"""

from __future__ import annotations

from typing import Any

from nova_stream.events.change import Entity
from nova_stream.events.decimals import FLAG_TEXT, NUMBER_TEXT, POSITIVE_TEXT
from nova_stream.events.documents import (
    COLUMN_NAMES,
    MAX_NUMBER,
    RULES,
    Kind,
    Rule,
)
from nova_stream.events.durations import CLOCK_FIELDS, DURATION_FIELDS, LENGTH_TEXT
from nova_stream.events.envelope import MAX_MINOR, MAX_VERSION
from nova_stream.events.field_readers import NO_NUMBER
from nova_stream.events.placeholders import DEFAULT, DEFAULT_BASE64, DEFAULT_UUID
from nova_stream.events.times import BEYOND_TEXT, TIME_TEXT

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LIST_TEXT = r"^[ \t\r\n]*\[[\s\S]*\][ \t\r\n]*$"
_VERSION = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": MAX_VERSION},
        {"type": "string", "pattern": "^[0-9]{1,19}$"},
        {"type": "null"},
    ]
}
_DECIMAL = {
    "description": "Debezium's VariableScaleDecimal",
    "type": "object",
    "required": ["scale", "value"],
    "additionalProperties": False,
    "properties": {
        "scale": {"type": "integer"},
        "value": {"type": "string", "contentEncoding": "base64"},
    },
}
_DECIMAL_REF = {"$ref": "#/$defs/decimal"}
_PART = {"type": ["integer", "null"]}
_INSTANT: list[Schema] = [{"type": "string", "pattern": TIME_TEXT}, {"type": "number"}]
_TIME = {
    "description": "ISO 8601 with any offset (none = UTC), or an epoch in s, ms, us or ns of the "
    "years 1973 to 5138, told apart by magnitude; what no year from 1 to 9999 has becomes null",
    "anyOf": [
        *_INSTANT,
        {"type": "string", "pattern": BEYOND_TEXT},
        _DECIMAL_REF,
        {
            "description": "Debezium's StructuredDate, StructuredTimestamp, "
            "StructuredZonedTimestamp",
            "type": "object",
            "required": ["year", "month", "day", "specialValue"],
            "properties": dict.fromkeys(("year", "month", "day"), _PART),
        },
    ],
}
_LARGEST = float(MAX_NUMBER)
_NUMBER = {
    "anyOf": [
        {"type": "number", "minimum": -_LARGEST, "maximum": _LARGEST},
        {"type": "string", "pattern": NUMBER_TEXT},
        {"enum": sorted(NO_NUMBER)},
        _DECIMAL_REF,
    ]
}
_DURATION = {
    "description": "milliseconds, an ISO 8601 duration without months, or a time of day in UTC",
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": _LARGEST},
        {"type": "string", "pattern": POSITIVE_TEXT},
        {"type": "string", "pattern": LENGTH_TEXT},
        {"enum": sorted(NO_NUMBER)},
        _DECIMAL_REF,
        *(
            {
                "description": f"Debezium's {name}",
                "type": "object",
                "required": list(parts),
                "properties": dict.fromkeys(parts, _PART),
            }
            for name, parts in (
                ("StructuredDuration", DURATION_FIELDS),
                ("StructuredTime", CLOCK_FIELDS),
            )
        ),
    ],
}
_LIST = {
    "anyOf": [
        {"type": "array"},
        {"type": "string", "contentMediaType": "application/json", "pattern": _LIST_TEXT},
    ]
}
_BY_KIND: dict[Kind, Schema] = {
    Kind.TIME: _TIME,
    Kind.NUMBER: _NUMBER,
    Kind.DURATION: _DURATION,
    Kind.FLAG: {
        "anyOf": [
            {"enum": [True, False, 0, 1]},
            {"type": "string", "pattern": FLAG_TEXT},
            _DECIMAL_REF,
        ]
    },
    Kind.LIST: _LIST,
}


def record_schema(entity: Entity) -> Schema:
    """The schema of the values of an entity's topic, with the document in ``$defs``."""
    word = entity.value
    return {
        "$schema": DIALECT,
        "$id": f"urn:nova-stream:nova.{word}",
        "title": f"nova.{word}",
        "description": f"A change of one of the {word}: a Debezium change record, plain, inside of "
        "the schema/payload wrapper, or as the data of a CloudEvent; or its row alone, "
        "flattened. The Kafka key is the id.",
        "anyOf": [
            {"$ref": "#/$defs/record"},
            {"$ref": "#/$defs/wrapped"},
            {"$ref": "#/$defs/cloudEvent"},
            {"$ref": "#/$defs/row"},
        ],
        "$defs": {
            "document": document_schema(entity),
            "record": _RECORD,
            "source": _SOURCE,
            "row": _ROW,
            "wrapped": _WRAPPED,
            "cloudEvent": _CLOUD_EVENT,
            "identity": _IDENTITY,
            "unavailable": _UNAVAILABLE,
            "decimal": _DECIMAL,
            **{kind.value: schema for kind, schema in _BY_KIND.items()},
        },
    }


def document_schema(entity: Entity) -> Schema:
    """The schema of an entity's document; it refers to ``$defs`` of ``record_schema``."""
    rules = RULES[entity]
    columns = ", ".join(sorted(COLUMN_NAMES[entity]))
    return {
        "description": "The whole document. Unknown fields are kept as they are. The columns "
        f"{columns} are read as well, by the rules of their camelCase names.",
        "type": "object",
        "required": [name for name, rule in rules.items() if rule.required],
        "properties": {name: _field(rule) for name, rule in rules.items()},
    }


def _field(rule: Rule) -> Schema:
    if rule.kind is Kind.ID:
        return {"$ref": "#/$defs/identity"}
    if rule.kind in {Kind.JSON, Kind.ANY}:
        return {}
    allowed = (
        [_of_text(rule)]
        if rule.kind in {Kind.TEXT, Kind.REFERENCE}
        else [{"$ref": f"#/$defs/{rule.kind.value}"}]
    )
    if rule.kind is Kind.REFERENCE:
        allowed += [{"type": "integer"}, _DECIMAL_REF]
    if not rule.required:
        allowed.append({"type": "null"})
    return {"anyOf": [*allowed, {"$ref": "#/$defs/unavailable"}]}


def _of_text(rule: Rule) -> Schema:
    if rule.allowed:
        return {"enum": list(rule.allowed)}
    return {"type": "string"} | ({"maxLength": rule.max_bytes} if rule.max_bytes else {})


_IDENTITY: Schema = {
    "description": "At most 1024 bytes of UTF-8; a number is read as its text. When it is missing, "
    "the Kafka key stands in.",
    "anyOf": [
        {"type": "string", "minLength": 1, "maxLength": 1024},
        {"type": "integer"},
        _DECIMAL_REF,
    ],
    "not": {"$ref": "#/$defs/unavailable"},
}
_ENTRY = f'{{"{DEFAULT}":"{DEFAULT}"}}'
_UNAVAILABLE: Schema = {
    "description": "Debezium's mark of a large column that did not change: what is known stays.",
    "anyOf": [
        {"enum": [DEFAULT, DEFAULT_BASE64, _ENTRY]},
        {
            "description": "In lists of texts, of bytes, of UUIDs, and of numbers or dates.",
            "enum": [[DEFAULT], [DEFAULT_BASE64], [DEFAULT_UUID], list(DEFAULT.encode())],
        },
        {"const": {DEFAULT: DEFAULT}},
    ],
}
_SOURCE: Schema = {
    "description": "Where the change comes from. The version is (seq, minor), else (lsn, minor), "
    "else (Kafka offset, minor); a change counts only when its version is greater.",
    "type": ["object", "null"],
    "properties": {
        "connector": {},
        "name": {},
        "seq": _VERSION,
        "minor": {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_MINOR},
                {"type": "null"},
            ]
        },
        "ts_ms": {"anyOf": [*_INSTANT, {"type": "null"}]},
    },
    "if": {"not": {"required": ["seq"], "properties": {"seq": {"not": {"type": "null"}}}}},
    "then": {"properties": {"lsn": _VERSION}},
}
_DELETION: Schema = {
    "properties": {
        "before": {
            "properties": {
                "id": {
                    "anyOf": [
                        {"type": "string", "maxLength": 1024},
                        {"type": ["integer", "null"]},
                        _DECIMAL_REF,
                        {"$ref": "#/$defs/unavailable"},
                    ]
                }
            }
        }
    }
}
_CHANGE: Schema = {
    "properties": {
        "ts_ms": {"anyOf": [*_INSTANT, {"type": "null"}]},
        "source": {"$ref": "#/$defs/source"},
        "before": {"description": "The last known state; only its id is read, of a deletion."},
    },
    "if": {"properties": {"op": {"enum": ["d", "t"]}}},
    "then": {"if": {"properties": {"op": {"const": "d"}}}, "then": _DELETION},
    "else": {"required": ["after"], "properties": {"after": {"$ref": "#/$defs/document"}}},
}
_RECORD: Schema = {
    "description": "c = created, u = updated, r = snapshot, d = deleted; of a deletion, after is "
    "null and the id is before.id, else the Kafka key. t = truncated: all of them are deleted. "
    "m = a message of the source's log, which is ignored whatever it holds.",
    "type": "object",
    "required": ["op"],
    "properties": {"op": {"enum": ["c", "u", "d", "r", "t", "m"]}},
    "if": {"properties": {"op": {"const": "m"}}},
    "else": _CHANGE,
}
_DELETED: Schema = {
    "anyOf": [
        {"required": ["__deleted"], "properties": {"__deleted": {"enum": ["true", True]}}},
        {"required": ["__op"], "properties": {"__op": {"const": "d"}}},
    ]
}
_ROW: Schema = {
    "description": "The row alone, as ExtractNewRecordState writes it, with or without what it "
    "adds; of such a topic a tombstone deletes what its key names.",
    "type": "object",
    "properties": {
        "__op": {"enum": ["c", "u", "d", "r", None]},
        "__deleted": {"enum": ["true", "false", True, False, None]},
    },
    "not": {
        "anyOf": [
            {"required": [name]} for name in ("op", "before", "after", "payload", "specversion")
        ]
    },
    "if": _DELETED,
    "then": {"required": ["id"], "properties": {"id": {"$ref": "#/$defs/identity"}}},
    "else": {"$ref": "#/$defs/document"},
}
_WRAPPED: Schema = {
    "description": "As Kafka Connect's JSON converter writes it with schemas; a null payload is a "
    "tombstone.",
    "type": "object",
    "required": ["payload"],
    "properties": {
        "schema": {"description": "Its columns' types tell what the values mean."},
        "payload": {"type": ["object", "null"]},
    },
    "not": {"required": ["op"]},
    "if": {"properties": {"schema": {"required": ["fields"], "type": "object"}}},
    "else": {
        "properties": {
            "payload": {
                "anyOf": [{"$ref": "#/$defs/record"}, {"$ref": "#/$defs/row"}, {"type": "null"}]
            }
        }
    },
}
_CLOUD_EVENT: Schema = {
    "description": "CloudEvents 1.0 in structured mode.",
    "type": "object",
    "required": ["specversion"],
    "anyOf": [
        {
            "required": ["data"],
            "properties": {
                "data": {"anyOf": [{"$ref": "#/$defs/record"}, {"$ref": "#/$defs/wrapped"}]}
            },
        },
        {
            "description": "As Debezium's CloudEvents converter writes it.",
            "required": ["data", "iodebeziumop"],
        },
        {
            "required": ["data_base64"],
            "properties": {"data_base64": {"type": "string", "contentEncoding": "base64"}},
        },
    ],
    "not": {"required": ["op"]},
}
