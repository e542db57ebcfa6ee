"""What tells the forms of an entity's records apart, and is needed to read them."""

from __future__ import annotations

from typing import NamedTuple

from nova_stream.events.framing import SchemaLookup
from nova_stream.events.placeholders import PLACEHOLDERS, Placeholders

#: What Debezium's transforms put before the names of what they add.
PREFIX = "__"


class Forms(NamedTuple):
    """The folded names of the entity's fields, the prefix of what flattened records add to them,
    where schemas of framed records come from, and what stands for a value that did not change.
    """

    known: frozenset[str] = frozenset()
    prefix: str = PREFIX
    schemas: SchemaLookup | None = None
    placeholders: Placeholders = PLACEHOLDERS


#: For whom no entity is known: a row is then only known by what a transform has added.
ANY_ENTITY = Forms()
