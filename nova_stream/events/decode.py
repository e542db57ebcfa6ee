"""From a Kafka record to the change that it asks for.

What the main app writes itself takes the fast way: typed structs straight from the bytes, the
document kept as it came. Everything else (Debezium's forms, CloudEvents, unusual times and
numbers, and all that is wrong) takes the careful way, which alone decides what is rejected.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from nova_stream.errors import RejectedError, SchemaNeededError
from nova_stream.events.change import (
    COLUMNS,
    SNAPSHOT_MINOR,
    Change,
    Entity,
    SourceRecord,
    VersionKind,
)
from nova_stream.events.documents import field_names
from nova_stream.events.envelope import (
    MAX_MINOR,
    MAX_VERSION,
    VERSION_HEADER,
    Envelope,
    open_envelope,
)
from nova_stream.events.forms import PREFIX, Forms
from nova_stream.events.framing import VALUE_HEADER, SchemaLookup
from nova_stream.events.headers import header
from nova_stream.events.json_text import refuse_unstorable_text, storable_json, too_deep
from nova_stream.events.keys import key_id
from nova_stream.events.normalise import Normaliser, read_id
from nova_stream.events.placeholders import PLACEHOLDERS, Placeholders
from nova_stream.events.plain import PlainReader
from nova_stream.events.record_time import kafka_time, time_of_change
from nova_stream.events.record_version import StatedVersion, version_of
from nova_stream.events.tombstones import TombstoneReader
from nova_stream.events.wording import described

_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_VERSION)] | None
# Milliseconds of 1973 to 2096: surely no other unit, and exact as a double of seconds.
_Millis = Annotated[int, msgspec.Meta(ge=10**11, lt=4 * 10**12)] | None


class _Source(msgspec.Struct, gc=False):
    seq: _Number = None
    lsn: _Number | msgspec.UnsetType = msgspec.UNSET
    minor: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR)] = 0
    ts_ms: _Millis = None
    generation: int | None = None


class _Record(msgspec.Struct, gc=False):
    op: str
    after: msgspec.Raw
    source: _Source | None = None
    ts_ms: _Millis = None


_NO_SOURCE = _Source()
_NOT_DELETED = False
_UPSERTS = frozenset("cur")
_DELETIONS = frozenset("dt")
_SEQ, _LSN, _OFFSET = VersionKind.SEQ, VersionKind.LSN, VersionKind.OFFSET


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
        self._decode_fast = self._decode_plain
        if schemas is not None:
            self._decode_fast = self._decode_unless_framed
        self._nothing = (None,) * len(COLUMNS[entity])
        self._read_record = msgspec.json.Decoder(_Record).decode
        self._read_document = PlainReader(entity, placeholders).read
        self._normalise = Normaliser(entity, placeholders).read

    def decode(self, record: SourceRecord, partition: int) -> Change | None:
        """The change that ``record`` asks for; None for a tombstone, and for whatever else changes
        nothing by itself: ``read_tombstone`` says what it means on a topic of flattened records.

        Raises RejectedError when the record belongs among the dead letters, SchemaNeededError when
        a schema has to be fetched first, and nothing else whatever the bytes.
        """
        value = record.value
        if value is None:
            return None
        try:
            return self._decode_fast(record, value, partition)
        except (ValueError, OverflowError, RecursionError):  # msgspec's errors are ValueErrors
            return self._decode_any(record, value, partition)

    def _decode_unless_framed(self, record: SourceRecord, value: bytes, partition: int) -> Change:
        """The fast way where a header may name a schema, which then tells what the JSON means."""
        if record.headers and header(record.headers, VALUE_HEADER) is not None:
            raise ValueError("a schema tells what this means")
        return self._decode_plain(record, value, partition)

    def _decode_plain(self, record: SourceRecord, value: bytes, partition: int) -> Change:
        """The fast way; ValueError (or what msgspec raises) when the record needs the other."""
        found = self._read_record(value)
        source = found.source or _NO_SOURCE
        millis = source.ts_ms or found.ts_ms
        if found.op not in _UPSERTS or millis is None or too_deep(value):
            raise ValueError(found.op)
        number = source.seq
        if number is None:
            return self._without_seq(record, found, source, millis, partition)

        identity, doc, columns = self._read_document(found.after)
        return Change(
            identity,
            number,
            source.minor,
            _SEQ,
            _NOT_DELETED,
            datetime.fromtimestamp(millis / 1000, UTC),
            doc,
            columns,
            partition,
            record.offset,
        )

    def _without_seq(
        self, record: SourceRecord, found: _Record, source: _Source, millis: int, partition: int
    ) -> Change:
        """The fast way where the version is an lsn or the offset."""
        read = found.op == "r"
        if source.lsn is msgspec.UNSET:
            if record.headers:
                raise ValueError("the headers may tell the version")
            number, minor, kind = record.offset, source.minor, _OFFSET
        elif source.lsn is None or source.generation is not None or _is_repeated(record):
            raise ValueError("more tells the version")
        else:
            number, minor, kind = source.lsn, source.minor + SNAPSHOT_MINOR * read, _LSN

        identity, doc, columns = self._read_document(found.after)
        return Change(
            identity,
            number,
            minor,
            kind,
            _NOT_DELETED,
            datetime.fromtimestamp(millis / 1000, UTC),
            doc,
            columns,
            partition,
            record.offset,
            snapshot=read and kind is _OFFSET,
            timed=source.ts_ms is not None,
        )

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
                changed_at=changed_at or kafka_time(record),
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
            changed_at=changed_at or after.own_time or kafka_time(record),
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


_DECODERS = {entity: Decoder(entity) for entity in Entity}


def decode(entity: Entity, record: SourceRecord, partition: int) -> Change | None:
    """``Decoder(entity).decode``: the change that a record asks for, None for a tombstone.

    Raises RejectedError only.
    """
    return _DECODERS[entity].decode(record, partition)


def _is_repeated(record: SourceRecord) -> bool:
    return bool(record.headers) and header(record.headers, VERSION_HEADER) is not None


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
    given = _after(envelope).get("id")
    if given not in (None, "") and not forms.placeholders.stand_for(given):
        return None
    return _key_id(envelope, record, forms)


def _key_id(envelope: Envelope, record: SourceRecord, forms: Forms) -> str | None:
    declared = envelope.schemas.get("id")
    return key_id(record.key, declared, forms, record.headers, of_mongodb=envelope.of_mongodb)


def _deleted_id(envelope: Envelope, record: SourceRecord, forms: Forms) -> str:
    before, where = envelope.fields.get("before"), envelope.deleted_document
    identity = None
    if isinstance(before, dict):
        declared = envelope.schemas.get("id")
        identity = read_id(before.get("id"), f"{where}.id", declared, forms.placeholders)
    identity = identity or _key_id(envelope, record, forms)
    if not identity:
        raise RejectedError("missing_id", f"{where}.id is missing or empty, and the key has no id")
    refuse_unstorable_text(identity, f"{where}.id")
    return identity
