"""What differs between a source's row and nova-stream's, field by field."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from nova_stream.events.change import Entity
from nova_stream.jobs.stall_events import STALL_ACTIVITY, STALL_FIELDS, STALLED
from nova_stream.source_audit.interface import SourceTable, Values, figure_text
from nova_stream.source_audit.nova import NovaRow, expired

Kind = Literal["missing", "surplus", "different"]


class Difference(msgspec.Struct, frozen=True):
    """A row that is not as the source has it.

    ``missing`` here, ``surplus`` here (the source has none), or ``different`` in ``fields``, by the
    documents' names.
    """

    entity: Entity
    id: str
    kind: Kind
    fields: list[str]


def difference(
    table: SourceTable, id_: str, source: Values | None, row: NovaRow | None
) -> Difference | None:
    """How the two sides of an id differ; None where they do not."""
    live = row if row is not None and row.live else None
    if source is None:
        return None if live is None else Difference(table.entity, id_, "surplus", [])
    if live is None:
        return Difference(table.entity, id_, "missing", [])
    fields = [f.name for f in table.fields if not _equal(f.name, source[f.name], live)]
    return Difference(table.entity, id_, "different", fields) if fields else None


def is_own(found: Difference, source: Values | None, row: NovaRow | None, cutoff: datetime) -> bool:
    """Whether a job of nova-stream has made this difference on purpose: old activities that it
    deleted (older than ``cutoff``), and builds that it found stalled.
    """
    if found.entity is Entity.ACTIVITIES:
        if found.kind == "missing":
            return source is not None and expired(source.get("timestamp"), cutoff)
        return found.kind == "surplus" and STALL_ACTIVITY.fullmatch(found.id) is not None
    if found.entity is not Entity.BUILDS or found.kind != "different" or row is None:
        return False
    told = (row.document or {}).get("error") or ""
    return (
        row.figures.get("status") == "failed"
        and told.startswith(STALLED)
        and STALL_FIELDS.issuperset(found.fields)
    )


def _equal(name: str, text: str | None, row: NovaRow) -> bool:
    if name in row.figures and row.figures[name] != figure_text(name, text):
        return False
    return row.document is None or row.document[name] == text
