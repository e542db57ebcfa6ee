"""Records without a value, as deletions: what they mean on a topic of flattened records.

Debezium's envelope says a deletion itself, and the tombstone after it is for Kafka alone. Flattened
records have no envelope: their default (``delete.tombstone.handling.mode=tombstone``) writes a null
where the deletion was. With a schema at hand a JSON converter writes that null as text or inside of
its wrapper, which no ordinary tombstone is.
"""

from __future__ import annotations

from typing import Any

from nova_stream.clock import to_millis
from nova_stream.errors import RejectedError, SchemaNeededError
from nova_stream.events.change import COLUMNS, Change, Entity, SourceRecord
from nova_stream.events.envelope import Envelope, NullForm, nothing_in
from nova_stream.events.flattened import deletion_source, is_marked
from nova_stream.events.forms import Forms
from nova_stream.events.keys import key_id
from nova_stream.events.record_version import kafka_time, time_of_change, version_of


class TombstoneReader:
    """Reads the tombstones of one entity's topic."""

    def __init__(self, entity: Entity, forms: Forms) -> None:
        self._nothing = (None,) * len(COLUMNS[entity])
        self._forms = forms

    def read(self, record: SourceRecord, partition: int) -> Change | None:
        """The deletion of what the key names; None when the record is no tombstone, or has no key.

        ``flattened`` says whether the record itself shows that it was flattened. Its version is an
        offset where its headers tell none. Raises RejectedError and SchemaNeededError.
        """
        try:
            return self._read(record, partition)
        except (RejectedError, SchemaNeededError):
            raise
        except Exception as error:
            # A promise to the stream, which one bad record must never stop.
            raise RejectedError("undecodable", f"decoding failed: {error!r:.200}") from error

    def _read(self, record: SourceRecord, partition: int) -> Change | None:
        envelope = tombstone_envelope(record.value, record.headers, self._forms)
        if envelope is None or not record.key:
            return None
        identity = key_id(record.key, None, self._forms, record.headers)
        if not identity:
            raise RejectedError("missing_id", "the value is null, and the key has no id")

        stated = version_of(envelope, record)
        changed_at, timed = time_of_change(envelope)
        return Change(
            id=identity,
            number=stated.version.number,
            minor=stated.version.minor,
            kind=stated.kind,
            deleted=True,
            changed_ms=to_millis(changed_at or kafka_time(record)),
            doc=None,
            values=self._nothing,
            partition=partition,
            offset=record.offset,
            flattened=envelope.flattened,
            stated=stated.kept,
            timed=timed,
            source_generation=stated.source_generation,
            origin=stated.origin,
        )


def tombstone_envelope(value: bytes | None, headers: Any, forms: Forms) -> Envelope | None:
    """A record without a value as a deletion; None for a record that has one.

    ``flattened`` is whether the record itself shows that it has lost an envelope. Raises as
    ``open_envelope`` does.
    """
    marked = is_marked(headers, forms.prefix)
    if value is not None:
        nothing = nothing_in(value, headers, forms)
        if nothing is NullForm.SOMETHING:
            return None
        marked = marked or nothing is NullForm.FLATTENED
    own, source = deletion_source(headers, forms.prefix)
    return Envelope("d", own, source, "the headers", {}, flattened=marked)
