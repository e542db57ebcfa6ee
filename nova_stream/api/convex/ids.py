"""Document ids as Convex writes them: 32 characters that name their table and check themselves.

Ours begin with the time of their making, so that ids sort as the documents were made.
"""

from __future__ import annotations

import secrets

from nova_stream.events.change import Entity

#: Far above the numbers that a deployment gives its tables (from 10001 on), so that an id which
#: was made there is never taken for one of ours.
_TABLES = {
    Entity.AGENTS: 16_001,
    Entity.BUILDS: 16_002,
    Entity.TASKS: 16_003,
    Entity.EXECUTIONS: 16_004,
    Entity.ACTIVITIES: 16_005,
}
_NUMBERS = {number: entity for entity, number in _TABLES.items()}

#: The names of the tables in the main app's schema.
TABLE_NAMES = {
    Entity.AGENTS: "agents",
    Entity.BUILDS: "builds",
    Entity.TASKS: "tasks",
    Entity.EXECUTIONS: "executions",
    Entity.ACTIVITIES: "agentActivityFeed",
}

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_TIME_BYTES, _RANDOM_BYTES = 8, 8
_LENGTH = 32


def new_id(entity: Entity, number: int) -> str:
    """An id for a document made as ``number``, microseconds since the Unix epoch."""
    table = _TABLES[entity]
    body = bytes([table & 0x7F | 0x80, table >> 7])
    body += number.to_bytes(_TIME_BYTES, "big") + secrets.token_bytes(_RANDOM_BYTES)
    return _encode(body + _fletcher16(body))


def table_of(id_: str) -> Entity | None:
    """Whose id this is; None for ids that were not made here."""
    if len(id_) != _LENGTH or not all(character in _VALUES for character in id_):
        return None
    data = _decode(id_)
    if _fletcher16(data[:-2]) != data[-2:]:
        return None
    return _NUMBERS.get((data[0] & 0x7F) | data[1] << 7)


def _fletcher16(data: bytes) -> bytes:
    low = high = 0
    for byte in data:
        low = (low + byte) & 0xFF
        high = (high + low) & 0xFF
    return bytes([low, high])


def _encode(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(len(data) * 8 - 5, -5, -5))


def _decode(text: str) -> bytes:
    number = 0
    for character in text:
        number = number << 5 | _VALUES[character]
    return number.to_bytes(_LENGTH * 5 // 8, "big")
