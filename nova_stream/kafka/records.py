"""The Kafka record of a change: its key, its bytes, its headers and its partition."""

from __future__ import annotations

from collections.abc import Iterable
from struct import iter_unpack
from typing import NamedTuple

from nova_stream.clock import Clock, to_millis
from nova_stream.errors import RejectedError
from nova_stream.events.change import Entity, Version
from nova_stream.events.describe import quoted
from nova_stream.events.encode import cloudevents_headers, encode_change, encode_key
from nova_stream.events.json_text import MAX_DEPTH, too_deep
from nova_stream.events.lines import ChangeLine
from nova_stream.events.versions import HybridClock

#: Readers tell the unit of an epoch by its magnitude: these are milliseconds for all of them,
#: of the years 1973 to 5138.
_MILLIS = range(10**11, 10**14)


#: The largest record: key, document and all. Topics that nova-stream makes take batches of 10 MiB.
MAX_RECORD_BYTES = 10 * 1024 * 1024 - 64 * 1024

_M, _MASK = 0x5BD1E995, 0xFFFFFFFF


class Outgoing(NamedTuple):
    """What is handed to Kafka for one change."""

    entity: Entity
    id: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class RecordMaker:
    """Makes records; gives versions and times to the changes that have none.

    One seq is given to no two changes, and each is above the one before, whatever the clock does.
    """

    def __init__(self, source_name: str, clock: Clock) -> None:
        self._source_name = source_name
        self._clock = clock
        self._versions = HybridClock(clock)

    def make(self, change: ChangeLine, more_headers: Iterable[tuple[str, bytes]] = ()) -> Outgoing:
        """The record of a checked change; raises RejectedError for what only shows as a whole."""
        ts_ms = to_millis(self._clock()) if change.ts_ms is None else change.ts_ms
        _check_time(ts_ms)
        number = self._versions.next() if change.seq is None else change.seq
        version = Version(number, change.minor)
        name = self._source_name
        value = encode_change(
            change.entity,
            change.op,
            change.document,
            before=change.before,
            version=version,
            ts_ms=ts_ms,
            source_name=name,
        )
        _refuse_unreadable(change, value)
        headers = cloudevents_headers(
            change.entity, change.op, change.id, version, ts_ms=ts_ms, source_name=name
        )
        headers += more_headers
        return Outgoing(change.entity, change.id, encode_key(change.id), value, headers)


def check_parts(change: ChangeLine) -> None:
    """What ``make`` would refuse in a checked change, but for its size as a record."""
    if change.ts_ms is not None:
        _check_time(change.ts_ms)
    encode_key(change.id)


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key among ``partitions``, as Kafka's own clients choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Java's murmur2 of Kafka, as an unsigned number of 32 bits.

    The same as aiokafka's, in a third of the time: it was the largest part of what a record costs.
    """
    length = len(data)
    whole = length & ~3
    h = 0x9747B28C ^ length
    for (k,) in iter_unpack("<I", data[:whole]):
        k = k * _M & _MASK  # noqa: PLW2901
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def _check_time(ts_ms: int) -> None:
    if ts_ms not in _MILLIS:
        raise RejectedError(
            "bad_time", f"ts_ms is {quoted(ts_ms)}; allowed are milliseconds from 1973-03-03 on"
        )


def _refuse_unreadable(change: ChangeLine, value: bytes) -> None:
    """What is right as a document may be too much as a record."""
    if len(value) > MAX_RECORD_BYTES:
        raise RejectedError(
            "too_large",
            f"{change.entity.value} {quoted(change.id)} makes a record of {len(value)} bytes; "
            f"allowed are {MAX_RECORD_BYTES}",
        )
    if too_deep(value):
        raise RejectedError(
            "too_deep",
            f"{change.entity.value} {quoted(change.id)} is nested deeper than {MAX_DEPTH - 2} "
            "levels",
        )
