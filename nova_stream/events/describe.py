"""How messages about rejected records name what they found: short, never a whole document, and
nothing of what people wrote.
"""

from __future__ import annotations

from decimal import Decimal

_LONGEST = 60


def quoted(value: object) -> str:
    """``value`` as it may stand in a message: at most some 60 characters, lists and objects by
    kind and size only.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int | Decimal):
        return _number(value)

    text = ascii(value[: _LONGEST + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def described(value: object) -> str:
    """As ``quoted``, but a text by its size only: for places where a prompt, an e-mail address or
    the like may stand.
    """
    if isinstance(value, str | bytes):
        return f"a text of {len(value)} {'characters' if isinstance(value, str) else 'bytes'}"
    return quoted(value)


def _number(value: int | Decimal) -> str:
    """A number in full when it is short; else its size (the text of a huge int is slow to make)."""
    if isinstance(value, int) and value.bit_length() > 192:
        return f"a number of {value.bit_length()} bits"

    text = str(value)
    return text if len(text) <= _LONGEST else f"a number of {len(text)} characters"
