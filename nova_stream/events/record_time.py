"""When a change happened, as far as its record says."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypeGuard

from nova_stream.clock import EPOCH, from_millis
from nova_stream.events.change import SourceRecord
from nova_stream.events.envelope import Envelope
from nova_stream.events.times import MILLI, parse_time

#: A change happens between these, the bounds of what can be published as milliseconds: a source
#: that writes another number there (0 above all) does not know the time.
_EARLIEST, _LATEST = from_millis(10**11), from_millis(10**14)


def time_of_change(envelope: Envelope) -> tuple[datetime | None, bool]:
    """``source.ts_ms``, else ``ts_ms``, and whether it is the source's own; both must be readable
    where they are given. Of a source, a number that is no time of our days says nothing: 0 above
    all.
    """
    where = envelope.where
    given, written = envelope.source.get("ts_ms"), envelope.fields.get("ts_ms")
    own = None
    if given is not None and not (_is_number(given) and given <= 0):
        own = parse_time(given, f"{where}.source.ts_ms", small=MILLI)
        own = own if _EARLIEST <= own < _LATEST else None
    second = None
    if written is not None and not _is_zero(written):
        second = parse_time(written, f"{where}.ts_ms", small=MILLI)
    return own or second, own is not None


def _is_zero(value: object) -> bool:
    return _is_number(value) and value == 0


def _is_number(value: object) -> TypeGuard[int | float | Decimal]:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def kafka_time(record: SourceRecord) -> datetime:
    """The record's own timestamp."""
    try:
        return from_millis(record.timestamp)
    except OverflowError:  # a writer may put anything there
        return EPOCH
