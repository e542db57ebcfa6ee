"""From a Kafka record to the change that it asks for.

What the main app writes itself takes the fast way: typed structs straight from the bytes, the
document kept as it came. Everything else (Debezium's forms, CloudEvents, unusual times and
numbers, and all that is wrong) takes the careful way, which alone decides what is rejected.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from nova_stream.clock import EPOCH, from_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import COLUMNS, Change, Entity, SourceRecord, VersionKind
from nova_stream.events.envelope import (
    MAX_MINOR,
    MAX_VERSION,
    VERSION_HEADER,
    Envelope,
    header,
    key_id,
    open_envelope,
    version_of,
)
from nova_stream.events.json_text import refuse_unstorable_text, storable_json, too_deep
from nova_stream.events.normalise import Normaliser, read_id
from nova_stream.events.placeholders import PLACEHOLDERS, Placeholders
from nova_stream.events.plain import PlainReader
from nova_stream.events.times import MILLI, parse_time
from nova_stream.events.wording import described

_Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_VERSION)] | None
# Milliseconds of 1973 to 2096: surely no other unit, and exact as a double of seconds.
_Millis = Annotated[int, msgspec.Meta(ge=10**11, lt=4 * 10**12)] | None


class _Source(msgspec.Struct, gc=False):
    seq: _Number = None
    lsn: _Number = None
    minor: Annotated[int, msgspec.Meta(ge=0, le=MAX_MINOR)] = 0
    ts_ms: _Millis = None


class _Record(msgspec.Struct, gc=False):
    op: str
    after: msgspec.Raw
    source: _Source | None = None
    ts_ms: _Millis = None


_NO_SOURCE = _Source()
_NOT_DELETED = False
_UPSERTS = frozenset("cur")
_SEQ, _LSN, _OFFSET = VersionKind.SEQ, VersionKind.LSN, VersionKind.OFFSET


class Decoder:
    """Decodes the records of one entity's topic; ``decode`` is safe to call from any thread.

    ``placeholders`` are what stands for a large column that did not change.
    """

    def __init__(self, entity: Entity, placeholders: Placeholders = PLACEHOLDERS) -> None:
        self._placeholders = placeholders
        self._nothing = (None,) * len(COLUMNS[entity])
        self._read_record = msgspec.json.Decoder(_Record).decode
        self._read_document = PlainReader(entity, placeholders).read
        self._normalise = Normaliser(entity, placeholders).read

    def decode(self, record: SourceRecord, partition: int) -> Change | None:
        """The change that ``record`` asks for; None for a tombstone, which is ignored.

        Raises RejectedError, and nothing else whatever the bytes, when the record belongs among
        the dead letters.
        """
        value = record.value
        if value is None:
            return None
        try:
            return self._decode_plain(record, value, partition)
        except (ValueError, OverflowError, RecursionError):  # msgspec's errors are ValueErrors
            return self._decode_any(record, value, partition)

    def _decode_plain(self, record: SourceRecord, value: bytes, partition: int) -> Change:
        """The fast way; ValueError (or what msgspec raises) when the record needs the other."""
        found = self._read_record(value)
        source = found.source or _NO_SOURCE
        millis = source.ts_ms or found.ts_ms
        if found.op not in _UPSERTS or millis is None or too_deep(value):
            raise ValueError(found.op)
        number, kind = source.seq, _SEQ
        if number is None:
            number, kind = source.lsn, _LSN
            if number is None:
                if record.headers:
                    raise ValueError("the headers may tell the version")
                number, kind = record.offset, _OFFSET

        identity, doc, columns = self._read_document(found.after)
        return Change(
            identity,
            number,
            source.minor,
            kind,
            _NOT_DELETED,
            datetime.fromtimestamp(millis / 1000, UTC),
            doc,
            columns,
            partition,
            record.offset,
        )

    def _decode_any(self, record: SourceRecord, value: bytes, partition: int) -> Change | None:
        try:
            return self._decode_carefully(record, value, partition)
        except RejectedError:
            raise
        except Exception as error:
            # A promise to the stream, which one bad record must never stop.
            raise RejectedError("undecodable", f"decoding failed: {error!r:.200}") from error

    def _decode_carefully(
        self, record: SourceRecord, value: bytes, partition: int
    ) -> Change | None:
        envelope = open_envelope(value, record.headers)
        if envelope is None:
            return None
        kind, version = version_of(envelope.source, envelope.where, record)
        changed_at = _time_of_change(envelope)
        if envelope.op == "d":
            return Change(
                id=_deleted_id(envelope, record, self._placeholders),
                number=version.number,
                minor=version.minor,
                kind=kind,
                deleted=True,
                changed_at=changed_at or _kafka_time(record),
                doc=None,
                values=self._nothing,
                partition=partition,
                offset=record.offset,
                stated=_states_number(record),
            )

        after = self._normalise(
            _after(envelope),
            f"{envelope.where}.after",
            _id_of_key(envelope, record, self._placeholders),
            envelope.schemas,
        )
        return Change(
            id=after.id,
            number=version.number,
            minor=version.minor,
            kind=kind,
            deleted=False,
            changed_at=changed_at or after.own_time or _kafka_time(record),
            doc=storable_json(after.document, f"{envelope.where}.after"),
            values=after.values,
            partition=partition,
            offset=record.offset,
            unavailable=after.unavailable,
            stated=_states_number(record),
        )


_DECODERS = {entity: Decoder(entity) for entity in Entity}


def decode(entity: Entity, record: SourceRecord, partition: int) -> Change | None:
    """``Decoder(entity).decode``: the change that a record asks for, None for a tombstone.

    Raises RejectedError only.
    """
    return _DECODERS[entity].decode(record, partition)


def _states_number(record: SourceRecord) -> bool:
    return header(record.headers, VERSION_HEADER) is not None


def _after(envelope: Envelope) -> dict[str, Any]:
    after = envelope.fields.get("after")
    if not isinstance(after, dict):
        raise RejectedError(
            "wrong_shape" if after is None else "wrong_type",
            f"{envelope.where}.after is {described(after)}; "
            f'with op "{envelope.op}" it is the whole document',
        )
    return after


def _id_of_key(envelope: Envelope, record: SourceRecord, placeholders: Placeholders) -> str | None:
    """The key's id, where the document has none: a key that is not needed may be anything."""
    given = _after(envelope).get("id")
    if given not in (None, "") and not placeholders.stand_for(given):
        return None
    return key_id(record.key, envelope.schemas.get("id"), placeholders)


def _deleted_id(envelope: Envelope, record: SourceRecord, placeholders: Placeholders) -> str:
    declared = envelope.schemas.get("id")
    before = envelope.fields.get("before")
    identity = None
    if isinstance(before, dict):
        identity = read_id(before.get("id"), f"{envelope.where}.before.id", declared, placeholders)
    identity = identity or key_id(record.key, declared, placeholders)
    if not identity:
        raise RejectedError(
            "missing_id",
            f"{envelope.where}.before.id is missing or empty, and the key has no id",
        )
    refuse_unstorable_text(identity, f"{envelope.where}.before.id")
    return identity


def _time_of_change(envelope: Envelope) -> datetime | None:
    """``source.ts_ms``, else ``ts_ms``; both must be readable where they are given."""
    times = [
        None if millis is None else parse_time(millis, f"{envelope.where}.{name}", small=MILLI)
        for name, millis in (
            ("source.ts_ms", envelope.source.get("ts_ms")),
            ("ts_ms", envelope.fields.get("ts_ms")),
        )
    ]
    return times[0] or times[1]


def _kafka_time(record: SourceRecord) -> datetime:
    try:
        return from_millis(record.timestamp)
    except OverflowError:  # a writer may put anything there
        return EPOCH
