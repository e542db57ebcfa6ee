"""What differs between a source's row and nova-stream's, field by field, and what is told of it."""

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


#: Differences that a report shows; the others are counted.
SHOWN = 100


class SourceReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a comparison found; the first five fields always stand in its JSON.

    ``compared`` counts the ids on either side. ``own`` rows differ because jobs of nova-stream have
    changed them; ``unsettled`` ones changed too often, or were on their way for too long, to be
    told; ``behind`` records were not applied when the comparison began, because the stream stands;
    ``repaired`` were published, and ``remaining`` differ even so.
    """

    compared: int
    missing: int
    surplus: int
    different: int
    differences: list[Difference]
    own: int = 0
    unsettled: int = 0
    behind: int = 0
    repaired: int | None = None
    remaining: int = 0
    not_compared: list[Entity] = msgspec.field(default_factory=list, name="notCompared")

    @property
    def good(self) -> bool:
        """Whether the source and the rows are equal now, as far as can be told."""
        if self.behind or (self.repaired is not None and self.remaining):
            return False
        return self.repaired is not None or not (self.missing or self.surplus or self.different)
