"""A document in any accepted form, brought into the main app's own: checked, camelCase, ISO times.

Debezium writes snake_case columns, epochs in several units, JSON columns as text, booleans as
0/1, decimals as text or as bytes. This is the careful way; ``documents`` has the fast one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from nova_stream.errors import OutOfRangeError, RejectedError
from nova_stream.events.change import COLUMNS, Entity
from nova_stream.events.column_types import declared_value
from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.documents import (
    COLUMN_NAMES,
    MAX_INDEXED_BYTES,
    RULES,
    Kind,
    Rule,
    camel_case,
)
from nova_stream.events.field_readers import READERS, Field, Reader
from nova_stream.events.names import Spellings
from nova_stream.events.placeholders import PLACEHOLDERS, Placeholders

_OWN_TIMES = ("createdAt", "timestamp", "startedAt")
_ID_RULE = Rule(Kind.ID, max_bytes=MAX_INDEXED_BYTES)


class NormalisedDocument(NamedTuple):
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
    reader: Reader
    free_text: bool


_NO_SCHEMAS: Mapping[str, ColumnType] = {}


class Normaliser:
    """Reads documents of one entity, in any accepted form, by the entity's rules."""

    def __init__(self, entity: Entity, placeholders: Placeholders = PLACEHOLDERS) -> None:
        self._is_unavailable = placeholders.stand_for
        rules = RULES[entity]
        self._steps = {
            name: _Step(name, rule, READERS[rule.kind], _is_free_text(rule))
            for name, rule in rules.items()
        }
        for column, name in COLUMN_NAMES[entity].items():
            self._steps[column] = self._steps[name]
        self._required = tuple(
            name for name, rule in rules.items() if rule.required and name != "id"
        )
        self._columns = tuple(camel_case(column) for column in COLUMNS[entity])
        self._has_agent = "agent" in rules
        self._spellings = Spellings(entity)

    def read(
        self,
        document: Mapping[str, Any],
        where: str,
        key_id: str | None = None,
        schemas: Mapping[str, ColumnType] = _NO_SCHEMAS,
    ) -> NormalisedDocument:
        """The document with the main app's names and forms; unknown fields stay as they are.

        ``where`` is its JSON path for messages, ``key_id`` the id to take when it has none,
        ``schemas`` what the wrapper says of its fields, by the names that they have there.
        Raises RejectedError (missing_id, id_too_long, missing_field, wrong_type, bad_status,
        bad_time, bad_duration, value_too_long, wrong_shape).
        """
        found: dict[str, Any] = {}
        typed: dict[str, Any] = {}
        unavailable = []
        for given, value in document.items():
            step = self._steps.get(given)
            if step is None and (meant := self._spellings.meant(given, document, where)):
                step = self._steps[meant]
            if step is None or (step.name != given and step.name in document):
                name, step = given, None
            else:
                name = step.name
            if self._is_unavailable(value):
                unavailable.append(name)
            elif step is None or value is None:
                found[name] = value
            elif step.free_text and type(value) is str and given not in schemas:
                found[name] = typed[name] = value
            else:
                field = Field(f"{where}.{given}", step.rule, schemas.get(given))
                found[name], column = _read_field(value, field, step.reader)
                if column is not None:
                    typed[name] = column

        if self._has_agent and "agent" not in unavailable:
            typed.setdefault("agent", "")
        for name in self._required:
            if name not in typed and name not in unavailable:
                raise RejectedError("missing_field", f"{where}.{name} is missing or null")
        return self._finished(found, typed, unavailable, _identified(typed, key_id, where))

    def _finished(
        self, found: dict[str, Any], typed: dict[str, Any], unavailable: list[str], identity: str
    ) -> NormalisedDocument:
        found["id"] = identity
        own_time = None
        for name in _OWN_TIMES:
            own_time = own_time or typed.get(name)
        return NormalisedDocument(
            identity,
            found,
            tuple([typed.get(name) for name in self._columns]),
            tuple(name for name in unavailable if name != "id") if unavailable else (),
            own_time,
        )


def read_id(
    value: object,
    where: str,
    declared: ColumnType | None = None,
    placeholders: Placeholders = PLACEHOLDERS,
) -> str | None:
    """An id given as text or number, or as its ``declared`` type, as text; None when there is
    none.

    Raises RejectedError ``wrong_type`` or ``id_too_long``.
    """
    if value is None or placeholders.stand_for(value):
        return None
    return _read_field(value, Field(where, _ID_RULE, declared), READERS[Kind.ID])[1] or None


def _read_field(value: Any, field: Field, reader: Reader) -> tuple[Any, Any]:
    """A value as it stands in the document and in a column; None where nothing here can mean it:
    infinity, NaN, a year before 1 or after 9999.
    """
    try:
        if field.declared is not None:
            value = declared_value(value, field.declared, field.rule.kind, field.where)
        return (None, None) if value is None else reader(value, field)
    except OutOfRangeError:
        return None, None


def _identified(typed: Mapping[str, Any], key_id: str | None, where: str) -> str:
    identity: str | None = typed.get("id") or key_id
    if not identity:
        raise RejectedError("missing_id", f"{where}.id is missing or empty, and the key has no id")
    return identity


def _is_free_text(rule: Rule) -> bool:
    return rule.kind in {Kind.TEXT, Kind.REFERENCE} and not rule.allowed and not rule.max_bytes
