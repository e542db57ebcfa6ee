"""Lengths of time as sources write them, read exactly into milliseconds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from nova_stream.errors import NoLengthError
from nova_stream.events.json_text import whole_number

#: The texts that may be lengths of time, as a regular expression that Python and JSON Schema both
#: read: an ISO 8601 duration as Debezium writes Postgres' intervals (each part with its own
#: sign), or a time of day in UTC.
LENGTH_TEXT = (
    r"^(P(-?[0-9]{1,10}Y)?(-?[0-9]{1,10}M)?(-?[0-9]{1,10}D)?"
    r"(T(-?[0-9]{1,10}H)?(-?[0-9]{1,10}M)?(-?[0-9]{1,19}(\.[0-9]{1,9})?S)?)?"
    r"|[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z)$"
)
MONTHS = (
    "a length in months or years, which has no fixed number of milliseconds; the connector's "
    "interval.handling.mode=numeric writes its average, a month as 30.4375 days"
)


_PARTS = re.compile(LENGTH_TEXT)
_NUMBERS = re.compile(r"(-?[0-9.]+)([YMDHS])")
#: Debezium takes an interval's seconds through a double and cuts them off after nine digits, so
#: that 1.122 s is written 1.121999999. Postgres has microseconds: such an end is never meant.
_CUT_OFF = re.compile(r"\.[0-9]{6}999\Z")
_NANOSECOND = Decimal("1E-9")
_PER_SECOND = Decimal(1000)
_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_CLOCK = {"hour": 3_600, "minute": 60, "second": 1}
#: The fields of Debezium's StructuredDuration and StructuredTime.
DURATION_FIELDS = ("years", "months", *_SECONDS, "nanos")
CLOCK_FIELDS = (*_CLOCK, "nanos")


def length_of_text(text: str) -> Decimal | None:
    """The milliseconds of a text such as ``P0Y0M0DT0H0M5.25S`` or ``00:00:05.25Z``; None when it
    is neither. The nanosecond that Debezium cuts off an interval's seconds is put back.

    Raises NoLengthError for months and years.
    """
    if not _PARTS.fullmatch(text) or text in {"P", "PT"}:
        return None
    if text[0] != "P":
        hours, minutes, seconds = text[:-1].split(":")
        return _millis(3_600 * int(hours) + 60 * int(minutes) + Decimal(seconds))

    date, _, time = text[1:].partition("T")
    days = {unit: int(number) for number, unit in _NUMBERS.findall(date)}
    if days.get("Y") or days.get("M"):
        raise NoLengthError(MONTHS)
    parts = {unit: _whole_micros(number) for number, unit in _NUMBERS.findall(time)}
    total = Decimal(86_400 * days.get("D", 0))
    for unit, seconds_in in (("H", 3_600), ("M", 60), ("S", 1)):
        total += seconds_in * parts.get(unit, Decimal())
    return _millis(total)


def length_of_parts(parts: Mapping[str, object]) -> Decimal:
    """The milliseconds of Debezium's StructuredDuration, StructuredTime or StructuredZonedTime.

    Raises NoLengthError for months and years, a time of day with an offset, and parts that are no
    whole numbers.
    """
    if _part(parts, "years") or _part(parts, "months"):
        raise NoLengthError(MONTHS)
    if _part(parts, "offsetSeconds"):
        raise NoLengthError("a time of day with an offset, which is no length of time")

    seconds = sum(
        _part(parts, name) * length
        for units in (_SECONDS, _CLOCK)
        for name, length in units.items()
    )
    return _millis(seconds + Decimal(_part(parts, "nanos")).scaleb(-9))


def is_length(parts: Mapping[str, object]) -> bool:
    """Whether an object has all the fields of a StructuredDuration or a StructuredTime."""
    names = parts.keys()
    return names >= set(DURATION_FIELDS) or (names >= set(CLOCK_FIELDS) and "year" not in names)


def length_of(number: int | Decimal, nanos: int) -> Decimal:
    """The milliseconds of a number of units of ``nanos`` nanoseconds each, exactly."""
    return _plain(Decimal(number) * nanos / Decimal(10**6))


def _whole_micros(number: str) -> Decimal:
    """A part of an interval, as it was before its last nanosecond was cut off."""
    found = Decimal(number)
    return found + _NANOSECOND.copy_sign(found) if _CUT_OFF.search(number) else found


def _millis(seconds: int | Decimal) -> Decimal:
    return _plain(seconds * _PER_SECOND)


def _plain(number: Decimal) -> Decimal:
    """Without trailing zeros, and without an exponent where it is whole."""
    whole = number.to_integral_value()
    return Decimal(int(whole)) if number == whole else number.normalize()


def _part(parts: Mapping[str, object], name: str) -> int:
    found = parts.get(name)
    number = 0 if found is None else whole_number(found)
    if number is None:
        raise NoLengthError(f"a structure whose {name} is no whole number")
    return number
