"""Numbers as Postgres sends them."""

from __future__ import annotations

from decimal import Decimal
from struct import pack


def sent(number: int | Decimal) -> bytes:
    """What ``numeric_send`` gives of a whole number that is not below zero."""
    rest, places = int(number), []
    while rest:
        rest, digit = divmod(rest, 10_000)
        places.append(digit)
    least = next((place for place, digit in enumerate(places) if digit), 0)
    digits = places[least:][::-1]
    return pack(f">HhHH{len(digits)}H", len(digits), max(len(places) - 1, 0), 0, 0, *digits)
