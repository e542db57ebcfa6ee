"""What a check of ``nova-stream doctor`` finds."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """What a check found; ``advice`` says what to do about a problem, or, where ``ok``, that
    this is a warning.
    """

    check: str
    ok: bool
    message: str
    advice: str = ""


def problem(check: str, message: str, advice: str = "") -> Finding:
    """A problem, and what to do about it."""
    return Finding(check, ok=False, message=message, advice=advice)
