"""From a Kafka record to the change that it asks for.

What the main app writes itself takes the fast way: typed structs straight from the bytes, the
document kept as it came. Everything else (Debezium's forms, CloudEvents, unusual times and
numbers, and all that is wrong) takes the careful way, which alone decides what is rejected.
"""

from __future__ import annotations

from typing import Any

from nova_stream.clock import to_millis
from nova_stream.errors import RejectedError, SchemaNeededError
from nova_stream.events.change import COLUMNS, Change, Entity, SourceRecord
from nova_stream.events.describe import described
from nova_stream.events.envelope import Envelope, open_envelope
from nova_stream.events.forms import PREFIX, Forms
from nova_stream.events.framing import SchemaLookup
from nova_stream.events.json_text import refuse_unstorable_text, storable_json
from nova_stream.events.keys import key_id
from nova_stream.events.names import field_names, id_name
from nova_stream.events.normalise import Normaliser, read_id
from nova_stream.events.placeholders import PLACEHOLDERS, Placeholders
from nova_stream.events.plain_records import PlainRecords
from nova_stream.events.record_version import StatedVersion, kafka_time, time_of_change, version_of
from nova_stream.events.tombstones import TombstoneReader

_DELETIONS = frozenset("dt")


class Decoder:
    """Decodes the records of one entity's topic; ``decode`` is safe to call from any thread.

    ``placeholders`` are what stands for a large column that did not change, ``prefix`` is the one
    of what flattened records add; without ``schemas``, records that were framed for a Schema
    Registry are rejected.
    """

    def __init__(
        self,
        entity: Entity,
        placeholders: Placeholders = PLACEHOLDERS,
        *,
        prefix: str = PREFIX,
        schemas: SchemaLookup | None = None,
    ) -> None:
        self._forms = Forms(field_names(entity), prefix, schemas, placeholders)
        #: A tombstone as the deletion that it is on a topic of flattened records.
        self.read_tombstone = TombstoneReader(entity, self._forms).read
        #: The changes of many records, in their order, None for each that ``decode_odd`` has to
        #: see: together they cost less than one by one.
        self.decode_plain = PlainRecords(entity, placeholders, framed=schemas is not None).read
        self._nothing = (None,) * len(COLUMNS[entity])
        self._normalise = Normaliser(entity, placeholders).read

    def decode(self, record: SourceRecord, partition: int) -> Change | None:
        """The change that ``record`` asks for; None for a tombstone, and for whatever else changes
        nothing by itself: ``read_tombstone`` says what it means on a topic of flattened records.

        Raises RejectedError when the record belongs among the dead letters, SchemaNeededError when
        a schema has to be fetched first, and nothing else whatever the bytes.
        """
        [change] = self.decode_plain([record], partition)
        return change or self.decode_odd(record, partition)

    def decode_odd(self, record: SourceRecord, partition: int) -> Change | None:
        """``decode`` of a record that ``decode_plain`` left."""
        value = record.value
        return None if value is None else self._decode_any(record, value, partition)

    def _decode_any(self, record: SourceRecord, value: bytes, partition: int) -> Change | None:
        try:
            return self._decode_carefully(record, value, partition)
        except (RejectedError, SchemaNeededError):
            raise
        except Exception as error:
            # A promise to the stream, which one bad record must never stop.
            raise RejectedError("undecodable", f"decoding failed: {error!r:.200}") from error

    def _decode_carefully(
        self, record: SourceRecord, value: bytes, partition: int
    ) -> Change | None:
        envelope = open_envelope(value, record.headers, self._forms)
        if envelope is None:
            return None
        stated = version_of(envelope, record)
        changed_at, timed = time_of_change(envelope)
        if envelope.op in _DELETIONS:
            identity = "" if envelope.op == "t" else _deleted_id(envelope, record, self._forms)
            return self._change(
                record,
                partition,
                stated,
                id=identity,
                deleted=True,
                timed=timed,
                changed_ms=to_millis(changed_at or kafka_time(record)),
                doc=None,
                values=self._nothing,
                flattened=envelope.flattened,
            )

        after = self._normalise(
            _after(envelope),
            envelope.document,
            _id_of_key(envelope, record, self._forms),
            envelope.schemas,
        )
        return self._change(
            record,
            partition,
            stated,
            id=after.id,
            deleted=False,
            timed=timed,
            changed_ms=to_millis(changed_at or after.own_time or kafka_time(record)),
            doc=storable_json(after.document, envelope.document),
            values=after.values,
            unavailable=after.unavailable,
            flattened=envelope.flattened,
        )

    def _change(
        self, record: SourceRecord, partition: int, stated: StatedVersion, **fields: Any
    ) -> Change:
        return Change(
            number=stated.version.number,
            minor=stated.version.minor,
            kind=stated.kind,
            partition=partition,
            offset=record.offset,
            stated=stated.kept,
            snapshot=stated.snapshot,
            source_generation=stated.source_generation,
            origin=stated.origin,
            **fields,
        )


def _after(envelope: Envelope) -> dict[str, Any]:
    after = envelope.fields.get("after")
    if not isinstance(after, dict):
        raise RejectedError(
            "wrong_shape" if after is None else "wrong_type",
            f"{envelope.where}.after is {described(after)}; "
            f'with op "{envelope.op}" it is the whole document',
        )
    return after


def _id_of_key(envelope: Envelope, record: SourceRecord, forms: Forms) -> str | None:
    """The key's id, where the document has none: a key that is not needed may be anything."""
    after = _after(envelope)
    given = after.get(id_name(after))
    if given not in (None, "") and not forms.placeholders.stand_for(given):
        return None
    return _key_id(envelope, record, forms)


def _key_id(envelope: Envelope, record: SourceRecord, forms: Forms) -> str | None:
    declared = envelope.schemas.get(id_name(envelope.schemas))
    return key_id(record.key, declared, forms, record.headers, of_mongodb=envelope.of_mongodb)


def _deleted_id(envelope: Envelope, record: SourceRecord, forms: Forms) -> str:
    before, where = envelope.fields.get("before"), envelope.deleted_document
    identity = None
    if isinstance(before, dict):
        name = id_name(before)
        declared = envelope.schemas.get(name)
        identity = read_id(before.get(name), f"{where}.{name}", declared, forms.placeholders)
    identity = identity or _key_id(envelope, record, forms)
    if not identity:
        raise RejectedError("missing_id", f"{where}.id is missing or empty, and the key has no id")
    refuse_unstorable_text(identity, f"{where}.id")
    return identity
