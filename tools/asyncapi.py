"""The AsyncAPI 3 document: topics, keys, headers, and who sends and receives what."""

from __future__ import annotations

from typing import Any

from nova_stream.events.change import Entity

_HEADERS = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode; a record without headers is fine.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "Follows from entity, version and id."},
        "ce_source": {"type": "string"},
        "ce_type": {
            "type": "string",
            "pattern": r"^nova\.[a-z]+\.(created|updated|deleted|snapshot)$",
        },
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_subject": {"type": "string", "description": "The entity's id."},
        "content-type": {"type": "string"},
        "nova_version": {
            "type": "string",
            "pattern": "^(offset:[0-9]{1,19}|lsn(:[0-9]{1,18}){4})$",
            "description": "Of a dead letter that is published again: its version, where that is "
            "the offset which it had, or where a record with an lsn stood.",
        },
    },
}


def asyncapi_document() -> dict[str, Any]:
    """The document, for topics of the default prefix; payloads refer to the schema files."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "nova-stream change events",
            "version": "1.0.0",
            "description": "Changes of the main app's entities, one topic an entity, as Debezium "
            "change records. The key of a record is the entity's id; a null value after a "
            "deletion is a tombstone and is ignored, but deletes on a topic of rows without an "
            "envelope.",
        },
        "defaultContentType": "application/json",
        "channels": {entity.value: _channel(entity) for entity in Entity},
        "operations": {
            f"{action}{entity.value.capitalize()}": _operation(action, entity)
            for entity in Entity
            for action in ("receive", "send")
        },
        "components": {
            "messages": {f"{entity.value}Change": _message(entity) for entity in Entity},
            "messageTraits": {"cloudEvent": {"headers": _HEADERS}},
        },
    }


def _channel(entity: Entity) -> dict[str, Any]:
    name = f"{entity.value}Change"
    return {
        "address": f"nova.{entity.value}",
        "description": f"Changes of {entity.value}; any number of partitions.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {"kafka": {"topic": f"nova.{entity.value}"}},
    }


def _operation(action: str, entity: Entity) -> dict[str, Any]:
    does = "Applies" if action == "receive" else "Publishes"
    name = f"{entity.value}Change"
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{entity.value}"},
        "summary": f"{does} changes of {entity.value}.",
        "messages": [{"$ref": f"#/channels/{entity.value}/messages/{name}"}],
    }


def _message(entity: Entity) -> dict[str, Any]:
    return {
        "name": f"{entity.value}Change",
        "title": f"A change of one of the {entity.value}",
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./nova.{entity.value}.schema.json"},
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "The entity's id, as plain UTF-8."},
                "bindingVersion": "0.5.0",
            }
        },
    }
