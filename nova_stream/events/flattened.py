"""Flattened records: a row alone, as Debezium's ExtractNewRecordState and its likes write it.

What the transform adds from the envelope (``add.fields``, ``add.headers``) begins with a prefix,
``__`` unless it is configured: ``__op``, ``__lsn``, ``__source_ts_ms``; ``__deleted`` is always
called so; names count in any case, as ksqlDB writes them. None of it is part of the document.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from nova_stream.errors import RejectedError
from nova_stream.events import mongodb
from nova_stream.events.change import header
from nova_stream.events.describe import quoted
from nova_stream.events.forms import PREFIX
from nova_stream.events.json_text import parse_json, whole_number
from nova_stream.events.names import folded

_DELETED = "__deleted"
#: The envelope's own fields; every other name without ``source_`` stands in the source struct.
_OWN = frozenset({"op", "ts_ms", "ts_us", "ts_ns"})
#: What headers are asked for: all that has a meaning here.
_ASKED = (
    "op",
    "ts_ms",
    "ts_us",
    "ts_ns",
    "lsn",
    "seq",
    "minor",
    "snapshot",
    "connector",
    "source_lsn",
    "source_seq",
    "source_minor",
    "source_ts_ms",
    "source_ts_us",
    "source_ts_ns",
    "source_snapshot",
    "source_connector",
)
#: Debezium's words for a change that was streamed; the others are places in a snapshot.
_NO_SNAPSHOT = (None, False, "false")
_FINER = (("ts_us", 1000), ("ts_ns", 10**6))
_TRUTH = {True: True, "true": True, False: False, "false": False, None: False}


class FlattenedRow(NamedTuple):
    """A row, and what the transform kept of its envelope, in the envelope's shape."""

    op: str
    fields: Mapping[str, Any]
    source: Mapping[str, Any]


def is_flattened(
    found: Mapping[str, Any], headers: Any, known: Container[str], prefix: str = PREFIX
) -> bool:
    """Whether an object that is no change record is a row: it, or a header, has something that the
    transform adds, or it has a field that the entity's documents have (``known``, folded names).
    """
    if "specversion" in found:
        return False
    return (
        any(folded(name) in known for name in found)
        or any(_is_added(name, prefix) for name in found)
        or is_marked(headers, prefix)
    )


def is_marked(headers: Any, prefix: str = PREFIX) -> bool:
    """Whether a record's headers have the operation, as the transform adds it."""
    return header(headers, f"{prefix}op") is not None


def open_flattened(
    found: Mapping[str, Any], headers: Any, where: str, prefix: str = PREFIX
) -> FlattenedRow:
    """The row and its metadata; ``where`` is its JSON path for messages.

    Raises RejectedError ``wrong_type`` or ``bad_op``.
    """
    row = {n: v for n, v in found.items() if not _is_added(n, prefix)}
    added = {n.lower(): v for n, v in found.items() if _is_added(n, prefix)}
    given = {n[len(prefix) :]: v for n, v in added.items() if n.startswith(prefix.lower())}
    own, source = _envelope_of({**_from_headers(headers, prefix), **given})
    if source.get("connector") == mongodb.CONNECTOR or ("_id" in row and "id" not in row):
        row = mongodb.with_id(row)

    op = own.get("op")
    if _deleted(added.get(_DELETED), f"{where}.{_DELETED}") or op == "d":
        return FlattenedRow("d", {**own, "op": "d", "before": row, "after": None}, source)
    if op is None:
        # Only a row of an incremental snapshot has no place in the log where others have one.
        without_place = "lsn" in source and source["lsn"] is None
        op = "r" if without_place or source.get("snapshot") not in _NO_SNAPSHOT else "u"
    if op not in ("c", "u", "r"):
        raise RejectedError(
            "bad_op", f"{where}.{prefix}op is {quoted(op)}; allowed is c, u, r or d"
        )
    return FlattenedRow(op, {**own, "op": op, "before": None, "after": row}, source)


def deletion_source(headers: Any, prefix: str = PREFIX) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """What the headers of a record without a value tell: (the envelope's fields, its source)."""
    return _envelope_of(_from_headers(headers, prefix))


def _is_added(name: str, prefix: str) -> bool:
    """Whether the transform has added a field of this name to the row."""
    return name.lower().startswith(prefix.lower()) or name.lower() == _DELETED


def _deleted(value: object, where: str) -> bool:
    found = _TRUTH.get(value) if isinstance(value, bool | str | None) else None
    if found is None:
        raise RejectedError("wrong_type", f"{where} is {quoted(value)}; allowed is true or false")
    return found


def _from_headers(headers: Any, prefix: str) -> dict[str, Any]:
    if not headers:
        return {}
    found = ((name, header(headers, f"{prefix}{name}")) for name in _ASKED)
    return {name: _header_value(value) for name, value in found if value is not None}


def _header_value(value: bytes) -> Any:
    """A header as Connect's converters write it: plain text, JSON, or JSON with its schema."""
    try:
        found = parse_json(value, "a header")
    except RejectedError:
        return value.decode("utf-8", "replace")
    return found["payload"] if isinstance(found, dict) and "payload" in found else found


def _envelope_of(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    own = {name: value for name, value in given.items() if name in _OWN}
    source = {name: value for name, value in given.items() if name not in _OWN}
    for name in [name for name in source if name.startswith("source_")]:
        source[name.removeprefix("source_")] = source.pop(name)
    return _with_millis(own), _with_millis(source)


def _with_millis(fields: dict[str, Any]) -> dict[str, Any]:
    for name, units in _FINER:
        if fields.get("ts_ms") is None and (number := whole_number(fields.get(name))) is not None:
            fields["ts_ms"] = number // units
    return fields
