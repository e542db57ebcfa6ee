"""The shapes in which a change record travels, down to its operation, documents and version.

Debezium's record comes plain, inside of the schema/payload wrapper, as the data of a CloudEvent in
structured mode, or framed for a Schema Registry; as a whole or flattened to its row; MongoDB's
with its documents as text. Keys come as text, as JSON, as a struct, or framed.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, NoReturn

from nova_stream.errors import RejectedError
from nova_stream.events import mongodb
from nova_stream.events.change import header
from nova_stream.events.connect_schema import ColumnType, column_type
from nova_stream.events.describe import described, quoted
from nova_stream.events.flattened import is_flattened, open_flattened
from nova_stream.events.forms import ANY_ENTITY, Forms
from nova_stream.events.framing import VALUE_HEADER, framed, unframe
from nova_stream.events.json_text import parse_json, whole_number

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
_WRAPPER = {"schema", "payload"}
#: Fields of a source that have a meaning here, and what a CloudEvent calls them.
_SOURCE_ATTRIBUTES = {
    "connector": "iodebeziumconnector",
    "lsn": "iodebeziumlsn",
    "ts_ms": "iodebeziumtsms",
}


class Envelope(NamedTuple):
    """A change record's parts, unchecked but for the operation, with their JSON path.

    ``schemas`` has the declared types of the documents' columns where a schema tells them.
    """

    op: str
    fields: Mapping[str, Any]
    source: Mapping[str, Any]
    where: str
    schemas: Mapping[str, ColumnType]
    #: Whether the record is the row itself, without an envelope around it.
    flattened: bool = False

    @property
    def document(self) -> str:
        """The JSON path of the document."""
        return self.where if self.flattened else f"{self.where}.after"

    @property
    def deleted_document(self) -> str:
        """The JSON path of the document that a deletion had."""
        return self.where if self.flattened else f"{self.where}.before"

    @property
    def of_mongodb(self) -> bool:
        """Whether MongoDB's connector wrote it, with Extended JSON in its key."""
        return not self.flattened and self.source.get("connector") == mongodb.CONNECTOR


class _Content(NamedTuple):
    """What is in a value or a key, with its JSON path and its declared type."""

    found: Any
    where: str
    declared: ColumnType | None = None


def open_envelope(value: bytes, headers: Any, forms: Forms = ANY_ENTITY) -> Envelope | None:
    """The change record in a Kafka value; None for a null in whatever wrapper or frame,
    and for a logical decoding message (op m).

    Raises RejectedError (bad_json, too_deep, unstorable_text, unstorable_number, wrong_shape,
    bad_op, wrong_type, partial_document, and what a framed record is refused for)
    and SchemaNeededError.
    """
    content, attributes = _unwrapped(value, headers, forms)
    found, where = content.found, content.where
    if found is None and not attributes:
        return None
    if not isinstance(found, dict):
        raise RejectedError(
            "wrong_shape", f"{where} is {described(found)}; a change record is an object"
        )
    columns = content.declared.fields if content.declared is not None else {}
    fields = _with_attributes(found, attributes)
    if _is_bare(fields) and is_flattened(fields, headers, forms.known, forms.prefix):
        row = open_flattened(fields, headers, where, forms.prefix)
        return Envelope(row.op, row.fields, row.source, where, columns, flattened=True)
    return _checked(fields, where, _document_columns(columns))


class NullForm(Enum):
    """How a value that is there can say that there is none."""

    SOMETHING = 1
    ORDINARY = 2  # as an old converter wrote tombstones
    FLATTENED = 3  # a null with a schema: a deletion that has lost its envelope


def nothing_in(value: bytes, headers: Any, forms: Forms = ANY_ENTITY) -> NullForm:
    """Whether a value is null, in whatever wrapper or frame; raises as ``open_envelope`` does."""
    content, attributes = _unwrapped(value, headers, forms)
    if content.found is not None or attributes:
        return NullForm.SOMETHING
    in_wrapper = content.where != "$"
    return NullForm.ORDINARY if in_wrapper and content.declared is None else NullForm.FLATTENED


