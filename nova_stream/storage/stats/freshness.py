"""How old changes were when their figures stood, as histograms that Postgres adds with ``sum``.

A bin is 10 % wide, and its middle stands for it: off by less than 5 %. What is below a millisecond
stands as 0, eleven days or more as eleven days. The numbers are as in ``histogram``, whose bins are
narrower: this one is stored every few seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from nova_stream.storage.stats.histogram import DIGITS, ranks

_WIDTH = 1.1
_LOG = math.log(_WIDTH)
_MOST = 1e9  # milliseconds
_TOP = 2 + math.floor(math.log(_MOST) / _LOG)


def bin_of(milliseconds: float) -> int:
    """The bin of a freshness."""
    if milliseconds < 1:
        return 0
    if milliseconds >= _MOST:
        return _TOP
    return 1 + math.floor(math.log(milliseconds) / _LOG)


def histogram_of(counts: Mapping[int, int]) -> Decimal:
    """The histogram with so many in each bin; each count is below a billion."""
    return Decimal(sum(count * 10 ** (DIGITS * number) for number, count in counts.items()))


def percentiles(digits: str, percents: Sequence[int]) -> list[float]:
    """As ``histogram.percentiles``, within 5 %."""
    return [_middle(number) for number in ranks(digits, percents)]


def _middle(number: int) -> float:
    if number == 0:
        return 0.0
    if number == _TOP:
        return _MOST
    return float(f"{_WIDTH ** (number - 0.5):.4g}")
