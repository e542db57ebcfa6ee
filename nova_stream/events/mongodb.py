"""MongoDB's documents: Extended JSON of both versions, brought into plain JSON values.

Debezium's MongoDB connector writes ``before`` and ``after`` as text, and so the key's ``id``. What
a type wrapper means here: ``$oid`` and ``$symbol`` are text, ``$date`` and ``$timestamp`` ISO 8601
text in UTC, ``$numberInt``, ``$numberLong``, ``$numberDouble`` and ``$numberDecimal`` exact numbers
(what is not finite stays text), a ``$binary`` of subtype 4 and a ``$uuid`` the UUID's text, any
other ``$binary`` its base64, ``$undefined`` null. Everything else stays as it is.
"""

from __future__ import annotations

import uuid
from base64 import b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from nova_stream.clock import from_millis, isoformat
from nova_stream.errors import RejectedError
from nova_stream.events.decimals import exact_decimal
from nova_stream.events.describe import described
from nova_stream.events.json_text import parse_json, whole_number

CONNECTOR = "mongodb"
_UUID_SUBTYPE = 4


def read_document(text: str, where: str) -> dict[str, Any]:
    """The document in a text of Extended JSON; its ``_id`` stands as ``id``.

    ``where`` is the JSON path of the text for messages. Raises RejectedError as ``parse_json``
    does, and ``wrong_type`` when the text holds something else than a document.
    """
    found = parse_json(text.encode("utf-8", "surrogatepass"), where)
    if not isinstance(found, dict):
        raise RejectedError(
            "wrong_type", f"{where} is text that holds {described(found)}; allowed is a document"
        )
    return with_id(found)


def with_id(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document in plain values whose ``_id``, where it has one, stands as ``id``."""
    plain = {name: plain_value(value) for name, value in document.items() if name != "_id"}
    return {"id": plain_value(document["_id"]), **plain} if "_id" in document else plain


def key_value(text: str, where: str) -> Any:
    """What the ``id`` of a connector's key means: ``"1234"`` in quotes is text, ``1234`` a number.

    A text that is no JSON is the id itself. Raises RejectedError as ``parse_json`` does otherwise.
    """
    try:
        return plain_value(parse_json(text.encode("utf-8", "surrogatepass"), where))
    except RejectedError as error:
        if error.reason != "bad_json":
            raise
        return text


def plain_value(value: Any) -> Any:
    """A value without its type wrappers, at any depth."""
    if isinstance(value, list):
        return [plain_value(item) for item in value]
    if not isinstance(value, dict):
        return value

    if 0 < len(value) <= 2 and next(iter(value)).startswith("$"):
        unwrap = _WRAPPERS.get(tuple(sorted(value)))
        if unwrap is not None:
            return unwrap(value)
    return {name: plain_value(item) for name, item in value.items()}


def _text(value: dict[str, Any]) -> Any:
    return next(iter(value.values()))


def _number(value: dict[str, Any]) -> Any:
    """The number, exactly; what is none (NaN, Infinity) stays the text that it is."""
    written = _text(value)
    try:
        number = exact_decimal(written)
    except (TypeError, ValueError):
        return written
    whole = whole_number(number)
    return number if whole is None or _has_point(written) else whole


def _has_point(written: object) -> bool:
    return isinstance(written, str | Decimal | float) and not str(written).lstrip("-").isdigit()


def _date(value: dict[str, Any]) -> Any:
    found = plain_value(value["$date"])
    millis = whole_number(found)
    return found if millis is None else _instant(millis)


def _timestamp(value: dict[str, Any]) -> Any:
    """MongoDB's own clock: seconds, and the place within the second, which no document needs."""
    parts = value["$timestamp"]
    if not isinstance(parts, dict):
        return value
    seconds = whole_number(plain_value(parts.get("t")))
    return value if seconds is None else _instant(seconds * 1000)


def _instant(millis: int) -> Any:
    try:
        return isoformat(from_millis(millis))
    except OverflowError:  # no year from 1 to 9999: the field's reader says so
        return millis


def _binary(value: dict[str, Any]) -> Any:
    parts: dict[str, Any] = value
    if isinstance(value["$binary"], dict):
        inner = value["$binary"]
        parts = {"$binary": inner.get("base64"), "$type": inner.get("subType")}
    written, kind = parts["$binary"], parts.get("$type")
    if not isinstance(written, str):
        return value
    try:
        is_uuid = isinstance(kind, str) and int(kind, 16) == _UUID_SUBTYPE
        return str(uuid.UUID(bytes=b64decode(written, validate=True))) if is_uuid else written
    except ValueError:
        return written


def _null(_: dict[str, Any]) -> None:
    return None


_WRAPPERS: dict[tuple[str, ...], Callable[[dict[str, Any]], Any]] = {
    ("$oid",): _text,
    ("$symbol",): _text,
    ("$uuid",): _text,
    ("$numberInt",): _number,
    ("$numberLong",): _number,
    ("$numberDouble",): _number,
    ("$numberDecimal",): _number,
    ("$date",): _date,
    ("$timestamp",): _timestamp,
    ("$binary",): _binary,
    ("$binary", "$type"): _binary,
    ("$undefined",): _null,
}
