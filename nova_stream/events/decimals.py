"""Numbers in every form of the contract, read exactly: JSON numbers, text, Debezium's decimals."""

from __future__ import annotations

import re
from base64 import b64decode
from decimal import Decimal, InvalidOperation

from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.json_text import whole_number

#: Numbers as text, as regular expressions that Python and JSON ColumnType both read.
POSITIVE_TEXT = r"^[0-9]{1,301}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,3})?$"
NUMBER_TEXT = f"^-?{POSITIVE_TEXT[1:]}"

_NUMBER_TEXT = re.compile(NUMBER_TEXT)
_NUMBERS = (int, float, Decimal)
_CONNECT_DECIMAL = "org.apache.kafka.connect.data.Decimal"
_LONGEST_UNSCALED = 400  # characters of base64, of more than 700 digits
_FINEST = -1100  # as an exponent of 10: finer than every double


def exact_decimal(value: object, schema: ColumnType | None = None) -> Decimal:
    """The number that ``value`` is, with all its digits.

    Raises TypeError when JSON says that it is something else, and ValueError when it is text (or
    bytes of Debezium) that is no number, is not finite, or is finer than every double.
    """
    number = _decimal(value, schema)
    if not number.is_finite() or int(number.as_tuple().exponent) < _FINEST:
        raise ValueError(value)
    return number


def _decimal(value: object, schema: ColumnType | None) -> Decimal:
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if isinstance(value, dict) and value.keys() == {"scale", "value"}:
        return _scaled(value["value"], value["scale"])
    if not isinstance(value, str):
        raise TypeError(value)

    if schema and schema.name == _CONNECT_DECIMAL:
        return _scaled(value, schema.parameters.get("scale"))
    if not _NUMBER_TEXT.fullmatch(value):
        raise ValueError(value)
    return Decimal(value)


def _scaled(unscaled: object, scale: object) -> Decimal:
    """A decimal as Kafka Connect writes it: base64 of the unscaled number's big-endian bytes."""
    is_text = isinstance(scale, str) and scale.isdecimal()
    places = int(str(scale)) if is_text else whole_number(scale or 0)
    if not isinstance(unscaled, str) or len(unscaled) > _LONGEST_UNSCALED or places is None:
        raise ValueError(unscaled)

    digits = int.from_bytes(b64decode(unscaled, validate=True), "big", signed=True)
    try:
        return Decimal(f"{digits}E{-places}")
    except InvalidOperation:
        raise ValueError(scale) from None
