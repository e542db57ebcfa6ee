"""How the value of a known field is read: one reader a kind of field.

Each takes a plain value (of a declared type, ``column_types`` has made it one; of none, it is
what JSON has), and returns it as it stands in the document and as it stands in a column.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from nova_stream.errors import NoLengthError, OutOfRangeError, RejectedError
from nova_stream.events.column_types import type_name
from nova_stream.events.column_values import (
    is_structured_time,
    structured_time,
    variable_scale_decimal,
)
from nova_stream.events.connect_schema import ColumnType
from nova_stream.events.decimals import (
    FLAG_TEXT,
    exact_decimal,
    is_variable_scale,
    may_be_base64,
)
from nova_stream.events.describe import described, quoted
from nova_stream.events.documents import MAX_NUMBER, Kind, Rule
from nova_stream.events.durations import is_length, length_of_parts, length_of_text
from nova_stream.events.json_text import parse_json, whole_number
from nova_stream.events.times import ALLOWED, parse_time, time_text


class Field(NamedTuple):
    """Where a value stands, what it must be, and what the source declares it to be."""

    where: str
    rule: Rule
    declared: ColumnType | None = None


#: Returns the value as it stands in the document, and as it stands in a column.
Reader = Callable[[Any, Field], tuple[Any, Any]]

#: How Debezium writes numbers that are none, in the mode of decimals as text.
NO_NUMBER = frozenset(["NAN", "POSITIVE_INFINITY", "NEGATIVE_INFINITY"])
_UNDECLARED = ColumnType()
_FLAG_TEXT = re.compile(FLAG_TEXT)


def _read_text(value: Any, field: Field) -> tuple[str, str]:
    if not isinstance(value, str):
        _wrong_type(value, field, "text")
    allowed, longest = field.rule.allowed, field.rule.max_bytes
    if allowed and value not in allowed:
        raise RejectedError(
            "bad_status", f"{field.where} is {quoted(value)}; allowed is {', '.join(allowed)}"
        )

    if longest and len(value.encode("utf-8", "surrogatepass")) > longest:
        reason = "id_too_long" if field.rule.kind is Kind.ID else "value_too_long"
        raise RejectedError(
            reason, f"{field.where} is {described(value)}; at most {longest} bytes are allowed"
        )
    return value, value


def _read_reference(value: Any, field: Field) -> tuple[str, str]:
    if isinstance(value, str):
        return _read_text(value, field)

    try:
        number = whole_number(exact_decimal(value))
    except (TypeError, ValueError):
        number = None
    if number is None:
        _wrong_type(value, field, "text or a whole number")
    return _read_text(str(number), field)


def _read_time(value: Any, field: Field) -> tuple[str, datetime]:
    if isinstance(value, datetime):
        return time_text(value), value
    if isinstance(value, dict):
        value = _time_of_object(value, field)
        if isinstance(value, datetime):
            return time_text(value), value
    try:
        instant = parse_time(value, field.where)
    except OutOfRangeError:
        raise
    except RejectedError as error:
        raise _explained(error, value, field) from None
    return time_text(instant), instant


def _time_of_object(value: dict[str, Any], field: Field) -> Any:
    """The instant, or the number, that an object of Debezium means."""
    try:
        if is_variable_scale(value):
            return exact_decimal(value)
        if is_structured_time(value):
            return structured_time(value, _UNDECLARED, field.where)
    except ValueError:
        raise RejectedError("bad_time", f"{field.where} is {quoted(value)}; {ALLOWED}") from None
    return value


def _read_number(value: Any, field: Field) -> tuple[Any, Any]:
    if isinstance(value, str) and value in NO_NUMBER:
        return None, None
    try:
        number = exact_decimal(value)
    except (TypeError, ValueError):
        _wrong_type(value, field, "a number")
    if abs(number) > MAX_NUMBER:
        _wrong_type(value, field, f"a number up to {MAX_NUMBER}")
    return value if isinstance(value, int) else number, number


def _read_duration(value: Any, field: Field) -> tuple[Any, Any]:
    try:
        number = _length(value)
    except TypeError:
        _wrong_type(value, field, "a number")
    except NoLengthError as error:
        raise RejectedError("bad_duration", f"{field.where} is {error}") from None
    except ValueError:
        _bad_duration(value, field)
    if number is None:
        return None, None
    if not 0 <= number <= MAX_NUMBER or (isinstance(value, str) and value.startswith("-")):
        _bad_duration(value, field)
    return value if isinstance(value, int) else number, format(number.copy_abs(), "f")


def _length(value: Any) -> Decimal | None:
    """The milliseconds that a value means, None for what is no number."""
    if isinstance(value, dict) and is_length(value):
        return length_of_parts(value)
    if isinstance(value, str):
        if value in NO_NUMBER:
            return None
        length = length_of_text(value)
        if length is not None:
            return length
    return exact_decimal(value)


def _read_flag(value: Any, field: Field) -> tuple[bool, bool]:
    if isinstance(value, bool):
        return value, value
    try:
        is_number = not isinstance(value, str) or _FLAG_TEXT.fullmatch(value)
        number = exact_decimal(value) if is_number else None
    except (TypeError, ValueError):
        number = None
    if number is None or number not in (0, 1):
        _wrong_type(value, field, "true, false, 1 or 0")
    return bool(number), bool(number)


def _read_list(value: Any, field: Field) -> tuple[list[Any], list[Any]]:
    parsed = _parsed(value, field) if isinstance(value, str) else value
    if not isinstance(parsed, list):
        _wrong_type(value, field, "a list, or text that holds a JSON list")
    try:
        found = [_decimal_or_item(item) for item in parsed]
    except ValueError:
        _wrong_type(value, field, "a list")
    return found, found


def _decimal_or_item(item: Any) -> Any:
    return variable_scale_decimal(item, _UNDECLARED, "") if is_variable_scale(item) else item


def _read_json(value: Any, field: Field) -> tuple[Any, Any]:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            value = _parsed(value, field)
        except RejectedError:
            return value, value  # just text that begins like JSON
    return value, value


def _read_anything(value: Any, _: Field) -> tuple[Any, Any]:
    return value, value


READERS: dict[Kind, Reader] = {
    Kind.ID: _read_reference,
    Kind.REFERENCE: _read_reference,
    Kind.TEXT: _read_text,
    Kind.TIME: _read_time,
    Kind.NUMBER: _read_number,
    Kind.DURATION: _read_duration,
    Kind.FLAG: _read_flag,
    Kind.LIST: _read_list,
    Kind.JSON: _read_json,
    Kind.ANY: _read_anything,
}
_DECIMAL_REMEDY = (
    "; if the column is a decimal, let the connector write it as a number or with its type "
    "(decimal.handling.mode=string or double, or value.converter.schemas.enable=true)"
)


def _parsed(text: str, field: Field) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"), field.where)
    except RejectedError as error:
        if error.reason != "bad_json":
            raise
        _wrong_type(text, field, "a list, or text that holds a JSON list")


def _wrong_type(value: object, field: Field, allowed: str) -> NoReturn:
    error = RejectedError(
        "wrong_type", f"{field.where} is {described(value)}; allowed is {allowed} (or null)"
    )
    raise _explained(error, value, field)


def _bad_duration(value: object, field: Field) -> NoReturn:
    error = RejectedError(
        "bad_duration",
        f"{field.where} is {quoted(value)}; allowed are milliseconds from 0 to 1e300",
    )
    raise _explained(error, value, field)


def _explained(error: RejectedError, value: object, field: Field) -> RejectedError:
    """The error with what the source declares of the column, or how it could."""
    if field.declared is not None:
        more = f"; the source declares it as {quoted(type_name(field.declared))}"
    elif may_be_base64(value):
        more = _DECIMAL_REMEDY
    else:
        return error
    return RejectedError(error.reason, f"{error}{more}")
