"""Convex's values in JSON: read from calls, shown in messages, written into answers.

Of what a call gives, a number is a float, a BigInt an int, bytes are bytes.
"""

from __future__ import annotations

import json
import math
import struct
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

from nova_stream.api.convex.errors import FunctionError
from nova_stream.errors import RejectedError
from nova_stream.events.json_text import refuse_unstorable_text
from nova_stream.events.times import parse_time, time_text

#: How the caller wants its answer: lossless, or as plain JSON.
Format = Literal["convex_encoded_json", "json"]

_LONGEST_NAME = 1024
#: As many characters of a value are shown in a message.
_SHOWN = 4096
#: Whole floats up to here are written without a fraction, as JavaScript does.
_WHOLE = 10.0**21
_EXACT = 2**53


def read_value(value: Any) -> Any:
    """The value of JSON as ``parse_json`` gives it; raises FunctionError for what is none."""
    if isinstance(value, bool | str) or value is None:
        if isinstance(value, str):
            _check_text(value)
        return value
    if isinstance(value, int | Decimal):
        return _number(value)
    if isinstance(value, list):
        return [read_value(item) for item in value]
    if len(value) == 1:
        (name, item), *_ = value.items()
        if name.startswith("$"):
            return _special(name, item)
    return {_name(name): read_value(item) for name, item in value.items()}


def _check_text(text: str) -> None:
    try:
        refuse_unstorable_text(text, "an argument")
    except RejectedError as error:
        raise FunctionError(str(error), None) from None


def _number(value: int | Decimal) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise FunctionError("a number is outside of what a double can hold", None)
    return number


def _name(name: str) -> str:
    if is_field_name(name):
        return name
    if name.startswith("$"):
        raise FunctionError(f"Field name {name} starts with a '$', which is reserved.", None)
    raise FunctionError(
        f"Field name {name[:_LONGEST_NAME]!r} is too long or has an invalid character: Field "
        "names can only contain non-control ASCII characters",
        None,
    )


def is_field_name(name: str) -> bool:
    """Whether an object of Convex can have a field of this name."""
    return (
        len(name) <= _LONGEST_NAME
        and name.isascii()
        and name.isprintable()
        and not name.startswith("$")
    )


def _special(name: str, item: Any) -> Any:
    read = _SPECIAL.get(name)
    if read is None:
        _name(name)
    if not isinstance(item, str):
        raise FunctionError(f"Malformed {name} field: its value is not a string", None)
    try:
        data = b64decode(item, validate=True)
    except (Base64Error, ValueError):
        raise FunctionError(f"Malformed {name} field: this is not base64", None) from None
    assert read is not None
    return read(data)


def _read_integer(data: bytes) -> int:
    _eight(data, "$integer")
    return int.from_bytes(data, "little", signed=True)


def _read_float(data: bytes) -> float:
    _eight(data, "$float")
    number: float = struct.unpack("<d", data)[0]
    if not _needs_encoding(number):
        raise FunctionError(f"Float {number} should be encoded as a number", None)
    return number


def _eight(data: bytes, name: str) -> None:
    if len(data) != 8:
        raise FunctionError(f"Received {len(data)} bytes, expected 8 for {name}", None)


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "$bytes": bytes,
    "$integer": _read_integer,
    "$float": _read_float,
}


def _needs_encoding(number: float) -> bool:
    return not math.isfinite(number) or (number == 0 and math.copysign(1, number) < 0)


def shown(value: Any) -> str:
    """``value`` as Convex's messages show it; of a long one the beginning."""
    text = _shown(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}[...truncated]"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value[:_SHOWN], ensure_ascii=False)
    if isinstance(value, bytes):
        return b64encode(value[:_SHOWN]).decode()
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value[:_SHOWN]))}]"
    if isinstance(value, dict):
        fields = sorted(value.items())[:_SHOWN]
        return f"{{{', '.join(f'{name}: {_shown(item)}' for name, item in fields)}}}"
    text = str(value)
    return {"None": "null", "True": "true", "False": "false", "nan": "NaN"}.get(text, text)


def written(value: Any, format_: Format) -> Any:
    """A result as JSON data: fields by name, without those whose names Convex does not know."""
    if isinstance(value, float) and _needs_encoding(value) and format_ == "convex_encoded_json":
        return {"$float": b64encode(struct.pack("<d", value)).decode()}
    if isinstance(value, list):
        return [written(item, format_) for item in value]
    if isinstance(value, dict):
        names = sorted(name for name in value if is_field_name(name))
        return {name: written(value[name], format_) for name in names}
    return value


def stored(number: float) -> int | float:
    """A number of a call as documents hold it: whole ones without a fraction."""
    whole = math.isfinite(number) and number.is_integer() and abs(number) < _EXACT
    return int(number) if whole else number


def stored_time(text: str) -> str:
    """A time of a call as documents hold it, whatever form it has; what is none stays as it is, and
    is refused when it is published.
    """
    try:
        return time_text(parse_time(text, "a time"))
    except RejectedError:
        return text


def json_text(value: Any) -> str:
    """A value of a call as the JSON text that JavaScript would write."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return stored(value) if math.isfinite(value) else None
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def number_text(number: float) -> str:
    """A number as JavaScript puts it into a text."""
    if math.isfinite(number) and number.is_integer() and abs(number) < _WHOLE:
        return str(int(number))
    text = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, str(number))
    return text.replace("e-0", "e-").replace("nan", "NaN")


def substring(text: str, length: int) -> str:
    """The first ``length`` UTF-16 units of a text, as JavaScript counts; a pair is not halved."""
    if len(text) * 2 <= length or (text.isascii() and len(text) <= length):
        return text
    return text.encode("utf-16-le")[: length * 2].decode("utf-16-le", "ignore")
