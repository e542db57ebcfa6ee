"""Kafka's headers, as every client gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def header(headers: Any, name: str) -> bytes | None:
    """The last value of a Kafka header, given as pairs or as a mapping; names in any case."""
    pairs: Iterable[Any] = headers.items() if isinstance(headers, Mapping) else headers or ()
    found, wanted = None, name.lower()
    for key, value in pairs:
        if isinstance(key, str) and key.lower() == wanted and isinstance(value, bytes):
            found = value
    return found
