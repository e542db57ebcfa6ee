"""The version that a record states: where its number comes from, and what it means there; and when
its change happened, as far as it says.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeGuard

from nova_stream.clock import EPOCH, from_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import (
    SNAPSHOT_MINOR,
    Origin,
    SourceRecord,
    Version,
    VersionKind,
    header,
)
from nova_stream.events.describe import quoted
from nova_stream.events.envelope import (
    VERSION_HEADER,
    Envelope,
    version_minor,
    version_number,
)
from nova_stream.events.times import MILLI, parse_time

# The header of a record that is published again: ``offset:<number>`` is the version of one whose
# version is its offset; ``lsn:<generation>:<partition>:<offset>:<source generation>`` is where a
# record with an lsn stood first.
_ORIGIN = re.compile(r"lsn:(\d{1,9}):(\d{1,9}):(\d{1,18}):(\d{1,9})", re.ASCII)


class StatedVersion(NamedTuple):
    """A record's version as far as the record itself says it.

    ``kept`` is whether an offset comes from the header: it has its topic's generation already.
    ``snapshot`` is whether the topic decides between the offset and the lowest version of all.
    """

    kind: VersionKind
    version: Version
    kept: bool = False
    snapshot: bool = False
    source_generation: int | None = None
    origin: Origin | None = None


def version_of(envelope: Envelope, record: SourceRecord) -> StatedVersion:
    """The version of a change: ``seq``, else ``lsn``, else the record's offset.

    A snapshot's row that a Postgres connector wrote without an lsn (an incremental snapshot's)
    has the lowest version of a topic of lsns. Raises RejectedError ``bad_version``.
    """
    source, where = envelope.source, f"{envelope.where}.source"
    minor = version_minor(source.get("minor"), f"{where}.minor")
    if source.get("seq") is not None:
        number = version_number(source["seq"], f"{where}.seq")
        return StatedVersion(VersionKind.SEQ, Version(number, minor))
    read = envelope.op == "r"
    if source.get("lsn") is not None:
        number = version_number(source["lsn"], f"{where}.lsn")
        return _with_lsn(envelope, record, Version(number, minor + SNAPSHOT_MINOR * read))
    if read and _has_lsns(envelope):
        return _with_lsn(envelope, record, Version(0, minor + SNAPSHOT_MINOR))
    if envelope.op == "t" and _has_lsns(envelope):
        raise RejectedError(
            "bad_version",
            f"{where}.lsn is null; a truncation needs it, which puts it in order with the changes",
        )
    kept = header(record.headers, VERSION_HEADER)
    number = record.offset if kept is None else _kept_offset(kept)
    return StatedVersion(VersionKind.OFFSET, Version(number, minor), kept is not None, read)


def _with_lsn(envelope: Envelope, record: SourceRecord, version: Version) -> StatedVersion:
    origin = _origin(header(record.headers, VERSION_HEADER))
    given = envelope.source.get("generation")
    generation = None if origin is None else origin.source_generation
    if generation is None and given is not None and envelope.source.get("connector") == "nova":
        generation = version_minor(given, f"{envelope.where}.source.generation")
    return StatedVersion(VersionKind.LSN, version, source_generation=generation, origin=origin)


def _has_lsns(envelope: Envelope) -> bool:
    """Whether the source is one whose changes have lsns, although this record has none."""
    connector = envelope.source.get("connector")
    return "lsn" in envelope.source and connector in (None, "postgresql", "yugabytedb")


def _kept_offset(text: bytes) -> int:
    name, _, number = text.decode("utf-8", "replace").partition(":")
    if name != VersionKind.OFFSET:
        raise RejectedError(
            "bad_version", f"the header {VERSION_HEADER} is {quoted(text)}; allowed is offset:<n>"
        )
    return version_number(number, f"the header {VERSION_HEADER}")


def origin_header(origin: Origin) -> tuple[str, bytes]:
    """The header that keeps where a record with an lsn stood first."""
    return VERSION_HEADER, f"lsn:{':'.join(map(str, origin))}".encode()


def _origin(text: bytes | None) -> Origin | None:
    found = None if text is None else _ORIGIN.fullmatch(text.decode("utf-8", "replace"))
    return None if found is None else Origin(*map(int, found.groups()))


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
