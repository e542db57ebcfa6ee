"""What the figures mean: rates and means in IEEE doubles, as JavaScript computes them.

The same formulas stand in SQL (the flush's refresh, the recount views); tests hold them together.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction


def js_round(number: float) -> float:
    """``floor(number + 0.5)`` as a double: halves go up, also below zero."""
    return float(math.floor(number + 0.5))


def success_rate(completed: int, total: int) -> float:
    """Percent of ``total`` that is completed, to two decimals; 0 where there is nothing."""
    if total <= 0:
        return 0.0
    return js_round(float(completed) / float(total) * 100.0 * 100.0) / 100.0


def mean_duration(total: int | Decimal | Fraction, count: int) -> float:
    """The rounded mean of ``count`` durations whose exact sum is ``total``, in its unit; 0 where
    there are none.

    The sum becomes a double first, then it is divided.
    """
    if count <= 0:
        return 0.0
    return js_round(float(total) / float(count))
