"""Convex's values, as its streaming export writes them, into the JSON of the main app's documents.

The export is asked for in the lossless form: an int64 is ``{"$integer": …}``, bytes are
``{"$bytes": …}``, and floats that JSON has no word for are ``{"$float": …}``, each in base64.
"""

from __future__ import annotations

import math
import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

#: Floats are whole numbers of JavaScript up to here.
_EXACT = 2.0**53


def plain_value(value: Any) -> Any:
    """A value in plain JSON, as the main app would write it.

    Floats without a fraction become whole numbers, as JavaScript writes them; an int64 is a
    number; bytes are base64; NaN and the infinities are ``NaN``, ``Infinity`` and ``-Infinity``
    as text. Raises ValueError for what is no value of Convex.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None or kind is int:
        return value
    if kind is float:
        return int(value) if value.is_integer() and -_EXACT <= value <= _EXACT else value
    if kind is list:
        return [plain_value(item) for item in value]
    if len(value) == 1:
        (name, item), *_ = value.items()
        if name in _SPECIAL:
            return _special(name, item)
    return {name: plain_value(item) for name, item in value.items()}


def _special(name: str, item: Any) -> Any:
    if not isinstance(item, str):
        raise ValueError(f"{name} holds no text")  # noqa: TRY004 - a value, as all the others
    try:
        data = b64decode(item, validate=True)
    except (Base64Error, ValueError):
        raise ValueError(f"{name} holds no base64") from None
    if name != "$bytes" and len(data) != 8:
        raise ValueError(f"{name} holds {len(data)} bytes instead of 8")
    return _SPECIAL[name](data, item)


def _float(data: bytes, _text: str) -> Any:
    number: float = struct.unpack("<d", data)[0]
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    return plain_value(number)  # the negative zero is a zero


#: What each special object stands for, of its bytes and their text.
_SPECIAL: dict[str, Callable[[bytes, str], Any]] = {
    "$integer": lambda data, _text: int.from_bytes(data, "little", signed=True),
    "$float": _float,
    "$bytes": lambda _data, text: text,
}
