"""The id in a Kafka key: text, JSON, a struct with or without the wrapper, or framed."""

from __future__ import annotations

from typing import Any

from nova_stream.errors import RejectedError
from nova_stream.events import mongodb
from nova_stream.events.connect_schema import ColumnType, column_type
from nova_stream.events.decimals import is_variable_scale
from nova_stream.events.forms import ANY_ENTITY, Forms
from nova_stream.events.framing import KEY_HEADER, framed, unframe
from nova_stream.events.json_text import parse_json, refuse_unstorable_text
from nova_stream.events.names import id_name
from nova_stream.events.normalise import read_id

_WHERE = "the key's id"
#: A key that is no JSON is text, whatever the document's id is declared to be.
_TEXT = ColumnType("string")


def key_id(
    key: bytes | None,
    declared: ColumnType | None = None,
    forms: Forms = ANY_ENTITY,
    headers: Any = (),
    *,
    of_mongodb: bool = False,
) -> str | None:
    """The entity's id in a Kafka key, None when there is none. Its type is the one that the key's
    own schema declares, else ``declared``, the document's id's; ``of_mongodb`` it is Extended JSON.

    Raises RejectedError ``id_too_long``, ``unstorable_text`` or ``wrong_type``, and what a framed
    key is refused for; and SchemaNeededError.
    """
    if not key or key == b"null":
        return None
    found, of_key = _content(key, headers, forms)
    found, declared = _id_in(found, of_key, declared)
    if of_mongodb and isinstance(found, str):
        found, declared = mongodb.key_value(found, _WHERE), None
    identity = read_id(found, _WHERE, declared, forms.placeholders)
    if identity:
        refuse_unstorable_text(identity, _WHERE)
    return identity


def _content(key: bytes, headers: Any, forms: Forms) -> tuple[Any, ColumnType | None]:
    """What is in the key, and the type that its own schema declares."""
    framing = framed(key, headers, KEY_HEADER)
    if framing is not None:
        unframed = unframe(framing, forms.schemas, "the key")
        return unframed.content, unframed.declared
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return None, None  # no id is in it; whoever needs one says so

    if key.lstrip()[:1] not in {b'"', b"{"}:
        return text, _TEXT
    found = _parsed(key, text)
    if isinstance(found, dict) and "id" not in found and "payload" in found:
        return found["payload"], column_type(found.get("schema"))
    return found, None


def _id_in(
    found: Any, of_key: ColumnType | None, declared: ColumnType | None
) -> tuple[Any, ColumnType | None]:
    """The id in what a key has, and its type."""
    if not isinstance(found, dict) or is_variable_scale(found):
        return found, of_key or declared
    name = id_name(found)
    if name not in found and "_id" in found:
        name = "_id"
    return found.get(name), declared if of_key is None else of_key.fields.get(name, declared)


def _parsed(key: bytes, text: str) -> Any:
    try:
        return parse_json(key, "the key")
    except RejectedError as error:
        if error.reason != "bad_json":
            raise
        return text  # just text that begins like JSON
