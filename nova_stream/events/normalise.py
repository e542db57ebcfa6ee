"""A document in any accepted form, brought into the main app's own: checked, camelCase, ISO times.

Debezium writes snake_case columns, epochs in several units, JSON columns as text, booleans as
0/1, decimals as text or as bytes. This is the careful way; ``documents`` has the fast one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from nova_stream.errors import RejectedError
from nova_stream.events.change import COLUMNS, Entity
from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.decimals import exact_decimal
from nova_stream.events.documents import (
    COLUMN_NAMES,
    MAX_INDEXED_BYTES,
    MAX_NUMBER,
    RULES,
    Kind,
    Rule,
    camel_case,
)
from nova_stream.events.json_text import parse_json, whole_number
from nova_stream.events.times import parse_time, time_text
from nova_stream.events.wording import described, quoted

#: What Debezium writes for a large column that did not change; the second in columns of bytes.
UNAVAILABLE = ("__debezium_unavailable_value", "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==")
_OWN_TIMES = ("createdAt", "timestamp", "startedAt")
_ID_RULE = Rule(Kind.ID, max_bytes=MAX_INDEXED_BYTES)


class Field(NamedTuple):
    """Where a value stands, what it must be, and what the wrapper says of it."""

    where: str
    rule: Rule
    schema: ColumnType | None = None


class Normalised(NamedTuple):
    """A document with the main app's names, and its typed columns in the order of COLUMNS."""

    id: str
    document: dict[str, Any]
    values: tuple[Any, ...]
    unavailable: tuple[str, ...]
    own_time: datetime | None


class _Step(NamedTuple):
    """What to do with a field that is known under this or that name."""

    name: str
    rule: Rule
    reader: Callable[[object, Field], tuple[Any, Any]]
    free_text: bool


_NO_SCHEMAS: Mapping[str, ColumnType] = {}


class Normaliser:
    """Reads documents of one entity, in any accepted form, by the entity's rules."""

    def __init__(self, entity: Entity) -> None:
        rules = RULES[entity]
        self._steps = {
            name: _Step(name, rule, _READERS[rule.kind], _is_free_text(rule))
            for name, rule in rules.items()
        }
        for column, name in COLUMN_NAMES[entity].items():
            self._steps[column] = self._steps[name]
        self._required = tuple(
            name for name, rule in rules.items() if rule.required and name != "id"
        )
        self._columns = tuple(camel_case(column) for column in COLUMNS[entity])
        self._has_agent = "agent" in rules

    def read(
        self,
        document: Mapping[str, Any],
        where: str,
        key_id: str | None = None,
        schemas: Mapping[str, ColumnType] = _NO_SCHEMAS,
    ) -> Normalised:
        """The document with the main app's names and forms; unknown fields stay as they are.

        ``where`` is its JSON path for messages, ``key_id`` the id to take when it has none,
        ``schemas`` what the wrapper says of its fields, by the names that they have there.
        Raises RejectedError (missing_id, id_too_long, missing_field, wrong_type, bad_status,
        bad_time, bad_duration, value_too_long).
        """
        found: dict[str, Any] = {}
        typed: dict[str, Any] = {}
        unavailable = []
        for given, value in document.items():
            step = self._steps.get(given)
            if step is None or (step.name != given and step.name in document):
                name, step = given, None
            else:
                name = step.name
            if is_unavailable(value):
                unavailable.append(name)
            elif step is None or value is None:
                found[name] = value
            elif step.free_text and type(value) is str:
                found[name] = typed[name] = value
            else:
                field = Field(f"{where}.{given}", step.rule, schemas.get(given))
                found[name], typed[name] = step.reader(value, field)

        if self._has_agent and "agent" not in unavailable:
            typed.setdefault("agent", "")
        for name in self._required:
            if name not in typed and name not in unavailable:
                raise RejectedError("missing_field", f"{where}.{name} is missing or null")
        return self._finished(found, typed, unavailable, _identified(typed, key_id, where))

    def _finished(
        self, found: dict[str, Any], typed: dict[str, Any], unavailable: list[str], identity: str
    ) -> Normalised:
        found["id"] = identity
        own_time = None
        for name in _OWN_TIMES:
            own_time = own_time or typed.get(name)
        return Normalised(
            identity,
            found,
            tuple([typed.get(name) for name in self._columns]),
            tuple(name for name in unavailable if name != "id") if unavailable else (),
            own_time,
        )


def read_id(value: object, where: str) -> str | None:
    """An id given as text or number, as text; None when there is none.

    Raises RejectedError ``wrong_type`` or ``id_too_long``.
    """
    if value is None or is_unavailable(value):
        return None
    return _read_reference(value, Field(where, _ID_RULE))[1] or None


