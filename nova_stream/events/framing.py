"""Confluent's wire format: a value or a key that only a schema of a Schema Registry can read.

A framed record begins with byte 0 and the schema's id (four bytes), or with byte 1 and its GUID;
newer serializers put either into a header instead. JSON never begins with such a byte. The
schemas themselves come through a ``SchemaLookup``: nothing here reads from the network.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from nova_stream.errors import RejectedError, SchemaNeededError
from nova_stream.events.change import header
from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.describe import described

VALUE_HEADER = "__value_schema_id"
KEY_HEADER = "__key_schema_id"

#: An id, or a GUID as text.
SchemaReference = int | str

_ID, _GUID = 0, 1
_ID_END, _GUID_END = 5, 17


class DecodedFrame(NamedTuple):
    """What stands in a framed value, as Connect's JSON converter would write it, and what its
    schema declares.
    """

    content: Any
    declared: ColumnType | None


class FramedReader(Protocol):
    """Reads what one schema has written."""

    def __call__(self, payload: bytes, where: str) -> DecodedFrame:
        """Raises RejectedError."""


class RegisteredSchema(NamedTuple):
    """A schema as the registry has it: AVRO, JSON or PROTOBUF, its text, and the texts that it
    refers to, by the names under which it does, those first that others need.
    """

    kind: str
    text: str
    references: Mapping[str, str]


class SchemaLookup(Protocol):
    """Where readers of schemas come from."""

    def known(self, reference: SchemaReference) -> FramedReader | None:
        """The reader of a schema, None when it has to be fetched first; raises RejectedError when
        the registry has no such schema.
        """


class FramedValue(NamedTuple):
    """A framed value's schema and the bytes that it has written."""

    reference: SchemaReference
    payload: bytes


def framed(data: bytes, headers: Any, name: str) -> FramedValue | None:
    """The parts of a framed value or key; None for one that is not framed. ``name`` is the header
    that may have the id. Raises RejectedError ``bad_frame``.
    """
    if headers:
        if (told := header(headers, name)) is not None:
            return FramedValue(_reference(told, f"the header {name}"), data)
        _refuse_foreign_header(data, headers, "key" if name == KEY_HEADER else "value")
    if data[:1] not in (b"\x00", b"\x01"):
        return None
    end = _ID_END if data[0] == _ID else _GUID_END
    if len(data) < end:
        return None
    return FramedValue(_reference(data[:end], "the schema id in front of the record"), data[end:])


def unframe(found: FramedValue, schemas: SchemaLookup | None, where: str) -> DecodedFrame:
    """What a framed value says.

    Raises SchemaNeededError when its schema has to be fetched first, and RejectedError: without
    ``schemas`` ``no_registry``, else what the schema's reader raises.
    """
    if schemas is None:
        raise RejectedError(
            "no_registry",
            f"{where} was written with the schema {found.reference} of a Schema Registry; set "
            "NOVA_SCHEMA_REGISTRY_URL, or let the connector write JSON (JsonConverter)",
        )
    reader = schemas.known(found.reference)
    if reader is None:
        raise SchemaNeededError(found.reference)
    return reader(found.payload, where)


def prepare(schema: RegisteredSchema, reference: SchemaReference) -> FramedReader:
    """The reader of a schema; a schema that cannot be used gives one that refuses every record."""
    match schema.kind:
        case "AVRO":
            from nova_stream.events.connect_avro import avro_reader as make  # noqa: PLC0415 (slow)
        case "JSON":
            from nova_stream.events.connect_json_schema import (  # noqa: PLC0415 (like the other)
                json_reader as make,
            )
        case _:
            return _Refusing(
                f"the schema {reference} is of type {schema.kind[:40]}; Avro and JSON Schema are "
                "read: set the connector's value.converter to one of them"
            )
    try:
        return make(schema)
    except Exception as error:  # whatever a library makes of a schema that it cannot read
        return _Refusing(f"the schema {reference} cannot be used: {type(error).__name__}: {error}")


class _Refusing:
    def __init__(self, message: str) -> None:
        self._message = message

    def __call__(self, payload: bytes, where: str) -> DecodedFrame:
        raise RejectedError("unsupported_schema", f"{where}: {self._message:.300}")


def unknown_schema(reference: SchemaReference) -> RejectedError:
    """The error of a schema that the registry does not have."""
    hint = ""
    if reference == 0:
        hint = "; Apicurio's converter writes ids of 8 bytes unless it is set to 4 (as-confluent)"
    return RejectedError("unknown_schema", f"the Schema Registry has no schema {reference}{hint}")


def _refuse_foreign_header(data: bytes, headers: Any, part: str) -> None:
    """Apicurio's ids in headers are of another count than those of Confluent's API, and the bytes
    behind them may look framed.
    """
    if data.lstrip()[:1] in (b"{", b"[", b'"'):
        return
    for kind in ("globalId", "contentId", "contentHash"):
        if header(headers, f"apicurio.{part}.{kind}") is not None:
            raise RejectedError(
                "bad_frame",
                f"the header apicurio.{part}.{kind} has the schema's id; let the converter write "
                "it in front of the record: apicurio.registry.headers.enabled=false, "
                "apicurio.registry.as-confluent=true, apicurio.registry.use-id=contentId",
            )


def _reference(told: bytes, where: str) -> SchemaReference:
    if len(told) == _ID_END and told[0] == _ID:
        return int.from_bytes(told[1:], "big")
    if len(told) == _GUID_END and told[0] == _GUID:
        return str(uuid.UUID(bytes=told[1:]))
    raise RejectedError(
        "bad_frame",
        f"{where} is {described(told)}; allowed is byte 0 and an id of 4, or byte 1 and a GUID of "
        "16 bytes",
    )


def in_order(references: Sequence[tuple[str, RegisteredSchema]]) -> dict[str, str]:
    """The texts of schemas that a schema refers to, those first that others of them need."""
    found: dict[str, str] = {}
    for name, schema in references:
        found.update(schema.references)
        found.setdefault(name, schema.text)
    return found