def _unwrapped(value: bytes, headers: Any, forms: Forms) -> tuple[_Content, Mapping[str, Any]]:
    """What a value holds, and the attributes of the CloudEvent that it came in."""
    framing = framed(value, headers, VALUE_HEADER)
    if framing is not None:
        unframed = unframe(framing, forms.schemas, "$")
        return _Content(unframed.content, "$", unframed.declared), {}

    found, where = parse_json(value, "$"), "$"
    attributes: Mapping[str, Any] = {}
    if _is_cloud_event(found, headers):
        attributes = found
        found, where = _event_data(found)
    return _without_wrapper(found, where), attributes


def _without_wrapper(found: Any, where: str) -> _Content:
    """What Connect's JSON converter has put into its wrapper."""
    if (
        isinstance(found, dict)
        and "op" not in found
        and "payload" in found
        and (
            found.keys() <= _WRAPPER
            or (isinstance(found["payload"], dict) and "op" in found["payload"])
        )
    ):
        return _Content(found["payload"], f"{where}.payload", column_type(found.get("schema")))
    return _Content(found, where)


def _document_columns(columns: Mapping[str, ColumnType]) -> Mapping[str, ColumnType]:
    """The declared types of the documents in an envelope, from those of its parts."""
    found: dict[str, ColumnType] = {}
    for part in _PARTS:
        if part in columns:
            found.update(columns[part].fields)
    return found


def _is_bare(fields: Mapping[str, Any]) -> bool:
    """Whether an object has nothing of an envelope."""
    return "op" not in fields and not any(part in fields for part in _PARTS)


def _checked(
    fields: Mapping[str, Any], where: str, schemas: Mapping[str, ColumnType]
) -> Envelope | None:
    op = fields.get("op")
    if op is None and _is_bare(fields):
        raise RejectedError(
            "wrong_shape",
            f"{where} is an object that is neither a change record "
            '{"op": ..., "before": ..., "after": ..., "source": ...} nor a row as '
            "ExtractNewRecordState writes it, which has at least one of the entity's fields",
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
    fields = _with_documents(fields, source or {}, where)
    if fields.get("after") is None and fields.get("updateDescription") is not None and op != "d":
        raise RejectedError(
            "partial_document",
            f"{where} has no document, only its changes: set the connector's capture.mode "
            "to change_streams_update_full (where it is, the document has been deleted since, and "
            "its deletion follows)",
        )
    return Envelope(op, fields, source or {}, where, schemas)


def _with_documents(fields: Mapping[str, Any], source: Mapping[str, Any], where: str) -> Any:
    """The record with its documents as objects, where MongoDB's connector wrote them as text."""
    is_mongodb = source.get("connector") == mongodb.CONNECTOR
    read = {}
    for part in _PARTS if is_mongodb else ("after",):
        text = fields.get(part)
        if isinstance(text, str) and text.lstrip().startswith("{"):
            read[part] = mongodb.read_document(text, f"{where}.{part}")
    return {**fields, **read} if read else fields


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
    """Debezium's CloudEvents converter keeps the operation and the source's fields as attributes,
    large numbers as text; a source has an lsn only where there is an attribute for it.
    """
    if "op" in fields or "iodebeziumop" not in attributes:
        return fields
    source = {
        name: _number_of_text(attributes[attribute])
        for name, attribute in _SOURCE_ATTRIBUTES.items()
        if attribute in attributes
    }
    return {**fields, "op": attributes["iodebeziumop"], "source": source}


def _number_of_text(value: object) -> object:
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


def _bad_version(value: object, where: str, allowed: str) -> NoReturn:
    raise RejectedError("bad_version", f"{where} is {quoted(value)}; allowed is {allowed}")
