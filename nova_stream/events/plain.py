"""The fast way for a document that is in the main app's own form already."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from nova_stream.events.change import Entity
from nova_stream.events.documents import COLUMN_NAMES, DOCUMENTS, RULES, Columns
from nova_stream.events.names import Spellings
from nova_stream.events.placeholders import (
    DEFAULT,
    DEFAULT_BASE64,
    DEFAULT_UUID,
    PLACEHOLDERS,
    Placeholders,
)

_OF_BYTES = DEFAULT_BASE64.rstrip("=")  # some writers escape the rest
# The default placeholder as the beginning of a list: its UUID, or its first bytes as numbers.
_NUMBERS = r"\s*,\s*".join(map(str, DEFAULT[:4].encode()))
#: A document's names.
_names_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_finds_list = re.compile(rf'\[\s*(?:"{DEFAULT_UUID}"|{_NUMBERS}\s*,)').search


class PlainDocuments(NamedTuple):
    """Documents side by side: their ids, their texts, and their typed columns."""

    ids: list[str]
    texts: list[str]
    rows: list[tuple[Any, ...]]


class PlainReader:
    """Reads documents of one entity that need nothing done to them, and refuses all others.

    What it refuses is not wrong by that: ``normalise`` decides. What it takes, ``normalise`` takes
    too, with the same result; only numbers of more than 16,000 digits in unknown fields pass here,
    since looking for them costs more than all the rest, and are left to Postgres to refuse.
    """

    def __init__(self, entity: Entity, placeholders: Placeholders = PLACEHOLDERS) -> None:
        pattern = placeholders.own_pattern
        self._finds_own = re.compile(pattern or "(?!)").search
        self._refuse = self._refuse_unusual if pattern is None else self._refuse_own
        self._has_list = "dependencies" in RULES[entity]
        decoder = msgspec.json.Decoder(DOCUMENTS[entity])
        self._columns_of: Callable[[Any], Columns] = DOCUMENTS[entity].columns
        self._decode, self._decode_lines = decoder.decode, decoder.decode_lines
        self._spellings = Spellings(entity)
        self._columns = tuple(f'"{name}"' for name in COLUMN_NAMES[entity])

    def read(self, encoded: Sequence[msgspec.Raw | bytes]) -> PlainDocuments:
        """The documents, in their order; together, since calls for each cost more than reading it.

        Raises ValueError, OverflowError or RecursionError when one of them needs care. The nesting
        is not looked at.
        """
        if len(encoded) == 1:
            text = str(encoded[0], "utf-8")
            documents, texts = [self._decode(encoded[0])], [text]
        else:
            lines = b"\n".join(encoded)
            text = str(lines, "utf-8")
            documents, texts = self._decode_lines(lines), text.split("\n")
            if not len(documents) == len(texts) == len(encoded):
                raise ValueError("a line break in a document, or nothing")
        known_lists = 0
        if self._has_list:
            known_lists = sum([d.dependencies is not None for d in documents])  # type: ignore[union-attr]
        self._refuse(text, known_lists)
        columns = self._columns_of(documents)
        rows = list(zip(*columns, strict=True))
        if not all(map(all, columns)):
            for one, row in zip(texts, rows, strict=True):
                if not all(row) and self._spellings.has_others(_names_of(one)):
                    raise ValueError("perhaps a column under another name")
        return PlainDocuments([d.id for d in documents], texts, rows)

    def _refuse_unusual(self, text: str, known_lists: int) -> None:
        """Raises ValueError when the text may hold NUL, a value left out, or a snake_case column:
        a text that only looks so is read with care, which finds nothing. Lists beyond those of
        known fields, which the document itself looks at, are looked into.
        """
        if "\\" in text:
            if "\\u0000" in text:
                raise ValueError("perhaps NUL")
            if _OF_BYTES in text:
                raise ValueError("perhaps a value left out")
        elif "=" in text and DEFAULT_BASE64 in text:
            raise ValueError("perhaps a value left out")
        if "_" in text:
            if DEFAULT in text:
                raise ValueError("perhaps a value left out")
            for column in self._columns:
                if column in text:
                    raise ValueError(column)
        if "[" in text and text.count("[") > known_lists and _finds_list(text):
            raise ValueError("perhaps a value left out of a list")

    def _refuse_own(self, text: str, known_lists: int) -> None:
        self._refuse_unusual(text, known_lists)
        if self._finds_own(text):
            raise ValueError("perhaps a value left out")
