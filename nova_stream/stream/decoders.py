"""The decoders of a worker, as its settings want them."""

from __future__ import annotations

from collections.abc import Mapping

from nova_stream.events.change import Entity
from nova_stream.events.decode import Decoder
from nova_stream.events.framing import SchemaLookup
from nova_stream.events.placeholders import Placeholders
from nova_stream.settings import Settings


def decoders_of(settings: Settings, schemas: SchemaLookup | None) -> Mapping[Entity, Decoder]:
    """A decoder an entity; without ``schemas`` framed records are rejected."""
    placeholders = Placeholders(settings.unavailable_value)
    return {
        entity: Decoder(entity, placeholders, prefix=settings.flattened_prefix, schemas=schemas)
        for entity in Entity
    }
