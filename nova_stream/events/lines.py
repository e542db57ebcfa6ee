"""The JSON Lines shape of a change, as files, HTTP and the SDK give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from nova_stream.clock import to_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity
from nova_stream.events.describe import described, quoted
from nova_stream.events.encode import Op, validate_document
from nova_stream.events.envelope import version_minor, version_number
from nova_stream.events.json_text import parse_json, refuse_unstorable_text
from nova_stream.events.names import id_name
from nova_stream.events.normalise import read_id
from nova_stream.events.times import MILLI, parse_time

_SHAPE = '{"entity": "tasks", "op": "c|u|d|r", "seq": 1, "ts_ms": ..., "after": {...}}'
_OPS = ("c", "u", "d", "r")


class ChangeLine(msgspec.Struct, frozen=True, gc=False):
    """One change, checked.

    ``seq`` and ``ts_ms`` (epoch milliseconds) are None when the line leaves them to the publisher.
    ``document`` is the new state, or the last known one of a deletion. Numbers with a fraction are
    Decimals in the documents of ``parse_line``.
    """

    entity: Entity
    id: str
    op: Op
    seq: int | None
    minor: int
    ts_ms: int | None
    after: dict[str, Any] | None
    before: dict[str, Any] | None

    @property
    def document(self) -> dict[str, Any] | None:
        return self.before if self.op == "d" else self.after


def parse_line(line: bytes | str) -> ChangeLine:
    """The change in a line of JSON.

    Raises RejectedError: ``bad_json`` and the like, and all that ``change_line`` raises.
    """
    data = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    return change_line(parse_json(data, "the line"))


def change_line(fields: Any) -> ChangeLine:
    """The change that a JSON object of this shape describes, its document checked.

    ``op`` is ``u`` by default, ``d`` where ``after`` is null or missing. Raises RejectedError:
    ``wrong_shape``, ``bad_entity``, ``bad_op``, ``bad_version``, ``bad_time``, ``missing_id``,
    ``wrong_type``, ``unstorable_text``, and the reasons of ``validate_document``.
    """
    if not isinstance(fields, Mapping):
        raise RejectedError("wrong_shape", f"this is {described(fields)}; a change is {_SHAPE}")
    entity = _entity(fields.get("entity"))
    after, before = _object(fields, "after"), _object(fields, "before")
    op = _op(fields.get("op"), after)
    if op == "d":
        identity = _id_of(before or {}, "$.before")
        after = None
    else:
        validate_document(entity, after or {})
        identity = _id_of(after or {}, "$.after")
    if not identity:
        raise RejectedError(
            "missing_id", "$.before.id is missing; a deletion names its entity there"
        )

    refuse_unstorable_text(identity, "the id")

    seq = fields.get("seq")
    return ChangeLine(
        entity=entity,
        id=identity,
        op=op,
        seq=None if seq is None else version_number(seq, "$.seq"),
        minor=version_minor(fields.get("minor"), "$.minor"),
        ts_ms=_millis(fields.get("ts_ms")),
        after=after,
        before=before,
    )


def _id_of(document: Mapping[str, Any], where: str) -> str | None:
    name = id_name(document)
    return read_id(document.get(name), f"{where}.{name}")


def _entity(value: object) -> Entity:
    try:
        return Entity(cast("str", value))
    except ValueError:
        allowed = ", ".join(Entity)
        raise RejectedError(
            "bad_entity", f"$.entity is {quoted(value)}; allowed is {allowed}"
        ) from None


def _op(value: object, after: dict[str, Any] | None) -> Op:
    if value is None:
        return "d" if after is None else "u"
    if value not in _OPS:
        raise RejectedError("bad_op", f"$.op is {quoted(value)}; allowed is c, u, r or d")
    if value != "d" and after is None:
        raise RejectedError("wrong_shape", f'$.after is null; with op "{value}" it is the document')
    return cast("Op", value)


def _object(fields: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, dict):
        raise RejectedError("wrong_type", f"$.{name} is {described(value)}; allowed is an object")
    return value


def _millis(value: object) -> int | None:
    return None if value is None else to_millis(parse_time(value, "$.ts_ms", small=MILLI))
