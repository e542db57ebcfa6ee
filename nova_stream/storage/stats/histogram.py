"""Histograms as one number, so that Postgres adds them with ``sum``: of durations, and of how old
changes were when their figures stood.

The middle of a bin stands for it: off by less than half of its width. What is below the least
stands as 0, what is the most or more as the most. The count of each bin has nine decimal digits.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from itertools import compress
from struct import unpack_from

#: Decimal digits of a bin's count.
_DIGITS = 9
_FULL = 10**_DIGITS
#: Decimal digits of each digit that Postgres sends of a number.
_SENT = 4
#: What a digit that was sent counts in the bin that it begins in, by its place; digits and bins
#: begin together every _DIGITS places.
_UNITS = [10 ** (_SENT * place % _DIGITS) for place in range(_DIGITS)]


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

    def percentiles(self, sent: bytes, count: int, percents: Sequence[int]) -> list[float]:
        """For each of the ``percents`` a time within half a bin of the smallest one that so many
        percent do not exceed, of a histogram as ``SENT`` gives it, which has ``count`` times, one
        or more.
        """
        return [self._middles[number] for number in _bins(sent, count, percents)]

    @cached_property
    def _middles(self) -> list[float]:
        """What stands for each bin."""
        return [self._middle(number) for number in range(self.top + 1)]

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
#: A histogram as Postgres sends numbers: zeros before and behind its counts, most of its digits,
#: are left out.
SENT = "numeric_send({0})"


def histogram_of(counts: Mapping[int, int]) -> Decimal:
    """The histogram with so many in each bin; each count is below a billion."""
    return Decimal(sum(count * 10 ** (_DIGITS * number) for number, count in counts.items()))


def _bins(sent: bytes, count: int, percents: Sequence[int]) -> list[int]:
    """For each of the ``percents`` the bin that has the smallest one that so many percent do
    not exceed.
    """
    size, first = unpack_from(">Hh", sent)
    digits = array("H", sent[8:])
    if sys.byteorder == "little":
        digits.byteswap()
    places = compress(range(first, first - size, -1), digits)
    # As many as may exceed each of them: the longest times are passed until there are more.
    exceeding = [(100 - percent) * count // 100 for percent in percents]
    most = max(exceeding)
    bins: list[int] = []
    passed: list[int] = []
    so_far = 0
    for place, digit in zip(places, filter(None, digits), strict=True):
        number = place * _SENT // _DIGITS
        counted = digit * _UNITS[place % _DIGITS]
        if counted >= _FULL:  # the digit reaches into the next bin
            above, counted = divmod(counted, _FULL)
            so_far += above
            bins.append(number + 1)
            passed.append(so_far)
        so_far += counted
        bins.append(number)
        passed.append(so_far)
        if so_far > most:
            break
    # A histogram that has fewer than ``count``, which the audit tells, ends at its shortest time.
    return [bins[min(bisect_right(passed, upto), len(bins) - 1)] for upto in exceeding]
