"""Numbers in every form of the contract, read exactly: JSON numbers, text, Debezium's decimals."""

from __future__ import annotations

import re
from base64 import b64decode
from decimal import Decimal, InvalidOperation

from nova_stream.events.json_text import whole_number

#: Numbers as text, as regular expressions that Python and JSON Schema both read.
POSITIVE_TEXT = r"^[0-9]{1,301}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,3})?$"
NUMBER_TEXT = f"^-?{POSITIVE_TEXT[1:]}"
#: The numbers as text that may be a flag.
FLAG_TEXT = r"^[01](\.0*)?$"

_NUMBER_TEXT = re.compile(NUMBER_TEXT)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_NUMBERS = (int, float, Decimal)
_LONGEST_UNSCALED = 400  # characters of base64, of more than 700 digits
_FINEST = -1100  # as an exponent of 10: finer than every double


def exact_decimal(value: object) -> Decimal:
    """The number that ``value`` is, with all its digits.

    Raises TypeError when JSON says that it is something else, and ValueError when it is text (or
    bytes of Debezium) that is no number, is not finite, or is finer than every double.
    """
    number = _decimal(value)
    if not number.is_finite() or int(number.as_tuple().exponent) < _FINEST:
        raise ValueError(value)
    return number


def is_variable_scale(value: object) -> bool:
    """Whether a JSON value has the form of Debezium's VariableScaleDecimal."""
    return isinstance(value, dict) and value.keys() == {"scale", "value"}


def scaled_decimal(unscaled: object, scale: object) -> Decimal:
    """A decimal as Kafka Connect writes it: the unscaled number's big-endian bytes, or their
    base64; a scale that is missing is 0.

    Raises ValueError.
    """
    is_text = isinstance(scale, str) and scale.isdecimal()
    places = int(str(scale)) if is_text else whole_number(scale or 0)
    if not isinstance(unscaled, str | bytes) or len(unscaled) > _LONGEST_UNSCALED or places is None:
        raise ValueError(unscaled)

    data = b64decode(unscaled, validate=True) if isinstance(unscaled, str) else unscaled
    try:
        return Decimal(f"{int.from_bytes(data, 'big', signed=True)}E{-places}")
    except InvalidOperation:
        raise ValueError(scale) from None


def may_be_base64(value: object) -> bool:
    """Whether a text can be the base64 of bytes, such as those of a decimal."""
    return isinstance(value, str) and value != "" and _BASE64.fullmatch(value) is not None


def _decimal(value: object) -> Decimal:
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if isinstance(value, dict) and is_variable_scale(value):
        return scaled_decimal(value["value"], value["scale"])
    if not isinstance(value, str):
        raise TypeError(value)

    if not _NUMBER_TEXT.fullmatch(value):
        raise ValueError(value)
    return Decimal(value)
