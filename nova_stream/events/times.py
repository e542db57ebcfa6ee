"""Times in every form of the contract, read into UTC instants with millisecond precision."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NoReturn, cast

from nova_stream.clock import from_millis, isoformat
from nova_stream.errors import OutOfRangeError, RejectedError
from nova_stream.events.describe import quoted

#: The texts that may be times, as a regular expression that Python and JSON Schema both read:
#: ISO 8601 with ``T`` or a space and any offset (none = UTC), or an epoch of 9 or more digits.
TIME_TEXT = (
    r"^([0-9]{4}-?[0-9]{2}-?[0-9]{2}"
    r"([Tt ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]+)?)?)?([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?|[Zz])?"
    r"|-?[0-9]{9,19})$"
)
#: The texts of times that no instant of the years 1 to 9999 is: Postgres' infinity, and years
#: before 1 or of more than four digits.
BEYOND_TEXT = (
    r"^(-?infinity|(-[0-9]{4,10}|\+?[0-9]{5,10}|0000)-[0-9]{2}-[0-9]{2}([T Z].*)?"
    r"|[0-9]{4,10}-[0-9]{2}-[0-9]{2}( .*)? BC)$"
)
ALLOWED = (
    "allowed is ISO 8601 (2026-02-20T12:00:00.000Z, any offset) or an epoch in s, ms, us or ns, "
    "in the years 1 to 9999"
)
UNDECLARED = (
    "which is no epoch in s, ms, us or ns of the years 1973 to 5138, and may be days or a time of "
    "day: let the connector write schemas (value.converter.schemas.enable=true) or ISO text "
    "(time.precision.mode=isostring)"
)

#: Nanoseconds in the unit of a number.
SECOND, MILLI, MICRO, NANO = 10**9, 10**6, 10**3, 1
DAY = 86_400 * SECOND

#: The form of times that nova-stream writes, and where it has what.
_FORM = "0000-00-00T00:00:00.000Z"
_MARKS = [(place, mark) for place, mark in enumerate(_FORM) if mark != "0"]

_NUMBERS = (int, float, Decimal)
_TIME_TEXT = re.compile(TIME_TEXT)
_BEYOND_TEXT = re.compile(BEYOND_TEXT)
_DIGITS = re.compile(r"-?[0-9]{9,19}")
_DATE_IN_UTC = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}[Zz]")

# From 1e11 s (year 5138) on a number is milliseconds, and so on by factors of 1000: every unit
# then covers 1973 to 5138, and no instant of these years is read in two ways. What is below is
# days, or the time of a day, as likely as seconds.
_MAGNITUDES = ((10**11, SECOND), (10**14, MILLI), (10**17, MICRO))
_SMALLEST = 10**8

# What stands for "never" in many tables is 86 s of January 1978 by its magnitude.
_LAST_DAY = range(253_402_164_000, 253_402_300_800)  # seconds: 9999-12-31 anywhere on earth

# What Debezium writes for Postgres' infinity: of timestamps in us, ms and ns, and of dates.
_NANO_INFINITIES = frozenset([2**63 - 1, -(2**63)])
_INFINITIES = _NANO_INFINITIES | {
    9223372036825200000,
    -9223372036832400000,
    9223372036825200,
    -9223372036832400,
    -2147472692,
    -2147472691,
}

# Far above every year and unit, far below what is slow to turn into an int.
_LARGEST = 10**24


def out_of_range(value: object, where: str) -> OutOfRangeError:
    """The error for a time that can be read, and is in none of the years 1 to 9999."""
    return OutOfRangeError(f"{where} is {quoted(value)}; {ALLOWED}")


def parse_time(value: object, where: str, small: int | None = None) -> datetime:
    """The instant that ``value`` means: aware, UTC, truncated to milliseconds.

    Text is ISO 8601 (no offset = UTC) or digits; a number is an epoch whose unit its magnitude
    tells. ``small`` is the unit, in nanoseconds, that the field's name says, for numbers whose
    size says none: below 1e8, and a minute of 1978 that may be the end of 9999.
    ``where`` is the JSON path for messages.
    Raises OutOfRangeError, RejectedError ``bad_time`` when it is unreadable, ``wrong_type`` when
    it is neither text nor number.
    """
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        return _from_text(value, where)
    if isinstance(value, str):
        return _from_number(int(value), where, small)
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return _from_number(value, where, small)

    raise RejectedError("wrong_type", f"{where} is {quoted(value)}; {ALLOWED}")


def parse_iso(text: str, where: str) -> datetime:
    """The instant of a time that a person gives, as ISO 8601 (no offset = UTC): digits alone may
    be a year, or an epoch of whatever unit. Raises RejectedError.
    """
    if _DIGITS.fullmatch(text):
        raise RejectedError("bad_time", f"{where} is {quoted(text)}; allowed is ISO 8601")
    return parse_time(text, where)


def parse_epoch(value: object, unit: int, where: str) -> datetime:
    """The instant of an epoch in a known unit (in nanoseconds), given as a number or its digits;
    text that is no number is read as ISO 8601.

    Raises OutOfRangeError or RejectedError as ``parse_time`` does.
    """
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,19}", value):
            return _from_text(value, where)
        value = int(value)
    if not isinstance(value, _NUMBERS) or isinstance(value, bool):
        raise RejectedError("wrong_type", f"{where} is {quoted(value)}; {ALLOWED}")
    if unit == NANO and value in _NANO_INFINITIES:
        raise out_of_range(value, where)
    return _instant(_exact(value, where), unit, where)


def canonical_time(text: str) -> datetime:
    """The instant of a time in the form that nova-stream writes, 2026-02-20T12:00:00.000Z.

    Raises ValueError on every other form; ``parse_time`` then reads it, or says what is wrong.
    """
    [instant] = _canonical([text])
    return instant


def canonical_times(texts: Sequence[str | None]) -> Sequence[datetime | None]:
    """``canonical_time`` of each, None of None; together, since calls for each cost more than
    reading it.
    """
    if all(texts):
        return _canonical(cast("Sequence[str]", texts))
    found = iter(_canonical([text for text in texts if text is not None]))
    return [None if text is None else next(found) for text in texts]


def _canonical(texts: Sequence[str]) -> list[datetime]:
    count, length = len(texts), len(_FORM)
    if texts and set(map(len, texts)) != {length}:
        raise ValueError("a time of another length")
    together = "".join(texts)
    for place, mark in _MARKS:
        if together[place::length] != mark * count:
            raise ValueError("a time of another form")
    return list(map(datetime.fromisoformat, texts))


def time_text(instant: datetime) -> str:
    """``instant`` as 2026-02-20T12:00:00.000Z, truncated to milliseconds."""
    return isoformat(instant)


def _from_text(text: str, where: str) -> datetime:
    if _BEYOND_TEXT.fullmatch(text):
        raise out_of_range(text, where)
    if not _TIME_TEXT.fullmatch(text):
        _refuse(text, where)

    text_of_day = text[:-1] if _DATE_IN_UTC.fullmatch(text) else text.upper()
    try:
        instant = datetime.fromisoformat(text_of_day)
    except ValueError:
        _refuse(text, where)
    try:
        utc = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except OverflowError:
        raise out_of_range(text, where) from None
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _from_number(number: int | float | Decimal, where: str, small: int | None) -> datetime:
    exact = _exact(number, where)
    if exact in _INFINITIES:
        raise out_of_range(number, where)
    unit = _guessed_unit(exact, where, small)
    try:
        return _instant(exact, unit, where)
    except OutOfRangeError:
        _refuse(number, where)  # of an unknown unit, so that it may be anything


def _guessed_unit(number: int | Decimal, where: str, small: int | None) -> int:
    if -_SMALLEST < number < _SMALLEST:
        if number and small is None:
            raise RejectedError("bad_time", f"{where} is {quoted(number)}, {UNDECLARED}")
        return small or SECOND
    if small is None and any(int(number // 10**power) in _LAST_DAY for power in (0, 3, 6)):
        raise RejectedError(
            "bad_time",
            f"{where} is {quoted(number)}, which may be the year 9999 or 1978: let the connector "
            "write schemas (value.converter.schemas.enable=true) or ISO text",
        )
    return next((unit for limit, unit in _MAGNITUDES if -limit < number < limit), NANO)


def _exact(number: int | float | Decimal, where: str) -> int | Decimal:
    exact: int | Decimal = Decimal(repr(number)) if isinstance(number, float) else number
    if isinstance(exact, Decimal) and not exact.is_finite():
        _refuse(number, where)
    if not -_LARGEST < exact < _LARGEST:
        _refuse(number, where)
    return exact


def _instant(number: int | Decimal, unit: int, where: str) -> datetime:
    try:
        return from_millis(math.floor(number * unit) // MILLI)
    except OverflowError:
        raise out_of_range(number, where) from None


def _refuse(value: object, where: str) -> NoReturn:
    raise RejectedError("bad_time", f"{where} is {quoted(value)}; {ALLOWED}")
