"""The shapes in which a change record travels, down to its operation, documents and version.

Debezium's record comes plain, inside of the schema/payload wrapper, or as the data of a
CloudEvent in structured mode; keys come as text, as JSON, or as a struct.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from nova_stream.errors import RejectedError
from nova_stream.events.connect_schema import ColumnType, column_type, document_types
from nova_stream.events.decimals import is_variable_scale
from nova_stream.events.json_text import parse_json, refuse_unstorable_text, whole_number
from nova_stream.events.normalise import read_id
from nova_stream.events.placeholders import PLACEHOLDERS, Placeholders
from nova_stream.events.wording import described, quoted

#: Set when a record is published again; ``record_version`` reads it.
VERSION_HEADER = "nova_version"
MAX_VERSION = 2**63 - 1
MAX_MINOR = 2**31 - 1

#: Create, update, read (a snapshot's row), delete, truncate.
_OPERATIONS = {"c", "u", "r", "d", "t"}
#: A logical decoding message of the source, which changes no entity.
_MESSAGE = "m"
_DIGITS = re.compile(r"[0-9]{1,19}")
_PARTS = ("before", "after")


class Envelope(NamedTuple):
    """A change record's parts, unchecked but for the operation, with their JSON path.

    ``schemas`` has the declared types of the documents' columns where the wrapper tells them.
    """

    op: str
    fields: Mapping[str, Any]
    source: Mapping[str, Any]
    where: str
    schemas: Mapping[str, ColumnType]


def open_envelope(value: bytes, headers: Any) -> Envelope | None:
    """The change record in a Kafka value; None for a tombstone inside of the wrapper,
    and for a logical decoding message (op m).

    Raises RejectedError (bad_json, too_deep, unstorable_text, unstorable_number, wrong_shape,
    bad_op, wrong_type).
    """
    found, where = parse_json(value, "$"), "$"
    attributes: Mapping[str, Any] = {}
    if _is_cloud_event(found, headers):
        attributes = found
        found, where = _event_data(found)
    schemas: Mapping[str, ColumnType] = {}
    if isinstance(found, dict) and "op" not in found and "payload" in found:
        schemas, where = document_types(found.get("schema")), f"{where}.payload"
        found = found["payload"]
        if found is None:
            return None

    if not isinstance(found, dict):
        raise RejectedError(
            "wrong_shape", f"{where} is {described(found)}; a change record is an object"
        )
    return _checked(_with_attributes(found, attributes), where, schemas)


def _checked(
    fields: Mapping[str, Any], where: str, schemas: Mapping[str, ColumnType]
) -> Envelope | None:
    op = fields.get("op")
    if op is None and not any(part in fields for part in _PARTS):
        raise RejectedError(
            "wrong_shape",
            f'{where} is an object without "op"; a change record is '
            '{"op": ..., "before": ..., "after": ..., "source": ...}, or that as "payload"',
        )
    if op == _MESSAGE:
        return None
    if not isinstance(op, str) or op not in _OPERATIONS:
        raise RejectedError("bad_op", f"{where}.op is {quoted(op)}; allowed is c, u, r, d, t or m")

    source = fields.get("source")
    if source is not None and not isinstance(source, dict):
        raise RejectedError(
            "wrong_type", f"{where}.source is {described(source)}; allowed is an object"
        )
    return Envelope(op, fields, source or {}, where, schemas)


def version_number(value: object, where: str) -> int:
    """A version's number, given as a number or as text; raises RejectedError ``bad_version``."""
    is_digits = isinstance(value, str) and _DIGITS.fullmatch(value)
    number = int(str(value)) if is_digits else whole_number(value)
    if number is None or not 0 <= number <= MAX_VERSION:
        _bad_version(value, where, f"a whole number from 0 to {MAX_VERSION}, or its text")
    return number


def version_minor(value: object, where: str) -> int:
    """A version's minor number, 0 where there is none; raises RejectedError ``bad_version``."""
    number = 0 if value is None else whole_number(value)
    if number is None or not 0 <= number <= MAX_MINOR:
        _bad_version(value, where, f"a whole number from 0 to {MAX_MINOR}")
    return number


def key_id(
    key: bytes | None,
    declared: ColumnType | None = None,
    placeholders: Placeholders = PLACEHOLDERS,
) -> str | None:
    """The entity's id in a Kafka key: text, a JSON text, or a struct with ``id``, with or without
    the wrapper. None when there is none. Its type is the one that the key's own schema declares,
    else ``declared``, the document's id's.

    Raises RejectedError ``id_too_long``, ``unstorable_text`` or ``wrong_type``.
    """
    if not key or key == b"null":
        return None
    try:
        found: Any = key.decode()
    except UnicodeDecodeError:
        return None  # no id is in it; whoever needs one says so

    if key.lstrip()[:1] in {b'"', b"{"}:
        found = _parsed_key(key, found)
        found, declared = _id_in_key(found, declared)
    identity = read_id(found, "the key's id", declared, placeholders)
    if identity:
        refuse_unstorable_text(identity, "the key's id")
    return identity


def header(headers: Any, name: str) -> bytes | None:
    """The last value of a Kafka header, given as pairs or as a mapping; names in any case."""
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers or ()
    found = None
    for key, value in pairs:
        if isinstance(key, str) and key.lower() == name and isinstance(value, bytes):
            found = value
    return found


def _id_in_key(found: Any, declared: ColumnType | None) -> tuple[Any, ColumnType | None]:
    """What a key of JSON has as its id, and the type that it has."""
    if isinstance(found, dict) and "id" not in found and "payload" in found:
        of_key, found = column_type(found.get("schema")), found["payload"]
        if not isinstance(found, dict) or is_variable_scale(found):
            declared = of_key or declared
        elif of_key is not None:
            declared = of_key.fields.get("id", declared)
    if isinstance(found, dict) and not is_variable_scale(found):
        found = found.get("id")
    return found, declared


def _parsed_key(key: bytes, text: str) -> Any:
    try:
        return parse_json(key, "the key")
    except RejectedError as error:
        if error.reason != "bad_json":
            raise
        return text  # just text that begins like JSON


def _is_cloud_event(found: object, headers: Any) -> bool:
    if (
        not isinstance(found, dict)
        or "op" in found
        or not ("data" in found or "data_base64" in found)
    ):
        return False
    content_type = header(headers, "content-type") or b""
    return "specversion" in found or content_type.strip().lower().startswith(
        b"application/cloudevents+json"
    )


def _event_data(event: Mapping[str, Any]) -> tuple[Any, str]:
    encoded = event.get("data_base64")
    if encoded is None:
        return event.get("data"), "$.data"
    try:
        data = b64decode(encoded, validate=True)
    except (TypeError, Base64Error, ValueError):
        raise RejectedError(
            "bad_json", f"$.data_base64 is {described(encoded)}, which is not base64"
        ) from None
    return parse_json(data, "$.data_base64"), "$.data_base64"


def _with_attributes(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Debezium's CloudEvents converter keeps operation, time and lsn as attributes."""
    if "op" in fields or "iodebeziumop" not in attributes:
        return fields
    return {
        **fields,
        "op": attributes["iodebeziumop"],
        "ts_ms": attributes.get("iodebeziumtsms"),
        "source": {"lsn": attributes.get("iodebeziumlsn")},
    }


def _bad_version(value: object, where: str, allowed: str) -> NoReturn:
    raise RejectedError("bad_version", f"{where} is {quoted(value)}; allowed is {allowed}")
