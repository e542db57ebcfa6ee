"""Times in every form of the contract, read into UTC instants with millisecond precision."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import NoReturn

from nova_stream.clock import from_millis, isoformat
from nova_stream.errors import RejectedError
from nova_stream.events.wording import quoted

#: The texts that may be times, as a regular expression that Python and JSON Schema both read:
#: ISO 8601 with ``T`` or a space and any offset (none = UTC), or an epoch of 9 or more digits.
TIME_TEXT = (
    r"^([0-9]{4}-?[0-9]{2}-?[0-9]{2}"
    r"([Tt ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]+)?)?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
    r"|-?[0-9]{9,19})$"
)
ALLOWED = (
    "allowed is ISO 8601 (2026-02-20T12:00:00.000Z, any offset) or an epoch in s, ms, us or ns, "
    "in the years 1 to 9999"
)

_NUMBERS = (int, float, Decimal)
_TIME_TEXT = re.compile(TIME_TEXT)
_DIGITS = re.compile(r"-?[0-9]{9,19}")

_SECOND, _MILLI, _MICRO, _NANO = 10**9, 10**6, 10**3, 1

#: Nanoseconds in one unit of a number, by the name of its schema.
_UNITS = {
    "io.debezium.time.Timestamp": _MILLI,
    "io.debezium.time.MicroTimestamp": _MICRO,
    "io.debezium.time.NanoTimestamp": _NANO,
    "org.apache.kafka.connect.data.Timestamp": _MILLI,
}

# From 1e11 s (year 5138) on a number is milliseconds, and so on by factors of 1000: every unit
# then covers 1973 to 5138, and no instant of these years is read in two ways.
_MAGNITUDES = ((10**11, _SECOND), (10**14, _MILLI), (10**17, _MICRO))

# Far above every year and unit, far below what is slow to turn into an int.
_LARGEST = 10**24


def parse_time(value: object, where: str, schema: str | None = None) -> datetime:
    """The instant that ``value`` means: aware, UTC, truncated to milliseconds.

    Text is ISO 8601 (no offset = UTC) or digits; a number is an epoch whose unit the Debezium
    or Connect ``schema`` name tells, else its magnitude. ``where`` is the JSON path for messages.
    Raises RejectedError: ``bad_time`` when it is unreadable or outside of the years 1 to 9999,
    ``wrong_type`` when it is neither text nor number.
    """
    if isinstance(value, str):
        return _from_text(value, where, schema)
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return _from_number(value, where, schema)

    raise RejectedError("wrong_type", f"{where} is {quoted(value)}; {ALLOWED}")


def canonical_time(text: str) -> datetime:
    """The instant of a time in the form that nova-stream writes, 2026-02-20T12:00:00.000Z.

    Raises ValueError on every other form; ``parse_time`` then reads it, or says what is wrong.
    """
    if len(text) != 24 or text[23] != "Z" or text[19] != "." or text[10] != "T":
        raise ValueError(text)

    return datetime.fromisoformat(text)


def time_text(instant: datetime) -> str:
    """``instant`` as 2026-02-20T12:00:00.000Z, truncated to milliseconds."""
    return isoformat(instant)


def _from_text(text: str, where: str, schema: str | None) -> datetime:
    if not _TIME_TEXT.fullmatch(text):
        _refuse(text, where)
    if _DIGITS.fullmatch(text):
        return _from_number(int(text), where, schema)

    try:
        instant = datetime.fromisoformat(text.upper())
        utc = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        _refuse(text, where)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _from_number(number: int | float | Decimal, where: str, schema: str | None) -> datetime:
    exact: int | Decimal = Decimal(repr(number)) if isinstance(number, float) else number
    if isinstance(exact, Decimal) and not exact.is_finite():
        _refuse(number, where)
    if not -_LARGEST < exact < _LARGEST:
        _refuse(number, where)

    unit = _UNITS.get(schema or "") or _magnitude(exact)
    try:
        return from_millis(math.floor(exact * unit) // _MILLI)
    except OverflowError:
        _refuse(number, where)


def _magnitude(number: int | Decimal) -> int:
    return next((unit for limit, unit in _MAGNITUDES if -limit < number < limit), _NANO)


def _refuse(value: object, where: str) -> NoReturn:
    raise RejectedError("bad_time", f"{where} is {quoted(value)}; {ALLOWED}")