def is_unavailable(value: object) -> bool:
    """Whether Debezium left this value out (a text column, bytes, or an array column)."""
    if type(value) is list and len(value) == 1:
        value = value[0]
    return type(value) is str and value in UNAVAILABLE


def _identified(typed: Mapping[str, Any], key_id: str | None, where: str) -> str:
    identity: str | None = typed.get("id") or key_id
    if not identity:
        raise RejectedError("missing_id", f"{where}.id is missing or empty, and the key has no id")
    return identity


def _is_free_text(rule: Rule) -> bool:
    return rule.kind in {Kind.TEXT, Kind.REFERENCE} and not rule.allowed and not rule.max_bytes


# Readers: each returns the value as it stands in the document, and as it stands in a column.


def _read_text(value: object, field: Field) -> tuple[str, str]:
    if not isinstance(value, str):
        _wrong_type(value, field, "text")
    allowed, longest = field.rule.allowed, field.rule.max_bytes
    if allowed and value not in allowed:
        raise RejectedError(
            "bad_status", f"{field.where} is {quoted(value)}; allowed is {', '.join(allowed)}"
        )

    if longest and len(value.encode("utf-8", "surrogatepass")) > longest:
        reason = "id_too_long" if field.rule.kind is Kind.ID else "value_too_long"
        raise RejectedError(
            reason, f"{field.where} is {described(value)}; at most {longest} bytes are allowed"
        )
    return value, value


def _read_reference(value: object, field: Field) -> tuple[str, str]:
    if isinstance(value, str):
        return _read_text(value, field)

    number = whole_number(value)
    if number is None:
        _wrong_type(value, field, "text or a whole number")
    return _read_text(str(number), field)


def _read_time(value: object, field: Field) -> tuple[str, datetime]:
    instant = parse_time(value, field.where, field.schema.name if field.schema else None)
    return time_text(instant), instant


def _read_number(value: object, field: Field) -> tuple[int | Decimal, Decimal]:
    try:
        number = exact_decimal(value, field.schema)
    except (TypeError, ValueError):
        _wrong_type(value, field, "a number")
    if abs(number) > MAX_NUMBER:
        _wrong_type(value, field, f"a number up to {MAX_NUMBER}")
    return value if isinstance(value, int) else number, number


def _read_duration(value: object, field: Field) -> tuple[int | Decimal, str]:
    try:
        number = exact_decimal(value, field.schema)
    except TypeError:
        _wrong_type(value, field, "a number")
    except ValueError:
        _bad_duration(value, field)
    if not 0 <= number <= MAX_NUMBER or (isinstance(value, str) and value.startswith("-")):
        _bad_duration(value, field)
    return value if isinstance(value, int) else number, format(number.copy_abs(), "f")


def _read_flag(value: object, field: Field) -> tuple[bool, bool]:
    if not isinstance(value, int | float | Decimal) or value not in (0, 1):
        _wrong_type(value, field, "true, false, 1 or 0")
    return bool(value), bool(value)


def _read_list(value: object, field: Field) -> tuple[list[Any], list[Any]]:
    parsed = _parsed(value, field) if isinstance(value, str) else value
    if not isinstance(parsed, list):
        _wrong_type(value, field, "a list, or text that holds a JSON list")
    return parsed, parsed


def _read_json(value: object, field: Field) -> tuple[Any, Any]:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            value = _parsed(value, field)
        except RejectedError:
            return value, value  # just text that begins like JSON
    return value, value


def _read_anything(value: object, _: Field) -> tuple[Any, Any]:
    return value, value


_READERS: dict[Kind, Callable[[object, Field], tuple[Any, Any]]] = {
    Kind.ID: _read_reference,
    Kind.REFERENCE: _read_reference,
    Kind.TEXT: _read_text,
    Kind.TIME: _read_time,
    Kind.NUMBER: _read_number,
    Kind.DURATION: _read_duration,
    Kind.FLAG: _read_flag,
    Kind.LIST: _read_list,
    Kind.JSON: _read_json,
    Kind.ANY: _read_anything,
}


def _parsed(text: str, field: Field) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"), field.where)
    except RejectedError as error:
        if error.reason != "bad_json":
            raise
        _wrong_type(text, field, "a list, or text that holds a JSON list")


def _wrong_type(value: object, field: Field, allowed: str) -> NoReturn:
    raise RejectedError(
        "wrong_type", f"{field.where} is {described(value)}; allowed is {allowed} (or null)"
    )


def _bad_duration(value: object, field: Field) -> NoReturn:
    raise RejectedError(
        "bad_duration",
        f"{field.where} is {quoted(value)}; allowed are milliseconds from 0 to 1e300",
    )
