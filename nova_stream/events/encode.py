"""From a document to the Kafka record that carries its change, as the publisher sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from nova_stream.clock import from_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity, Version
from nova_stream.events.describe import described, quoted
from nova_stream.events.json_text import (
    encode_json,
    parse_json,
    refuse_unstorable,
    refuse_unstorable_text,
    too_deep,
)
from nova_stream.events.names import id_name
from nova_stream.events.normalise import Normaliser
from nova_stream.events.plain import PlainReader
from nova_stream.events.times import time_text

Op = Literal["c", "u", "d", "r"]

_EVENT_WORDS = {"c": "created", "u": "updated", "d": "deleted", "r": "snapshot"}
_READERS = {entity: PlainReader(entity).read for entity in Entity}
_NORMALISERS = {entity: Normaliser(entity).read for entity in Entity}


def validate_document(entity: Entity, document: Mapping[str, Any]) -> None:
    """Checks a document by the rules that its decoding will follow.

    Raises RejectedError with the reason that the dead letter would have.
    """
    if not isinstance(document, Mapping):
        raise RejectedError("wrong_shape", f"the document is {described(document)}, not an object")
    encoded = encode_json(document)
    if b"null" in encoded or b"\\u0000" in encoded:
        refuse_unstorable(document, "the document")  # msgspec writes a NaN as null
    if not _is_plain(entity, encoded):
        _NORMALISERS[entity](parse_json(encoded, "the document"), "$")


def encode_change(
    entity: Entity,
    op: Op,
    document: Mapping[str, Any] | None,
    *,
    before: Mapping[str, Any] | None = None,
    version: Version,
    ts_ms: int,
    source_name: str = "main-app",
) -> bytes:
    """The Debezium record of a change: ``document`` is the new state.

    For a deletion (op ``d``) it is the last known state, or at least ``{"id": ...}``, and becomes
    ``before`` unless that is given. ``ts_ms`` is the time of the change in epoch milliseconds.
    The document is not checked (see ``validate_document``). Raises RejectedError ``bad_op``,
    ``missing_id`` (a deletion of nothing), ``wrong_type`` or ``unstorable_text``.
    """
    if op not in _EVENT_WORDS:
        raise RejectedError("bad_op", f"op is {quoted(op)}; allowed is c, u, r or d")
    after, known = (None, before or document) if op == "d" else (document, before)
    if op == "d" and not (known and known.get(id_name(known))):
        raise RejectedError("missing_id", f"the deletion from {entity.value} names no id")

    number, minor = version
    source = {
        "connector": "nova",
        "name": source_name,
        "seq": number,
        "minor": minor,
        "ts_ms": ts_ms,
    }
    return encode_json(
        {"op": op, "ts_ms": ts_ms, "before": known, "after": after, "source": source}
    )


def encode_key(identity: str) -> bytes:
    """The Kafka key of an entity: its id as UTF-8; raises RejectedError ``unstorable_text``."""
    refuse_unstorable_text(identity, "the id")
    return identity.encode()


def cloudevents_headers(
    entity: Entity,
    op: Op,
    identity: str,
    version: Version,
    *,
    ts_ms: int,
    source_name: str = "main-app",
) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 in Kafka's binary mode.

    ``ce_id`` follows from entity, version and id alone, so that a repetition has the same one.
    Raises RejectedError ``bad_time`` when ``ts_ms`` is outside of the years 1 to 9999.
    """
    try:
        time = time_text(from_millis(ts_ms))
    except OverflowError:
        raise RejectedError("bad_time", f"ts_ms is {quoted(ts_ms)}; allowed are ms") from None
    number, minor = version
    texts = {
        "ce_specversion": "1.0",
        "ce_id": f"{entity.value}:{number}.{minor}:{identity}",
        "ce_source": source_name,
        "ce_type": f"nova.{entity.value}.{_EVENT_WORDS[op]}",
        "ce_time": time,
        "ce_subject": identity,
        "content-type": "application/json",
    }
    return [(name, text.encode()) for name, text in texts.items()]


def _is_plain(entity: Entity, encoded: bytes) -> bool:
    """Whether the document is one that the decoder's fast way takes."""
    try:
        _READERS[entity]([encoded])
    except (ValueError, OverflowError, RecursionError):
        return False
    return not too_deep(encoded)
