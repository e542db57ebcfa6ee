"""Histograms as one number, so that Postgres adds them with ``sum``: of durations, and of how old
changes were when their figures stood.

The middle of a bin stands for it: off by less than half of its width. What is below the least
stands as 0, what is the most or more as the most. The count of each bin has nine decimal digits.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import accumulate

#: Decimal digits of a bin's count.
_DIGITS = 9
_NONE = "0" * _DIGITS
#: The count of a bin; of bins that are empty at most the last one.
_COUNTS = re.compile(rf"(?:{_NONE})*(\d{{{_DIGITS}}})")


class Scale:
    """Bins between ``least`` and ``most`` milliseconds, each ``width`` times as far as the one
    before; what stands for them has so many ``digits``.
    """

    def __init__(self, width: float, least: float, most: float, digits: int) -> None:
        self.width, self.least, self.most, self.digits = width, least, most, digits
        self.log = math.log(width)
        self.top = 2 + math.floor(math.log(most / least) / self.log)

    def bin_of(self, milliseconds: float) -> int:
        """The bin of a time."""
        if milliseconds < self.least:
            return 0
        if milliseconds >= self.most:
            return self.top
        return 1 + math.floor(math.log(milliseconds / self.least) / self.log)

    def percentiles(self, digits: str, percents: Sequence[int]) -> list[float]:
        """For each of the ``percents`` a time within half a bin of the smallest one that so
        many percent do not exceed, of the histogram with these digits; it must have one.
        """
        return [self._middle(number) for number in _ranks(digits, percents)]

    def _middle(self, number: int) -> float:
        if number == 0:
            return 0.0
        if number == self.top:
            return self.most
        return float(f"{self.least * self.width ** (number - 0.5):.{self.digits}g}")


#: Up to 31 years, within 1 %.
DURATIONS = Scale(1.02, 0.001, 1e12, digits=6)
#: As old as any change can be, within 5 %: it is stored every few seconds.
FRESHNESS = Scale(1.1, 1.0, 1e14, digits=4)

#: The bin of a ``duration``, null of none.
BIN = f"""CASE WHEN duration < {DURATIONS.least} THEN 0
    WHEN duration >= {DURATIONS.most:.0f} THEN {DURATIONS.top}
    ELSE 1 + floor(ln(duration::float8 / {DURATIONS.least}) / {DURATIONS.log!r})::int END"""
#: The histogram of ``timed`` durations of one ``bin``.
OF_BIN = f"CASE WHEN timed > 0 THEN timed * ('1e' || {_DIGITS} * bin)::numeric ELSE 0 END"


def histogram_of(counts: Mapping[int, int]) -> Decimal:
    """The histogram with so many in each bin; each count is below a billion."""
    return Decimal(sum(count * 10 ** (_DIGITS * number) for number, count in counts.items()))


def _ranks(digits: str, percents: Sequence[int]) -> list[int]:
    """For each of the ``percents`` the bin that has the smallest one that so many percent do
    not exceed.
    """
    size = -(-len(digits) // _DIGITS)
    text = digits.zfill(size * _DIGITS)
    starts: Sequence[int] = range(0, len(text), _DIGITS)
    if text.count(_NONE) * 2 < size:
        counts = [int(text[start : start + _DIGITS]) for start in starts]
    else:  # an hour's: those of few of its bins are looked for
        found = list(_COUNTS.finditer(text))
        starts = [one.start(1) for one in found]
        counts = [int(one[1]) for one in found]
    passed = list(accumulate(reversed(counts)))
    ranks = [-(-percent * passed[-1] // 100) for percent in percents]
    return [size - 1 - starts[-1 - bisect_left(passed, rank)] // _DIGITS for rank in ranks]
