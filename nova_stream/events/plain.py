"""The fast way for a document that is in the main app's own form already."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from nova_stream.events.change import Entity
from nova_stream.events.documents import COLUMN_NAMES, DOCUMENTS, short
from nova_stream.events.placeholders import (
    DEFAULT,
    DEFAULT_BASE64,
    DEFAULT_UUID,
    PLACEHOLDERS,
    Placeholders,
)

# The first bytes of the default placeholder, as a list of numbers, with any spaces between.
_NUMBERS = re.compile(r"95,\s*95\s*,\s*100\s*,\s*101\s*,")


class PlainReader:
    """Reads documents of one entity that need nothing done to them, and refuses all others.

    What it refuses is not wrong by that: ``normalise`` decides. What it takes, ``normalise`` takes
    too, with the same result; only numbers of more than 16,000 digits in unknown fields pass here,
    since looking for them costs more than all the rest, and are left to Postgres to refuse.
    """

    def __init__(self, entity: Entity, placeholders: Placeholders = PLACEHOLDERS) -> None:
        pattern = placeholders.own_pattern
        self._finds_own = None if pattern is None else re.compile(pattern).search
        self._decode = msgspec.json.Decoder(DOCUMENTS[entity]).decode
        self._columns = tuple(f'"{name}"' for name in COLUMN_NAMES[entity])

    def read(self, encoded: msgspec.Raw | bytes) -> tuple[str, str, tuple[Any, ...]]:
        """The document's id, its text, and its typed columns.

        Raises ValueError, OverflowError or RecursionError when it needs care. The nesting is not
        looked at.
        """
        document = self._decode(encoded)
        identity = document.id
        if not identity:
            raise ValueError("no id")
        text = str(encoded, "utf-8")
        self._refuse_unusual(text)
        short(identity)
        return identity, text, document.columns()

    def _refuse_unusual(self, text: str) -> None:
        """Raises ValueError when the text may hold NUL, a value left out, or a snake_case column:
        a text that only looks so is read with care, which finds nothing.
        """
        if "\\" in text and "\\u0000" in text:
            raise ValueError("perhaps NUL")
        if DEFAULT_BASE64 in text:
            raise ValueError("perhaps a value left out")
        if "_" in text:
            if DEFAULT in text:
                raise ValueError("perhaps a value left out")
            for column in self._columns:
                if column in text:
                    raise ValueError(column)
        if "[" in text and (DEFAULT_UUID in text or ("95," in text and _NUMBERS.search(text))):
            raise ValueError("perhaps a value left out of a list")
        if self._finds_own is not None and self._finds_own(text):
            raise ValueError("perhaps a value left out")
