"""Records and chunks as the worker makes them, without Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nova_stream.errors import RejectedError
from nova_stream.events.change import Change, Entity
from nova_stream.events.decode import Decoder
from nova_stream.events.json_text import encode_json
from nova_stream.storage.apply.chunk import Chunk
from nova_stream.storage.dead_letters.insert import FailedRecord, dead_letter

NOON_MS = 1771588800000
_DECODERS = {entity: Decoder(entity) for entity in Entity}


class Record(NamedTuple):
    """A Kafka record, as far as decoder and dead letters look."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = NOON_MS
    headers: Any = ()


def value_of(
    after: dict[str, Any] | None,
    *,
    before: dict[str, Any] | None = None,
    op: str | None = None,
    ts_ms: int = NOON_MS,
    at: int | None = None,
    **source: Any,
) -> bytes:
    """A change record's bytes; without ``after`` a deletion. ``source`` has the version, ``at`` is
    the source's own time.
    """
    op = op or ("d" if after is None else "u")
    source |= {} if at is None else {"ts_ms": at}
    fields = {"op": op, "ts_ms": ts_ms, "before": before, "after": after}
    return encode_json({**fields, "source": {"connector": "nova", **source}})


def task(id_: str = "t", seq: int | None = 1, **fields: Any) -> bytes:
    """A task that is done."""
    version: dict[str, Any] = {} if seq is None else {"seq": seq}
    return value_of({"id": id_, "agent": "MARS", "status": "done", **fields}, **version)


def deletion(id_: str = "t", seq: int = 1) -> bytes:
    return value_of(None, before={"id": id_}, seq=seq)


def chunk_of(
    topic: str,
    entity: Entity,
    records: Sequence[Record],
    *,
    partition: int = 0,
    generation: int = 0,
    start: int | None = None,
    end: int | None = None,
) -> Chunk:
    """The records of offsets ``start`` to before ``end`` (all by default), decoded."""
    start = records[0].offset if start is None else start
    end = records[-1].offset + 1 if end is None else end
    kept = [record for record in records if start <= record.offset < end]
    changes: list[Change] = []
    dead: list[FailedRecord] = []
    tombstones: list[Change] = []
    dead_tombstones: list[FailedRecord] = []
    for record in kept:
        try:
            change = _DECODERS[entity].decode(record, partition)
        except RejectedError as error:
            letter = dead_letter(topic, partition, generation, record, error.reason, str(error))
            dead.append(letter)
            continue
        if change is not None:
            changes.append(change)
            continue
        try:
            tombstone = _DECODERS[entity].read_tombstone(record, partition)
        except RejectedError as error:
            letter = dead_letter(topic, partition, generation, record, error.reason, str(error))
            dead_tombstones.append(letter)
        else:
            tombstones += [] if tombstone is None else [tombstone]
    return Chunk(
        topic=topic,
        entity=entity,
        partition=partition,
        generation=generation,
        start=start,
        end=end,
        records=kept,
        changes=changes,
        dead=dead,
        tombstones=tombstones,
        dead_tombstones=dead_tombstones,
    )
