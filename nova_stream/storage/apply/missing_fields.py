"""Fields that Debezium did not send because they had not changed keep the value known so far."""

from __future__ import annotations

from typing import Any, NamedTuple

import asyncpg
import msgspec

from nova_stream.events.change import COLUMNS, Change, Entity, VersionKind
from nova_stream.events.documents import RULES, snake_case
from nova_stream.storage.apply import upserts_sql
from nova_stream.storage.apply.fold import Rank, State, newest_last, older_versions, state_of
from nova_stream.storage.database import Connection

#: A document's fields as they stand in its text: numbers keep every digit, of any size.
_read_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

#: The columns without which a row cannot be counted.
_NEEDED = {
    entity: tuple(name for name, rule in RULES[entity].items() if rule.required and name != "id")
    for entity in Entity
}


class _KnownVersion(msgspec.Struct):
    """A version. Where it is ``whole``, fields that it lacks are none, but for the unavailable."""

    state: State
    fields: dict[str, msgspec.Raw]
    whole: bool
    unavailable: frozenset[str]
    columns: dict[str, Any]

    def tells(self, field: str) -> bool:
        """Whether it says what the field is, or that there is none."""
        return field in self.fields or (self.whole and field not in self.unavailable)


class Completion(NamedTuple):
    """Changes that cannot be counted, with the column that they want, and those that lack any."""

    uncountable: list[tuple[Change, str]]
    incomplete: list[Change]


async def complete(
    connection: Connection,
    entity: Entity,
    all_changes: list[Change],
    kept: dict[str, Change],
) -> Completion:
    """Put copies with their unavailable fields filled into ``kept``: the changes themselves stay as
    they came, since a flush may be tried again when other values are known.

    Each field takes its value from the newest version that has it, among the flush's own older
    changes and the stored row; where nothing is known of it, it stays absent.
    """
    incomplete = {change.id for change in kept.values() if change.unavailable}
    if not incomplete:
        return Completion([], [])
    older = older_versions(all_changes, kept)
    rows = await connection.fetch(upserts_sql.STORED_DOCUMENTS[entity], sorted(incomplete))
    by_lsn = all_changes[0].kind is VersionKind.LSN
    stored = {row["id"]: _from_row(entity, row, by_lsn=by_lsn) for row in rows}
    lacking: list[Change] = []
    uncountable: list[tuple[Change, str]] = []
    for id_ in sorted(incomplete):
        known = [_from_change(entity, change) for change in older.get(id_, ())]
        if id_ in stored:
            known.append(stored[id_])
        known.sort(key=lambda item: newest_last(item.state), reverse=True)
        change = kept[id_]
        kept[id_] = filled = msgspec.structs.replace(change)
        if not _fill(entity, filled, known):
            lacking.append(change)
        if column := _missing(entity, filled):
            uncountable.append((change, column))
    return Completion(uncountable, lacking)


def _missing(entity: Entity, change: Change) -> str | None:
    """The column that a change needs to be counted and has not, None when it has all."""
    if change.deleted:
        return None
    values = dict(zip(COLUMNS[entity], change.values, strict=True))
    return next((name for name in _NEEDED[entity] if values[name] is None), None)


def _fill(entity: Entity, change: Change, known: list[_KnownVersion]) -> bool:
    """Fill a change from what is known, newest first; whether something was of each field."""
    whole = True
    document = _fields_of(change.doc)
    values = dict(zip(COLUMNS[entity], change.values, strict=True))
    for field in change.unavailable:
        source = next((k for k in known if k.tells(field)), None)
        if source is None:
            whole = False
            continue
        if field in source.fields:
            document[field] = source.fields[field]
        column = snake_case(field)
        if column in values:
            values[column] = source.columns.get(column)
    if "agent" in values and values["agent"] is None:
        values["agent"] = ""  # as where the field is missing
    change.doc = msgspec.json.encode(document).decode()
    change.values = tuple(values.values())
    return whole


def _from_change(entity: Entity, change: Change) -> _KnownVersion:
    return _KnownVersion(
        state=state_of(change),
        fields=_fields_of(change.doc),
        whole=True,
        unavailable=frozenset(change.unavailable),
        columns=dict(zip(COLUMNS[entity], change.values, strict=True)),
    )


def _from_row(entity: Entity, row: asyncpg.Record, *, by_lsn: bool) -> _KnownVersion:
    rank = Rank(row["version_generation"], row["version"], row["version_minor"])
    return _KnownVersion(
        state=State(rank, row["src_partition"], row["src_offset"] if by_lsn else 0),
        fields=_fields_of(row["doc"]),
        # A source with lsns sends every column: what a document lacks was left out when it was
        # written, and a snapshot's row, which ranks below, may have it.
        whole=not by_lsn or row["doc"] is None,
        unavailable=frozenset(),
        columns={column: row[column] for column in COLUMNS[entity]},
    )


def _fields_of(doc: str | None) -> dict[str, msgspec.Raw]:
    return _read_fields(doc) if doc else {}
