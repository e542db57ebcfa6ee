"""Histograms of durations as one number, so that Postgres adds them with ``sum``.

A bin is 2 % wide, and its middle stands for it: off by less than 1 %. Durations below a microsecond
stand as 0, those of 31 years or more as 31 years. The count of each bin has nine decimal digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_WIDTH = 1.02
_LEAST, _MOST = 0.001, 1e12  # milliseconds
_TOP = 2 + math.floor(math.log(_MOST / _LEAST) / math.log(_WIDTH))
#: Decimal digits of a bin's count.
DIGITS = 9

#: The bin of a ``duration``, null of none.
BIN = f"""CASE WHEN duration < {_LEAST} THEN 0 WHEN duration >= {_MOST:.0f} THEN {_TOP}
    ELSE 1 + floor(ln(duration::float8 / {_LEAST}) / {math.log(_WIDTH)!r})::int END"""
#: The histogram of ``timed`` durations of one ``bin``.
OF_BIN = f"CASE WHEN timed > 0 THEN timed * ('1e' || {DIGITS} * bin)::numeric ELSE 0 END"


def percentiles(digits: str, percents: Sequence[int]) -> list[float]:
    """For each of the rising ``percents`` a duration within 1 % of the smallest one that so many
    percent do not exceed, of the histogram with these digits; it must have one.
    """
    return [_middle(number) for number in ranks(digits, percents)]


def ranks(digits: str, percents: Sequence[int]) -> list[int]:
    """For each of the rising ``percents`` the bin that has the smallest one that so many percent do
    not exceed.
    """
    used = len(digits.rstrip("0"))
    number = (len(digits) - used) // DIGITS  # of the first bin that is not empty
    ends = range(len(digits) - number * DIGITS, 0, -DIGITS)
    bins = [int(digits[max(0, end - DIGITS) : end]) for end in ends]
    total = sum(bins)
    counts = iter(bins)
    found: list[int] = []
    passed = next(counts)
    for percent in percents:
        rank = -(-percent * total // 100)
        while passed < rank:
            passed += next(counts)
            number += 1
        found.append(number)
    return found


def _middle(number: int) -> float:
    if number == 0:
        return 0.0
    if number == _TOP:
        return _MOST
    return float(f"{_LEAST * _WIDTH ** (number - 0.5):.6g}")
