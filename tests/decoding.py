"""One record, read as the worker's decoders read it."""

from __future__ import annotations

from nova_stream.events.change import Change, Entity, SourceRecord
from nova_stream.events.decode import Decoder

_DECODERS = {entity: Decoder(entity) for entity in Entity}


def decode(entity: Entity, record: SourceRecord, partition: int) -> Change | None:
    """The change that a record asks for, None for a tombstone."""
    return _DECODERS[entity].decode(record, partition)
