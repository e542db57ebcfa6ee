"""Rows as CSV (RFC 4180), for people who open them in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

#: What a spreadsheet takes for a formula when a cell begins with it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def columns_of(kind: type[msgspec.Struct], *, documents: bool) -> list[str]:
    """The names of a row's columns; those that hold documents only on request."""
    fields = msgspec.structs.fields(kind)
    return [
        field.encode_name for field in fields if documents or field.default is not msgspec.UNSET
    ]


def csv_table(columns: Sequence[str], rows: Iterable[msgspec.Struct]) -> str:
    """A header line and a line a row. Text that a spreadsheet would run gets an apostrophe before
    it; what is null or not there is empty.
    """
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(columns)
    for row in rows:
        fields = msgspec.to_builtins(row)
        writer.writerow([_cell(fields.get(column)) for column in columns])
    return target.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return value
