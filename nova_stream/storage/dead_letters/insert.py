"""Records that could not be applied, kept with their bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from nova_stream.clock import from_millis
from nova_stream.events.change import SourceRecord
from nova_stream.storage.database import Connection
from nova_stream.storage.dead_letters.sql import INSERT

_MESSAGE_LIMIT = 2000

#: A header of a record; Kafka tells a null value from an empty one.
RecordHeader = tuple[str, bytes | None]


class FailedRecord(msgspec.Struct):
    """A record that could not be applied, its place and why, in the order of ``INSERT``."""

    topic: str
    partition: int
    offset: int
    generation: int
    key: bytes | None
    value: bytes | None
    headers: str
    record_time: datetime | None
    reason: str
    message: str


def dead_letter(
    topic: str, partition: int, generation: int, record: SourceRecord, reason: str, message: str
) -> FailedRecord:
    """Keep ``record`` whole, with the reason in a form that Postgres can store."""
    return FailedRecord(
        topic=topic,
        partition=partition,
        offset=record.offset,
        generation=generation,
        key=record.key,
        value=record.value,
        headers=_headers(record.headers),
        record_time=_time(record.timestamp),
        reason=reason,
        message=_storable(message)[:_MESSAGE_LIMIT],
    )


def _headers(headers: Any) -> str:
    return msgspec.json.encode(
        [_stored(str(name), value) for name, value in headers or ()]
    ).decode()


def _stored(name: str, value: bytes | None) -> list[str | None]:
    """A header as JSON: name, value in base64 or null, and, where Postgres cannot store the name,
    that in base64, too.
    """
    encoded = None if value is None else base64.b64encode(value).decode()
    shown = _storable(name)
    if shown == name:
        return [name, encoded]
    return [shown, encoded, base64.b64encode(name.encode("utf-8", "surrogatepass")).decode()]


def read_headers(text: str) -> list[RecordHeader]:
    """The headers of a stored letter, as the record had them: order, doubles and nulls included."""
    return [_header(*stored) for stored in msgspec.json.decode(text)]


def _header(name: str, value: str | None, whole_name: str | None = None) -> RecordHeader:
    if whole_name is not None:
        name = base64.b64decode(whole_name).decode("utf-8", "surrogatepass")
    return name, None if value is None else base64.b64decode(value)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "\\0")


def _time(timestamp: int | None) -> datetime | None:
    if timestamp is None or timestamp < 0:
        return None
    try:
        return from_millis(timestamp)
    except OverflowError:
        return None


async def insert(connection: Connection, letters: Sequence[FailedRecord]) -> None:
    """Store ``letters`` in the transaction at hand; one that is there already stays as it is."""
    columns = zip(*map(msgspec.structs.astuple, letters), strict=True)
    await connection.execute(INSERT, *columns)
