"""JSON as Postgres can store it: strict parsing with exact numbers, and writing it again."""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any

import msgspec

from nova_stream.errors import RejectedError
from nova_stream.events.describe import described, quoted

#: Deepest nesting of lists and objects. Postgres, msgspec and every reader manage it easily.
MAX_DEPTH = 256

#: A text of so many bytes cannot be nested deeper.
SURELY_FLAT = 2 * MAX_DEPTH

# Postgres' numeric holds 131,072 digits before and 16,383 after the point.
_LARGEST_EXPONENT = 16_000
# More digits than any id or version may have.
_LONGEST_INT = 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FORMS = {
    b"\xff\xfe": "text in UTF-16 or UTF-32, not UTF-8",
    b"\xfe\xff": "text in UTF-16, not UTF-8",
    b"\x00\x00\xfe\xff": "text in UTF-32, not UTF-8",
    b"\x1f\x8b": "compressed with gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"PK\x03\x04": "a ZIP file",
}
#: The first character of a JSON text, all of which are ASCII, in two bytes.
_WIDE = re.compile(rb"[\t-~]\x00|\x00[\t-~]")
#: The end of a text may be missing: else each quote in one that is cut off would be tried as a
#: start, in time that grows with the square of its length.
_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+', re.DOTALL)
_NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse_json(data: bytes, where: str) -> Any:
    """The value of a JSON text; numbers with a fraction or exponent become exact Decimals.

    Raises RejectedError: ``bad_json``, ``too_deep`` (more than MAX_DEPTH levels),
    ``unstorable_text`` (half a surrogate pair; NUL is left to ``storable_json``, since not all
    that is read is stored) or ``unstorable_number``. ``where`` is the JSON path of the text for
    messages.
    """
    if too_deep(data):
        raise RejectedError("too_deep", f"{where} is nested deeper than {MAX_DEPTH} levels")

    try:
        return _decode(data)
    except msgspec.ValidationError as error:  # untyped: only an int of thousands of digits
        raise RejectedError("unstorable_number", f"{where}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # A byte order mark, which editors write and JSON does not have, is left out once.
        text = data.removeprefix(_BYTE_ORDER_MARK)
        if len(text) < len(data) and not text.startswith(_BYTE_ORDER_MARK):
            return parse_json(text, where)
        raise _explain(data, where, error) from None
    except RecursionError:
        raise RejectedError("too_deep", f"{where} is nested too deeply to be read") from None


def too_deep(data: bytes) -> bool:
    """Whether the JSON text is nested deeper than MAX_DEPTH; cheap for what is small or flat."""
    if len(data) <= SURELY_FLAT or data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return False

    brackets = _TEXTS.sub(b"", data).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH


def has_more_values(data: bytes, most: int) -> bool:
    """Whether the JSON text has more than ``most`` values, containers counted, too; before any of
    them is made. Cheap for what is small or has few.
    """
    if len(data) <= most or _values(data) <= most:
        return False
    return _values(_TEXTS.sub(b"", data)) > most


def _values(data: bytes) -> int:
    return 1 + data.count(b",") + data.count(b"[") + data.count(b"{")


def encode_json(value: Any) -> bytes:
    """``value`` as compact JSON, Decimals as numbers with all their digits.

    Raises RejectedError ``unstorable_text``, ``too_deep``, and ``wrong_type`` for what JSON does
    not have.
    """
    try:
        return _encode(value)
    except UnicodeEncodeError:
        raise RejectedError("unstorable_text", "half a surrogate pair cannot be stored") from None
    except RecursionError:
        raise RejectedError("too_deep", f"nested deeper than {MAX_DEPTH} levels") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise RejectedError("wrong_type", f"this cannot be written as JSON: {error}") from None


def whole_number(value: object) -> int | None:
    """The int that a JSON number is (also 7.0 and 1e3); None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value

    number = Decimal(repr(value)) if isinstance(value, float) else value
    if (
        not isinstance(number, Decimal)
        or not number.is_finite()
        or number.adjusted() > _LONGEST_INT
    ):
        return None
    return int(number) if number == number.to_integral_value() else None


def storable_json(value: Any, where: str) -> str:
    """``value`` as compact JSON text that Postgres can store; NUL is ``unstorable_text``.

    Raises RejectedError as ``encode_json`` does.
    """
    encoded = encode_json(value)
    if b"\\u0000" in encoded:
        refuse_unstorable(value, where)
    return encoded.decode()


def refuse_unstorable(value: Any, where: str) -> None:
    """Raises RejectedError when a text or a key anywhere in ``value`` holds what Postgres cannot
    store (``unstorable_text``), or a number is not finite (``unstorable_number``).
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            refuse_unstorable_text(item, where)
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)
        elif isinstance(item, float) and item - item != 0:
            raise RejectedError("unstorable_number", f"{where} holds {item}, no finite number")


def refuse_unstorable_text(text: str, where: str) -> None:
    """Raises RejectedError ``unstorable_text`` for NUL and for half a surrogate pair."""
    if "\x00" in text:
        raise RejectedError(
            "unstorable_text", f"{where}: NUL in {described(text)} cannot be stored"
        )
    if not text.isascii() and _has_half_pair(text):
        raise RejectedError(
            "unstorable_text",
            f"{where}: half a surrogate pair in {described(text)} cannot be stored",
        )


def _has_half_pair(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _exact(digits: str) -> Decimal:
    try:
        number = Decimal(digits)
    except InvalidOperation:
        number = Decimal("Infinity")
    if (
        not number.is_finite()
        or abs(number.adjusted()) > _LARGEST_EXPONENT
        or len(digits) > _LARGEST_EXPONENT
    ):
        raise RejectedError(
            "unstorable_number",
            f"the number {quoted(digits)} cannot be stored: at most {_LARGEST_EXPONENT} "
            "digits before or after the point are allowed",
        )
    return number


def told_form(data: bytes) -> str | None:
    """What ``data`` is instead of text in UTF-8, by its first bytes; None when they do not tell."""
    for beginning, form in _FORMS.items():
        if data.startswith(beginning):
            return form
    return "text in UTF-16 or UTF-32, not UTF-8" if _WIDE.match(data) else None


def _explain(data: bytes, where: str, error: Exception) -> RejectedError:
    """msgspec calls half a surrogate pair malformed, or even truncated; say what it is."""
    if (form := told_form(data)) is not None:
        return RejectedError("bad_json", f"{where} is not JSON: it is {form}")
    if isinstance(error, msgspec.DecodeError) and b"\\u" in data:
        try:
            refuse_unstorable(json.loads(data), where)
        except RejectedError as found:
            return found
        except (ValueError, RecursionError):
            pass
    return RejectedError("bad_json", f"{where} is not JSON: {error}")


_decode = msgspec.json.Decoder(float_hook=_exact).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
