"""Rows of incremental snapshots bring the fields that a stored row was never sent.

Such a row has no lsn, so it ranks below what is stored and changes nothing that is known. But a row
that was first heard of by an update lacks the large values that the update left alone: these are
what the source still has, and nobody else will send them.
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg
import msgspec

from nova_stream.clock import to_millis
from nova_stream.events.change import COLUMNS, Change, Entity, VersionKind
from nova_stream.events.documents import camel_case
from nova_stream.storage.apply import upserts_sql
from nova_stream.storage.apply.truncations import has_lsn
from nova_stream.storage.database import Connection

_read_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


async def complete_stored(connection: Connection, entity: Entity, kept: dict[str, Change]) -> None:
    """Where a kept change is a snapshot's row without an lsn and the stored row lacks fields of it,
    put the stored row with these fields in its place: at the stored version, in a later place of
    the partition.
    """
    rows = {
        id_: change
        for id_, change in kept.items()
        if change.kind is VersionKind.LSN and not change.deleted and not has_lsn(change)
    }
    if not rows:
        return
    fields = {id_: _read_fields(change.doc) for id_, change in rows.items() if change.doc}
    names = sorted({name for found in fields.values() for name in found})
    stored = await connection.fetch(upserts_sql.STORED_WITHOUT_FIELDS[entity], sorted(rows), names)
    for row in stored:
        found = _completed(entity, row, rows[row["id"]], fields[row["id"]])
        if found is not None:
            kept[found.id] = found


def _completed(
    entity: Entity, row: asyncpg.Record, change: Change, fields: Mapping[str, msgspec.Raw]
) -> Change | None:
    known = _read_fields(row["doc"])
    missing = {name: value for name, value in fields.items() if name not in known}
    if not missing:
        return None
    given = zip(COLUMNS[entity], change.values, strict=True)
    return msgspec.structs.replace(
        change,
        number=row["version"],
        minor=row["version_minor"],
        rank_generation=row["version_generation"],
        changed_ms=to_millis(row["changed_at"]),
        doc=msgspec.json.encode({**known, **missing}).decode(),
        values=tuple(
            value if camel_case(column) in missing else row[column] for column, value in given
        ),
    )
